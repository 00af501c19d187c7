"""Websockets beside other tasks: who gets a turn, and what becomes of who is cancelled."""

from __future__ import annotations

import asyncio
import typing as t
from collections.abc import AsyncIterator

import anyio
import pytest

from asyncflask import Flask, WebSocketDisconnect, websocket

from ..sockets import Message, leave, play, socket_scope, text


class Eager:
    """A server that takes whatever it is sent at once, without a turn of the loop."""

    def __init__(self) -> None:
        self.lost = False
        self.taken = 0
        self._connected = False

    async def receive(self) -> Message:
        if self.lost:
            return {"type": "websocket.disconnect", "code": 1006}
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        await anyio.sleep_forever()
        raise AssertionError

    async def send(self, message: Message) -> None:
        if self.lost:
            raise OSError("lost")
        self.taken += message["type"] == "websocket.send"


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/", "/json", "/source"])
async def test_who_only_sends_leaves_others_their_turn(path: str) -> None:
    """So it can hear that the client has left, which the server learns in a turn of its own."""
    app = Flask("turns")
    told = anyio.Event()

    @app.websocket("/")
    async def send() -> None:
        try:
            while True:
                await websocket.send("x")
        except WebSocketDisconnect:
            told.set()

    @app.websocket("/json")
    async def send_json() -> None:
        try:
            while True:
                await websocket.send_json(1)
        except WebSocketDisconnect:
            told.set()

    async def endless() -> AsyncIterator[str]:
        try:
            while True:
                yield "x"
        finally:
            told.set()

    @app.websocket("/source")
    async def source() -> None:
        with pytest.raises(WebSocketDisconnect):
            async with websocket.sending(endless()):
                await told.wait()

    server = Eager()

    async def lose() -> None:
        while server.taken < 100:
            await anyio.lowlevel.checkpoint()
        server.lost = True

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(lose)
            await app(socket_scope(path), server.receive, server.send)
    assert told.is_set()
    assert 100 <= server.taken < 200


@pytest.mark.anyio
@pytest.mark.parametrize("mistake", [False, True])
async def test_tasks_whose_client_leaves(mistake: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A group of nothing but that is the end of a websocket; any other is what it says."""
    app = Flask("turns")
    ends: list[t.Any] = []

    async def receive() -> None:
        try:
            while True:
                await websocket.receive()
        finally:
            if mistake:
                raise KeyError

    @app.websocket("/")
    async def handle() -> None:
        await websocket.accept()
        async with anyio.create_task_group() as group:
            group.start_soon(receive)

    @app.teardown_websocket
    async def note(error: BaseException | None) -> None:
        ends.append(error)

    await play(app, "/", text("a"), leave())
    assert ends == [None] if not mistake else isinstance(ends[0], ExceptionGroup)
    assert len(caplog.records) == mistake


async def test_a_source_that_cancels_itself_ends_the_block() -> None:
    """On asyncio any code can; it is no silent end of the source."""
    app = Flask("turns")
    seen: list[t.Any] = []

    async def source() -> AsyncIterator[str]:
        try:
            yield "one"
            raise asyncio.CancelledError
        finally:
            seen.append("closed")

    @app.websocket("/")
    async def handle() -> None:
        try:
            async with websocket.sending(source()):
                await anyio.sleep_forever()
        except asyncio.CancelledError:
            seen.append("cancelled")

    client = await play(app, "/")
    assert client.data == ["one"]
    assert seen == ["closed", "cancelled"]


@pytest.mark.anyio
async def test_a_scope_around_that_is_cancelled() -> None:
    """The source is closed, also where it has to wait for that; and nothing else comes out."""
    app = Flask("turns")
    seen: list[t.Any] = []
    begun = anyio.Event()

    async def source() -> AsyncIterator[str]:
        try:
            yield "one"
            begun.set()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            seen.append("closed")

    @app.websocket("/")
    async def handle() -> None:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def cancel() -> None:
                    await begun.wait()
                    scope.cancel()

                group.start_soon(cancel)
                async with websocket.sending(source()):
                    await anyio.sleep_forever()
        seen.append(scope.cancelled_caught)
        await websocket.send("two")

    client = await play(app, "/")
    assert client.data == ["one", "two"]
    assert seen == ["closed", True]
