"""What an app may send over a websocket, what it receives, and how far it gets ahead."""

from __future__ import annotations

import itertools
import typing as t
from contextlib import AsyncExitStack, suppress

import anyio
import pytest
import starlette.websockets
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from asyncflask import WebSocketDisconnect
from asyncflask.testing import AsyncClient, WebSocketRefused
from asyncflask.testing.websocket_exchange import ClientLeft, check_closing

from .apps import accept, settle, websocket

pytestmark = pytest.mark.anyio

ACCEPT: Message = {"type": "websocket.accept"}
SEND: Message = {"type": "websocket.send", "text": "x"}
CLOSE: Message = {"type": "websocket.close"}
DENY: Message = {"type": "websocket.http.response.start", "status": 401, "headers": []}
BODY: Message = {"type": "websocket.http.response.body", "body": b"no"}
ALL = [ACCEPT, SEND, CLOSE, DENY, BODY, {"type": "http.response.start", "status": 200}]

#: How each state is reached, and what may be sent in it.
STATES: dict[str, tuple[list[Message], list[Message]]] = {
    "connecting": ([], [ACCEPT, CLOSE, DENY]),
    "open": ([ACCEPT], [SEND, CLOSE]),
    "closed": ([ACCEPT, CLOSE], []),
    "denying": ([DENY], [BODY]),
    "refused": ([CLOSE], []),
    "denied": ([DENY, BODY], []),
}
CELLS = list(itertools.product(STATES, ALL))


def kind(value: object) -> str:
    return value["type"] if isinstance(value, dict) else str(value)


@pytest.mark.parametrize(("state", "message"), CELLS, ids=kind)
async def test_each_message_in_each_state(state: str, message: Message) -> None:
    before, legal = STATES[state]
    outcomes: list[Exception | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for each in before:
            await send(each)
        try:
            await send(message)
            outcomes.append(None)
        except RuntimeError as error:
            outcomes.append(error)
        if (state == "denying" and message != BODY) or (message == DENY and outcomes == [None]):
            await send(BODY)

    unanswered = state == "connecting" and message not in legal
    async with AsyncExitStack() as expected:
        if unanswered:
            expected.enter_context(pytest.raises(RuntimeError, match="without answering"))
        expected.enter_context(suppress(WebSocketRefused))
        await expected.enter_async_context(AsyncClient(websocket(app)).websocket("/"))
        await settle()
    [outcome] = outcomes
    assert (outcome is None) == (message in legal)
    if outcome is not None:
        name = {"denied": "refused"}.get(state, state)
        assert f"{message['type']!r}, which has no place here" in str(outcome)
        assert f"{name!r}" in str(outcome)


@pytest.mark.parametrize("message", [DENY, BODY], ids=kind)
async def test_denials_have_to_be_offered(message: Message) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["extensions"] == {}
        await send(message)

    with pytest.raises(RuntimeError, match=r"offered extensions are \[\]"):
        async with AsyncClient(websocket(app)).websocket("/", denial_responses=False):
            pass


@pytest.mark.parametrize(
    ("message", "error", "told"),
    [
        ({"type": "websocket.send"}, ValueError, "this one has neither"),
        ({"type": "websocket.send", "text": None, "bytes": None}, ValueError, "has neither"),
        ({"type": "websocket.send", "text": "", "bytes": b""}, ValueError, "this one has both"),
        ({"type": "websocket.send", "text": b"x"}, TypeError, "a str as 'text'"),
        ({"type": "websocket.send", "bytes": "x"}, TypeError, "a str as 'text'"),
        ({"type": "websocket.send", "text": "\ud800"}, UnicodeEncodeError, "surrogates"),
        ({"type": "websocket.close", "code": 1005}, ValueError, "1005 is no close code"),
        ({"type": "websocket.close", "code": 999}, ValueError, "999 is no close code"),
        ({"type": "websocket.close", "reason": "x" * 124}, ValueError, "has 124 bytes; 123"),
    ],
)
async def test_what_cannot_be_sent(message: Message, error: type[Exception], told: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        await send(message)

    with pytest.raises(error, match=told):
        async with AsyncClient(websocket(app)).websocket("/") as ws:
            await ws.receive()


@pytest.mark.parametrize(
    ("message", "error", "told"),
    [
        ({**ACCEPT, "headers": [("x", "y")]}, TypeError, "pairs of bytes"),
        ({**ACCEPT, "headers": [(b"x", b"y\r\nz: 1")]}, ValueError, "a CR, LF or NUL"),
        ({**ACCEPT, "headers": [(b"x y", b"z")]}, ValueError, "has to be a token"),
        ({**ACCEPT, "headers": [(b"Sec-WebSocket-Protocol", b"z")]}, ValueError, "a key of it"),
        ({**DENY, "status": 101}, ValueError, "101 is no status"),
        ({**DENY, "headers": [(b"x", b"\0")]}, ValueError, "a CR, LF or NUL"),
    ],
)
async def test_what_answers_no_handshake(
    message: Message, error: type[Exception], told: str
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(message)

    with pytest.raises(error, match=told):
        async with AsyncClient(websocket(app)).websocket("/"):
            pass


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
def test_codes_that_may_be_sent(code: int) -> None:
    check_closing(code, "é" * 61)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
def test_codes_that_may_not(code: int) -> None:
    with pytest.raises(ValueError, match=f"{code} is no close code"):
        check_closing(code, "")


async def received_after(act: t.Callable[[t.Any], t.Awaitable[None]]) -> list[Message]:
    """Return what an app receives when the client does something, and then leaves."""
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        received.append(await receive())
        while received[-1]["type"] != "websocket.disconnect":
            received.append(await receive())
        received.append(await receive())  # it stays as it is

    async with AsyncClient(websocket(app)).websocket("/") as ws:
        await act(ws)
    assert received[-1] == received[-2]
    return received[:-1]


async def test_what_the_app_receives() -> None:
    async def act(ws: t.Any) -> None:
        await ws.send("text")
        await ws.send(b"bytes")
        await ws.send(memoryview(b"view"))
        await ws.close(4000, "why")

    assert await received_after(act) == [
        {"type": "websocket.receive", "text": "text"},
        {"type": "websocket.receive", "bytes": b"bytes"},
        {"type": "websocket.receive", "bytes": b"view"},
        {"type": "websocket.disconnect", "code": 4000, "reason": "why"},
    ]


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda ws: anyio.lowlevel.checkpoint(), 1000),
        (lambda ws: ws.close(None), 1005),
        (lambda ws: ws.close(1001), 1001),
        (lambda ws: ws.abort(), 1006),
    ],
)
async def test_how_the_client_may_leave(act: t.Any, code: int) -> None:
    ends = [{"type": "websocket.disconnect", "code": code, "reason": ""}]
    assert await received_after(act) == ends


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        ([CLOSE], 1006, ""),
        ([DENY, BODY], 1006, ""),
        ([ACCEPT, {**CLOSE, "code": 3000, "reason": "done"}], 3000, "done"),
        ([ACCEPT, {**CLOSE, "reason": None}], 1000, ""),
    ],
)
async def test_what_the_app_receives_when_it_has_closed(
    messages: list[Message], code: int, reason: str
) -> None:
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        received.append(await receive())

    try:
        async with AsyncClient(websocket(app)).websocket("/"):
            await settle()
    except WebSocketRefused:
        pass
    assert received == [{"type": "websocket.disconnect", "code": code, "reason": reason}]


