"""The same script against the test client and against a real server: the same transcript.

On the other side of the wire are uvicorn and the ``websockets`` client.
"""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from asyncflask import Flask, WebSocketDisconnect, request, websocket
from asyncflask.testing import AsyncClient, AsyncWebSocket, WebSocketRefused

from ..conftest import Live
from .apps import accept

Transcript = list[t.Any]


class Peer:
    """A client in a script, which notes what it sees.

    :param transcript: where.
    """

    def __init__(self, transcript: Transcript) -> None:
        self.transcript = transcript

    async def receive(self) -> None:
        """Note the next message, or the end."""
        self.transcript.append(await self.next())

    async def next(self) -> t.Any:
        raise AssertionError

    async def send(self, data: t.Any) -> None:
        raise AssertionError

    async def close(self, code: int, reason: str) -> None:
        raise AssertionError


class TestPeer(Peer):
    __test__ = False
    ws: AsyncWebSocket

    async def next(self) -> t.Any:
        try:
            return await self.ws.receive()
        except WebSocketDisconnect as end:
            return ("closed", end.code, end.reason)

    async def send(self, data: t.Any) -> None:
        await self.ws.send(data)

    async def close(self, code: int, reason: str) -> None:
        await self.ws.close(code, reason)


class WirePeer(Peer):
    ws: ClientConnection

    async def next(self) -> t.Any:
        try:
            return await self.ws.recv()
        except ConnectionClosed:
            return ("closed", self.ws.close_code, self.ws.close_reason)

    async def send(self, data: t.Any) -> None:
        await self.ws.send(data)

    async def close(self, code: int, reason: str) -> None:
        await self.ws.close(code, reason)


Script = Callable[[Peer], Awaitable[None]]
Protocols = list[str]


async def run_here(app: t.Any, path: str, protocols: Protocols, script: Script) -> Transcript:
    peer = TestPeer([])
    client = AsyncClient(app, raise_app_exceptions=False)
    try:
        async with client.websocket(path, subprotocols=protocols) as peer.ws:
            peer.transcript.append(
                (peer.ws.accepted_subprotocol, peer.ws.response_headers.get("x"))
            )
            await script(peer)
    except WebSocketRefused as refused:
        response = refused.response
        peer.transcript.append((response.status_code, response.headers.get("x"), response.text))
    return peer.transcript


@asynccontextmanager
async def wired(url: str, path: str, protocols: Protocols) -> AsyncIterator[ClientConnection]:
    offered = [Subprotocol(name) for name in protocols] or None
    where = url.replace("http", "ws", 1) + path
    async with connect(where, subprotocols=offered, compression=None, proxy=None) as connection:
        yield connection


async def run_live(url: str, path: str, protocols: Protocols, script: Script) -> Transcript:
    peer = WirePeer([])
    try:
        async with wired(url, path, protocols) as peer.ws:
            headers = peer.ws.response.headers if peer.ws.response else {}
            peer.transcript.append((peer.ws.subprotocol, headers.get("x")))
            await script(peer)
    except InvalidStatus as refused:
        response = refused.response
        text = (response.body or b"").decode()
        peer.transcript.append((response.status_code, response.headers.get("x"), text))
    return peer.transcript


# -- the apps ----------------------------------------------------------------------------------


class Logged:
    """What a handler gets: `receive` and `send` that note what the app sees."""

    def __init__(self, log: Transcript, receive: Receive, send: Send) -> None:
        self.log, self._receive, self._send = log, receive, send

    async def receive(self) -> t.Any:
        message = dict(await self._receive())
        if message["type"] == "websocket.disconnect":
            message["reason"] = message.get("reason") or ""
        self.log.append(message)
        return message

    async def send(self, message: t.Any) -> None:
        try:
            await self._send(message)
        except RuntimeError:
            self.log.append(("illegal", message["type"]))
        except OSError:
            self.log.append(("left", message["type"]))


async def echo(app: Logged) -> None:
    await accept(app.send)
    while (message := await app.receive())["type"] == "websocket.receive":
        await app.send({**message, "type": "websocket.send"})


async def greet(app: Logged) -> None:
    await accept(app.send, "v2", (b"x", b"y"))
    await app.receive()


async def end(app: Logged) -> None:
    await accept(app.send)
    await app.receive()
    await app.send({"type": "websocket.send", "bytes": b"last"})
    await app.send({"type": "websocket.close", "code": 4001, "reason": "done"})
    await app.receive()
    await app.send({"type": "websocket.send", "text": "after the end"})
    await app.send({"type": "websocket.close"})


async def leave(app: Logged) -> None:
    await accept(app.send)
    await app.send({"type": "websocket.send", "text": "x"})


async def fail(app: Logged) -> None:
    await leave(app)
    raise LookupError("boom")


async def refuse(app: Logged) -> None:
    await app.send({"type": "websocket.send", "text": "too early"})
    await app.send({"type": "websocket.close"})
    await app.receive()


