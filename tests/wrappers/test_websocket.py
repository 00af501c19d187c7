"""The websocket that a handler works with: each call in each state, messages, limits, sources."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import pytest

from asyncflask import Flask, WebSocketDisconnect, websocket
from asyncflask.exceptions import InvalidMessage

from ..clock import Clock
from ..sockets import Client, binary, leave, play, socket_scope, text

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)

Handler = Callable[[], Awaitable[t.Any]]


async def served(handler: Handler, *script: t.Any, **scope: t.Any) -> Client:
    """Have a handler serve a websocket, and return its client."""
    app = Flask("socket")
    app.testing = True  # what the handler raises comes out
    app.add_websocket("/", view_func=handler, endpoint="handler")
    return await play(app, "/", *script, **scope)


# States


CALLS: dict[str, Callable[[], Awaitable[t.Any]]] = {
    "accept": lambda: websocket.accept(),
    "reject": lambda: websocket.reject(404),
    "receive": lambda: websocket.receive(),
    "receive_json": lambda: websocket.receive_json(),
    "send": lambda: websocket.send("x"),
    "send_json": lambda: websocket.send_json(1),
    "close": lambda: websocket.close(4000, "over"),
}


@pytest.mark.parametrize(
    ("call", "sent", "state"),
    [
        ("accept", ["accept"], "open"),
        ("reject", ["http.response.start", "http.response.body"], "closed"),
        ("receive", ["accept"], "open"),
        ("receive_json", ["accept"], "open"),
        ("send", ["accept", "send"], "open"),
        ("send_json", ["accept", "send"], "open"),
        ("close", ["close"], "closed"),
    ],
)
async def test_calls_while_connecting(call: str, sent: list[str], state: str) -> None:
    seen: list[str] = []

    async def handler() -> None:
        assert websocket.state.value == "connecting"
        await CALLS[call]()
        seen.append(websocket.state.value)

    client = await served(handler, text("1"))
    assert client.kinds == sent + ([] if state == "closed" else ["close"])
    assert seen == [state]


@pytest.mark.parametrize(
    ("call", "sent", "state"),
    [
        ("receive", [], "open"),
        ("receive_json", [], "open"),
        ("send", ["send"], "open"),
        ("send_json", ["send"], "open"),
        ("close", ["close"], "closed"),
    ],
)
async def test_calls_while_open(call: str, sent: list[str], state: str) -> None:
    seen: list[str] = []

    async def handler() -> None:
        await websocket.accept()
        await CALLS[call]()
        seen.append(websocket.state.value)

    client = await served(handler, text("1"))
    assert client.kinds == ["accept", *sent] + ([] if state == "closed" else ["close"])
    assert seen == [state]


@pytest.mark.parametrize("call", ["accept", "reject"])
async def test_mistakes_while_open(call: str) -> None:
    async def handler() -> None:
        await websocket.accept()
        with pytest.raises(RuntimeError, match=rf"{call}\(\) was called .* accepted already"):
            await CALLS[call]()

    assert (await served(handler)).kinds == ["accept", "close"]


@pytest.mark.parametrize("call", [call for call in CALLS if call != "close"])
@pytest.mark.parametrize("how", ["close", "leave", "reject"])
async def test_calls_while_closed(call: str, how: str) -> None:
    """Whoever goes on hears why it is over; to close what is closed does nothing."""
    seen: list[tuple[int | None, str]] = []

    async def handler() -> None:
        if how == "leave":
            with pytest.raises(WebSocketDisconnect):
                await websocket.receive()
        else:
            await CALLS[how]()
        with pytest.raises(WebSocketDisconnect) as raised:
            await CALLS[call]()
        await websocket.close()
        seen.append((raised.value.code, raised.value.reason))
        seen.append((websocket.close_code, websocket.close_reason))

    client = await served(handler, leave(4321, "enough"))
    expected = {
        "leave": [(4321, "enough"), (4321, "enough")],
        "close": [(4000, "over"), (4000, "over")],
        "reject": [(1006, ""), (None, "")],
    }
    assert seen == expected[how]
    assert client.kinds.count("close") == (how == "close")


async def test_what_is_released_is_closed() -> None:
    kept: list[t.Any] = []

    async def handler() -> None:
        await websocket.accept()
        kept.append(websocket._get_current_object())  # type: ignore[attr-defined]

    await served(handler)
    with pytest.raises(WebSocketDisconnect, match="1000"):
        await kept[0].send("late")


# The handshake


async def test_accept_tells_headers_and_subprotocol() -> None:
    async def handler() -> None:
        assert websocket.requested_subprotocols == ["chat", "news"]
        await websocket.accept({"Set-Cookie": "a=b"}, "news")
        assert websocket.subprotocol == "news"

    client = await served(handler, subprotocols=["chat", "news"])
    assert client.sent[0] == {
        "type": "websocket.accept",
        "subprotocol": "news",
        "headers": [(b"set-cookie", b"a=b")],
    }


async def test_a_header_may_be_sent_twice() -> None:
    async def handler() -> None:
        await websocket.accept([("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")])

    client = await served(handler)
    assert client.sent[0]["headers"] == [(b"set-cookie", b"a=b"), (b"set-cookie", b"c=d")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"subprotocol": "other"}, "'other' was accepted, and the client offers"),
        ({"headers": {"Sec-WebSocket-Protocol": "x"}}, "is the server's to send"),
        ({"headers": {"X": "a\r\nb: c"}}, "cannot be sent"),
        ({"headers": {"X Y": "a"}}, "cannot be sent"),
    ],
)
async def test_what_cannot_be_accepted(arguments: dict[str, t.Any], message: str) -> None:
    async def handler() -> None:
        with pytest.raises(ValueError, match=message):
            await websocket.accept(**arguments)
        await websocket.accept()

    assert (await served(handler)).kinds == ["accept", "close"]


async def test_reject_is_a_response() -> None:
    async def handler() -> None:
        await websocket.reject(429, {"Retry-After": "7", "Content-Type": "text/plain"}, "later")

    start, body = (await served(handler)).sent
    assert start["status"] == 429
    headers = dict(start["headers"])
    assert headers[b"retry-after"] == b"7"
    assert headers[b"content-length"] == b"5"
    assert body == {"type": "websocket.http.response.body", "body": b"later"}


async def test_reject_where_the_server_cannot_answer() -> None:
    async def handler() -> None:
        await websocket.reject(429)

    client = await served(handler, extensions={})
    assert client.sent == [{"type": "websocket.close", "code": 1000, "reason": ""}]


@pytest.mark.parametrize("status", [101, 200, 299, 600])
async def test_reject_with_a_success(status: int) -> None:
    async def handler() -> None:
        with pytest.raises(ValueError, match="cannot be rejected with the status"):
            await websocket.reject(status)
        await websocket.reject()

    assert (await served(handler)).sent[0]["status"] == 403


async def test_what_the_request_says() -> None:
    seen: list[t.Any] = []

    async def handler() -> None:
        seen.extend([websocket.args["a"], websocket.headers["X-Y"], websocket.cookies["c"]])
        seen.extend([websocket.path, websocket.host, websocket.scheme, websocket.url])
        seen.extend([websocket.endpoint, websocket.view_args, websocket.remote_addr])
        seen.append(repr(websocket))

    headers = [(b"x-y", b"z"), (b"cookie", b"c=d")]
    await served(handler, headers=headers, query_string=b"a=b")
    url = "ws://localhost/?a=b"
    assert seen == [
        *("b", "z", "d", "/", "localhost", "ws", url),
        *("handler", {}, "127.0.0.1", f"<Websocket {url!r} [connecting]>"),
    ]


# Messages


async def test_messages_go_both_ways() -> None:
    async def handler() -> None:
        async for message in websocket:
            await websocket.send(message)

    client = await served(handler, text("é"), binary(b"\xff"), text(""), binary(b""), leave())
    assert client.data == ["é", b"\xff", "", b""]
    assert client.kinds == ["accept", *["send"] * 4]


async def test_json() -> None:
    async def handler() -> None:
        await websocket.send_json(await websocket.receive_json())
        await websocket.send_json(name=await websocket.receive_json())
        await websocket.send_json(1, 2)
        await websocket.send_json()

    client = await served(handler, text("[1]"), binary(b'"\xc3\xa9"'))
    assert client.data == ["[1]", '{"name": "\\u00e9"}', "[1, 2]", "null"]


async def test_json_of_both_kinds_of_arguments() -> None:
    async def handler() -> None:
        with pytest.raises(TypeError, match="args or kwargs"):
            await websocket.send_json(1, name=2)

    await served(handler)


@pytest.mark.parametrize("message", [text("{"), text(""), binary(b"\xff")])
async def test_json_that_is_none(message: t.Any) -> None:
    app = Flask("socket")

    @app.websocket("/")
    async def handler() -> None:
        with pytest.raises(InvalidMessage, match="is no JSON"):
            await websocket.receive_json()
        await websocket.receive_json()

    client = await play(app, "/", message, message)
    assert client.sent[-1] == {"type": "websocket.close", "code": 1007, "reason": "Bad Request"}


@pytest.mark.parametrize("data", [bytearray(b"x"), memoryview(b"x")])
async def test_bytes_of_every_kind(data: t.Any) -> None:
    async def handler() -> None:
        await websocket.send(data)

    assert (await served(handler)).data == [b"x"]


@pytest.mark.parametrize("data", [{"a": 1}, None, 1, ["x"]])
async def test_what_is_no_message(data: t.Any) -> None:
    async def handler() -> None:
        with pytest.raises(TypeError, match=r"str or bytes, not .* send_json"):
            await websocket.send(data)

    await served(handler)


@pytest.mark.parametrize(
    ("message", "fits"),
    [
        (text("x" * 10), True),
        (text("x" * 11), False),
        (text("é" * 5), True),
        (text("é" * 6), False),
        (binary(b"x" * 10), True),
        (binary(b"x" * 11), False),
    ],
    ids=repr,
)
async def test_the_size_of_messages(message: t.Any, fits: bool) -> None:
    app = Flask("socket")
    app.config["WEBSOCKET_MAX_MESSAGE_SIZE"] = 10
    seen: list[t.Any] = []

    @app.websocket("/")
    async def handler() -> None:
        try:
            seen.append(await websocket.receive())
        except WebSocketDisconnect as error:
            seen.append(error.code)

    client = await play(app, "/", message)
    assert seen == [message.get("text") or message.get("bytes") if fits else 1009]
    assert client.sent[-1]["code"] == (1000 if fits else 1009)


async def test_a_client_is_held_to_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    app = Flask("socket")
    app.config["WEBSOCKET_MAX_MESSAGE_RATE"] = 2

    @app.websocket("/")
    async def handler() -> None:
        async for message in websocket:
            await websocket.send(message)

    client = await play(app, "/", *[text("x")] * 6, leave())
    assert client.data == ["x"] * 6
    assert clock.slept == pytest.approx(2.0)


# The end


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
async def test_codes_that_may_be_sent(code: int) -> None:
    async def handler() -> None:
        await websocket.accept()
        await websocket.close(code, "é" * 61)

    client = await served(handler)
    assert client.sent[-1] == {"type": "websocket.close", "code": code, "reason": "é" * 61}


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000])
async def test_codes_that_must_not_be_sent(code: int) -> None:
    async def handler() -> None:
        with pytest.raises(ValueError, match=f"cannot be closed with the code {code}"):
            await websocket.close(code)

    await served(handler)


async def test_a_reason_that_is_too_long() -> None:
    async def handler() -> None:
        with pytest.raises(ValueError, match="has 124 bytes"):
            await websocket.close(1000, "é" * 62)

    await served(handler)


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (leave(1000, "done"), 1000, "done"),
        ({"type": "websocket.disconnect"}, 1005, ""),
        ({"type": "websocket.disconnect", "code": None, "reason": None}, 1005, ""),
        (leave(1006), 1006, ""),
    ],
)
async def test_how_a_client_left(message: t.Any, code: int, reason: str) -> None:
    seen: list[t.Any] = []

    async def handler() -> None:
        async for _ in websocket:
            pass
        seen.append((websocket.close_code, websocket.close_reason))
        try:
            await websocket.receive()
        except WebSocketDisconnect as error:
            seen.append((error.code, error.reason, str(error)))

    await served(handler, message)
    told = f"The websocket was closed with code {code}" + (f": {reason}" if reason else "")
    assert seen == [(code, reason), (code, reason, told)]


async def test_a_client_that_left_while_the_handler_sends() -> None:
    """The server says so by an OSError; why, is behind the messages that nobody will read."""
    seen: list[t.Any] = []
    client = Client(text("unread"), leave(1001, "away"))

    async def send(message: t.Any) -> None:
        if message["type"] == "websocket.send":
            raise OSError
        await client.send(message)

    app = Flask("socket")

    @app.websocket("/")
    async def handler() -> None:
        try:
            await websocket.send("x")
        except WebSocketDisconnect as error:
            seen.append((error.code, error.reason))
            raise

    await app(socket_scope("/"), client.receive, send)
    assert seen == [(1001, "away")]


# Sending beside receiving


class Source:
    """Yields what it is given, then waits, fails or ends; counts what is opened and closed."""

    def __init__(self, *items: t.Any, then: str = "wait") -> None:
        self.items, self.then, self.closed = items, then, 0

    async def __aiter__(self) -> AsyncIterator[t.Any]:
        try:
            for item in self.items:
                yield item
            if self.then == "fail":
                raise LookupError("source")
            if self.then == "wait":
                await anyio.sleep_forever()
        finally:
            self.closed += 1


async def test_a_source_is_sent_beside_the_block() -> None:
    source = Source("a", b"b", {"c": 1}, [2], then="end")
    client = Client(text("1"), text("2"))
    seen: list[t.Any] = []

    async def handler() -> None:
        async with websocket.sending(source):
            seen.extend([await websocket.receive(), await websocket.receive()])
            while len(client.sent) < 5:
                await anyio.lowlevel.checkpoint()

    app = Flask("socket")
    app.add_websocket("/", view_func=handler, endpoint="handler")
    await app(socket_scope("/"), *client.ends)
    assert client.data == ["a", b"b", '{"c": 1}', "[2]"]
    assert seen == ["1", "2"]
    assert source.closed == 1


async def test_the_source_is_closed_when_the_block_ends() -> None:
    source = Source("a")

    async def handler() -> None:
        async with websocket.sending(source):
            async for _ in websocket:
                pass

    client = await served(handler, text("x"), leave())
    assert source.closed == 1
    assert client.data == ["a"]


async def test_what_the_source_raises_ends_the_block() -> None:
    source = Source("a", then="fail")
    seen: list[str] = []

    async def handler() -> None:
        try:
            async with websocket.sending(source):
                await anyio.sleep_forever()
        except LookupError:
            seen.append("caught")

    await served(handler)
    assert seen == ["caught"]
    assert source.closed == 1


@pytest.mark.parametrize(
    "error", [KeyError("block"), ExceptionGroup("two", [KeyError(), ValueError()])]
)
async def test_what_the_block_raises_comes_out_as_it_is(error: Exception) -> None:
    source = Source("a")
    seen: list[BaseException] = []

    async def handler() -> None:
        try:
            async with websocket.sending(source):
                raise error
        except Exception as caught:
            seen.append(caught)

    await served(handler)
    assert seen == [error]


async def test_a_block_that_never_receives_ends_with_its_client() -> None:
    source = Source(*["x"] * 5)
    seen: list[int] = []

    async def handler() -> None:
        await websocket.accept()
        client.lost = True
        try:
            async with websocket.sending(source):
                await anyio.sleep_forever()
        except WebSocketDisconnect as error:
            seen.append(error.code)
            raise

    client = Client(leave(4999))
    app = Flask("socket")
    app.add_websocket("/", view_func=handler, endpoint="handler")
    await app(socket_scope("/"), *client.ends)
    assert seen == [4999]
    assert source.closed == 1


async def test_a_source_meets_a_client_that_left() -> None:
    """Its task ends; the block hears of it as soon as it asks."""
    source = Source(*["x"] * 5)

    async def handler() -> None:
        async with websocket.sending(source):
            async for _ in websocket:
                pass
            assert websocket.close_code == 1001

    await served(handler, leave())
    assert source.closed <= 1