async def test_an_app_that_sends_to_a_client_which_left() -> None:
    errors: list[OSError] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        await receive()
        try:
            await send(SEND)
        except OSError as error:
            errors.append(error)
        await send(SEND)  # which ends this app, and is no error of its own

    async with AsyncClient(websocket(app)).websocket("/"):
        pass
    assert [type(error) for error in errors] == [ClientLeft]


async def test_an_app_that_closes_when_the_client_has_left() -> None:
    errors: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        await send(SEND)
        await receive()
        await send({**CLOSE, "code": 4000})
        try:
            await send(CLOSE)
        except RuntimeError as error:
            errors.append(str(error))
        await anyio.sleep_forever()

    async with AsyncClient(websocket(app), disconnect_grace=0.01).websocket("/") as ws:
        await ws.receive()
    assert ws.close_code == 1000  # the client's
    assert "the websocket is 'closed'" in errors[0]


@pytest.mark.parametrize("kind", ["of starlette", "ours"])
async def test_an_app_that_lets_go_of_its_client(kind: str) -> None:
    async def forever(ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                await ws.send_text(await ws.receive_text())
        except starlette.websockets.WebSocketDisconnect as end:
            if kind == "ours":
                raise WebSocketDisconnect(end.code) from end
            raise

    client = AsyncClient(Starlette(routes=[WebSocketRoute("/", forever)]))
    async with client.websocket("/") as ws:
        await ws.send("x")
        assert await ws.receive() == "x"


async def test_an_app_that_takes_another_client_to_have_left() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        raise WebSocketDisconnect(1001)

    async with AsyncClient(websocket(app)).websocket("/") as ws:
        with pytest.raises(WebSocketDisconnect, match="1001"):
            await ws.receive()
        with pytest.raises(WebSocketDisconnect, match="1006"):
            await ws.receive()