async def deny(app: Logged) -> None:
    start = {"type": "websocket.http.response.start", "status": 401}
    await app.send({**start, "headers": [(b"x", b"y"), (b"content-length", b"7")]})
    await app.send({"type": "websocket.accept"})
    for piece, more in ((b"not ", True), (b"you", False)):
        body = {"type": "websocket.http.response.body", "body": piece, "more_body": more}
        await app.send(body)


async def no_answer(app: Logged) -> None:
    pass


async def no_answer_but_an_error(app: Logged) -> None:
    raise LookupError("boom")


async def send_to_nobody(app: Logged) -> None:
    await accept(app.send)
    await app.receive()
    await app.receive()
    await app.send({"type": "websocket.send", "text": "x"})


HANDLERS: dict[str, Callable[[Logged], Awaitable[None]]] = {
    f"/{each.__name__}": each
    for each in (
        *(echo, greet, end, leave, fail, refuse, deny, no_answer),
        *(no_answer_but_an_error, send_to_nobody),
    )
}


def logging_app(log: Transcript) -> t.Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            return
        names = ("scheme", "path", "raw_path", "query_string", "root_path", "subprotocols")
        log.append({name: scope[name] for name in (*names, "http_version", "extensions", "state")})
        asked = dict(scope["headers"])
        names_of_handshake = (b"upgrade", b"sec-websocket-version", b"sec-websocket-protocol")
        log.append([(asked.get(name) or b"").lower() for name in names_of_handshake])
        logged = Logged(log, receive, send)
        await logged.receive()
        await HANDLERS[scope["path"]](logged)

    return app


# -- the scripts -------------------------------------------------------------------------------


async def nothing(peer: Peer) -> None:
    pass


async def one_of_each(peer: Peer) -> None:
    for data in ("", "é\0", b"", b"\xff" * 100_000):
        await peer.send(data)
        await peer.receive()


async def all_before_any(peer: Peer) -> None:
    for number in range(200):
        await peer.send(str(number))
    for _ in range(200):
        await peer.receive()


async def goodbye(peer: Peer) -> None:
    await peer.send("x")
    await peer.receive()
    await peer.close(4000, "whatever é")
    await peer.receive()


async def say_and_leave(peer: Peer) -> None:
    await peer.send("x")
    await peer.close(1001, "")
    await peer.receive()


async def to_the_end(peer: Peer) -> None:
    await peer.send("x")
    for _ in range(3):
        await peer.receive()


async def listen(peer: Peer) -> None:
    for _ in range(3):
        await peer.receive()


@pytest.mark.parametrize(
    ("path", "protocols", "script"),
    [
        ("/echo", [], nothing),
        ("/echo?x=%20&y", [], one_of_each),
        ("/echo", [], all_before_any),
        ("/echo", ["v1"], goodbye),
        ("/greet", ["v1", "v2"], nothing),
        ("/end", [], to_the_end),
        ("/leave", [], listen),
        ("/fail", [], listen),
        ("/refuse", [], nothing),
        ("/deny", [], nothing),
        ("/no_answer", [], nothing),
        ("/no_answer_but_an_error", [], nothing),
        ("/send_to_nobody", [], say_and_leave),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
async def test_transcripts(path: str, protocols: Protocols, script: Script, live: Live) -> None:
    ours: Transcript = []
    here = await run_here(logging_app(ours), path, protocols, script)
    theirs: Transcript = []
    server = live(logging_app(theirs), lifespan="off")
    there = await run_live(server.url, path, protocols, script)
    server.rest()
    assert here == there
    assert ours == theirs


def our_app() -> Flask:
    app = Flask(__name__)

    @app.websocket("/room/<name>")
    async def room(name: str) -> None:
        await websocket.accept({"x": "y"}, subprotocol="v2")
        async for message in websocket:
            await websocket.send_json({"room": name, "args": request.args, "data": str(message)})
            if message == "end":
                await websocket.close(4001, "you said so")

    @app.websocket("/sync")
    def sync() -> None:
        for message in websocket:
            websocket.send(message)

    @app.websocket("/closed")
    async def closed() -> None:
        await websocket.reject(418, {"x": "y"}, "no room")

    @app.websocket("/fail")
    async def fail() -> None:
        await websocket.send("x")
        raise LookupError("boom")

    return app


async def talk(peer: Peer) -> None:
    for data in ("a", b"b", "end"):
        await peer.send(data)
        await peer.receive()
    await peer.receive()


@pytest.mark.parametrize(
    ("path", "protocols", "script"),
    [
        ("/room/1?a=b", ["v2"], talk),
        ("/room/1?a=b", ["v2"], goodbye),
        ("/sync", [], one_of_each),
        ("/sync", [], all_before_any),
        ("/closed", [], nothing),
        ("/fail", [], listen),
        ("/nowhere", [], nothing),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
async def test_transcripts_of_our_app(
    path: str, protocols: Protocols, script: Script, live: Live
) -> None:
    app = our_app()
    here = await run_here(app, path, protocols, script)
    server = live(app)
    assert here == await run_live(server.url, path, protocols, script)
    server.rest()
