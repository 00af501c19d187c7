"""How far app and client get ahead of each other, and that neither of them stands still."""

from __future__ import annotations

import itertools
import re
import typing as t

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from asyncflask import WebSocketDisconnect
from asyncflask.testing import AsyncClient
from asyncflask.testing.websocket_exchange import QUEUE

from .apps import accept, echo_messages, settle, websocket

pytestmark = pytest.mark.anyio

SEND: Message = {"type": "websocket.send", "text": "x"}
CLOSE: Message = {"type": "websocket.close"}


async def test_an_app_is_as_far_ahead_as_a_queue_holds() -> None:
    sent: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        for number in range(2 * QUEUE):
            await send({"type": "websocket.send", "text": str(number)})
            sent.append(number)
        await send(CLOSE)

    async with AsyncClient(websocket(app)).websocket("/") as ws:
        await settle()
        assert len(sent) == QUEUE
        assert await ws.receive() == "0"
        await settle()
        assert len(sent) == QUEUE + 1
        assert [await ws.receive() for _ in range(2 * QUEUE - 1)][-1] == str(2 * QUEUE - 1)
        with pytest.raises(WebSocketDisconnect):
            await ws.receive()


async def test_leaving_wakes_an_app_that_waits_for_the_reader() -> None:
    sent: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        for number in itertools.count():
            await send(SEND)
            sent.append(number)

    async with AsyncClient(websocket(app)).websocket("/"):
        await settle()
    assert len(sent) == QUEUE


async def test_a_client_is_as_far_ahead_as_a_queue_holds() -> None:
    go_on = anyio.Event()
    sent: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        await go_on.wait()
        await echo_rest(receive)

    async def echo_rest(receive: Receive) -> None:
        while (await receive())["type"] == "websocket.receive":
            pass

    async def send_all(ws: t.Any) -> None:
        for number in range(2 * QUEUE):
            await ws.send("x")
            sent.append(number)

    async with (
        AsyncClient(websocket(app)).websocket("/") as ws,
        anyio.create_task_group() as group,
    ):
        group.start_soon(send_all, ws)
        await settle()
        assert len(sent) == QUEUE
        go_on.set()
    assert len(sent) == 2 * QUEUE


@pytest.mark.parametrize("size", [1, 100_000])
async def test_to_send_all_before_receiving_anything_does_not_stand_still(size: int) -> None:
    async with AsyncClient(websocket(echo_messages)).websocket("/") as ws:
        for _ in range(5 * QUEUE):
            await ws.send(b"x" * size)
        for _ in range(5 * QUEUE):
            assert len(await ws.receive()) == size


async def test_the_bound_of_what_is_left_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncflask.testing.websocket_exchange.CROSSING_BYTES", 1000)
    async with AsyncClient(websocket(echo_messages)).websocket("/") as ws:
        error: RuntimeError | None = None
        while error is None:
            try:
                await ws.send(b"x" * 100)
            except RuntimeError as raised:
                error = raised
        assert re.search("left .* bytes of its messages unread", str(error))
        assert await ws.receive() == b"x" * 100  # it is still of use


async def test_a_close_while_another_task_waits_to_send() -> None:
    errors: list[str] = []

    async def flood(send: Send) -> None:
        try:
            for _ in range(2 * QUEUE):
                await send(SEND)
        except RuntimeError as error:
            errors.append(str(error))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        async with anyio.create_task_group() as group:
            group.start_soon(flood, send)
            await receive()
            await send(CLOSE)

    async with AsyncClient(websocket(app)).websocket("/") as ws:
        await settle()
        await ws.send("close now")
        await settle()
        assert len([message async for message in ws]) == QUEUE
    assert errors == ["The app closed the websocket while it waited to send a message."]


async def test_cancelled_waits_lose_no_message() -> None:
    async with AsyncClient(websocket(echo_messages)).websocket("/") as ws:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await ws.send("lost")
        with anyio.move_on_after(0):
            await ws.receive()
        await ws.send("kept")
        assert await ws.receive() == "kept"


async def test_two_readers_share_what_comes() -> None:
    got: list[t.Any] = []

    async def read(ws: t.Any) -> None:
        got.append(await ws.receive())

    async with (
        AsyncClient(websocket(echo_messages)).websocket("/") as ws,
        anyio.create_task_group() as group,
    ):
        group.start_soon(read, ws)
        group.start_soon(read, ws)
        await settle()
        await ws.send("a")
        await ws.send("b")
        await settle()
    assert sorted(got) == ["a", "b"]
