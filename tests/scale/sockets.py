"""The served app's websockets, of both kinds, and counts of what they do."""

from __future__ import annotations

import typing as t

from asyncflask import Blueprint, Flask, websocket

from .app import Gate
from .tally import Tally

#: Messages that a handler sends, and what each is.
SENT, BIG = 200, b"x" * (1 << 20)

#: The websocket as sync code sees it, whose methods return what they do.
here: t.Any = websocket


def add_sockets(app: Flask, tally: Tally, gate: Gate) -> None:
    """Add the websockets: under ``/sync`` and under ``/async``, as for requests."""
    plain, on_loop = Blueprint("sync sockets", __name__), Blueprint("async sockets", __name__)
    add_sync_sockets(plain, tally, gate)
    add_async_sockets(on_loop, tally, gate)
    app.register_blueprint(plain, url_prefix="/sync")
    app.register_blueprint(on_loop, url_prefix="/async")


def add_sync_sockets(sockets: Blueprint, tally: Tally, gate: Gate) -> None:
    @sockets.before_websocket
    def begin() -> None:
        tally("begun")

    @sockets.teardown_websocket
    def end(error: BaseException | None) -> None:
        tally("torn down")

    @sockets.websocket("/echo")
    def echo() -> None:
        for message in here:
            here.send(message)

    @sockets.websocket("/slow")
    def slow() -> None:
        here.accept()
        gate.wait()
        for message in here:
            tally("bytes", len(message))

    @sockets.websocket("/fast")
    def fast() -> None:
        for _ in range(SENT):
            here.send(BIG)
            tally("sent")


def add_async_sockets(sockets: Blueprint, tally: Tally, gate: Gate) -> None:
    @sockets.before_websocket
    async def begin() -> None:
        tally("begun")

    @sockets.teardown_websocket
    async def end(error: BaseException | None) -> None:
        tally("torn down")

    @sockets.websocket("/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    @sockets.websocket("/slow")
    async def slow() -> None:
        await websocket.accept()
        await gate.wait_async()
        async for message in websocket:
            tally("bytes", len(message))

    @sockets.websocket("/fast")
    async def fast() -> None:
        for _ in range(SENT):
            await websocket.send(BIG)
            tally("sent")
