"""Whoever is too fast is held back: a client by a handler, a handler by a client."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
import typing as t
from types import SimpleNamespace

import anyio
import pytest

from asyncflask import Flask, WebSocketDisconnect, pace, websocket

from ..conftest import Live
from .server import PATIENCE, LiveServer
from .sockets import (
    BINARY,
    OLD,
    SOCKET_STACKS,
    TEXT,
    Heard,
    RawSocket,
    Stack,
    closing,
    frame,
    open_socket,
)
from .wire import Connection

pytestmark = pytest.mark.filterwarnings(OLD)
stacks = pytest.mark.parametrize("stack", SOCKET_STACKS, ids="-".join)

MIB = 1 << 20

#: Messages that a client sends, and bytes of each: together 50 MB.
MESSAGES = {"/async": (50_000, 1000), "/sync": (5_000, 10_000)}

#: Messages of 1 MiB that a handler sends: 200 MB.
SENT = 200

#: Bytes that the system and the server may keep for the slower side. Linux takes up to 6 MiB for a
#: reader and 4 MiB for a writer by itself.
KEPT = 16 * MIB

#: Seconds in which a peer that takes anything at all has taken something.
STILL = 0.5

#: The websocket as sync code sees it, whose methods return what they do.
here: t.Any = websocket


def is_held_back(client: Connection) -> bool:
    """Whether the other side takes nothing more."""
    return not select.select([], [client.socket], [], STILL)[1]


def send_until_held_back(client: Connection, data: memoryview) -> int:
    """Send until the other side takes no more, or all is sent; return how much was."""
    sent = 0
    client.socket.setblocking(False)
    while sent < len(data) and not is_held_back(client):
        sent += client.socket.send(data[sent : sent + 65_536])
    client.socket.setblocking(True)
    client.socket.settimeout(PATIENCE)
    return sent


def send_all(client: Connection, data: memoryview) -> None:
    """Send all, as long as the other side takes some of it now and then."""
    while data:
        data = data[client.socket.send(data[:65_536]) :]


@stacks
@pytest.mark.time_limit(60)
@pytest.mark.parametrize("kind", MESSAGES)
def test_a_slow_handler_holds_its_client_back(live: Live, stack: Stack, kind: str) -> None:
    """What it does not ask for stays with the client; all of it comes, in order, when it does."""
    app = Flask(__name__)
    heard = Heard()
    for_threads, for_loop = threading.Event(), asyncio.Event()

    @app.websocket("/async")
    async def slow() -> None:
        await websocket.accept()
        await for_loop.wait()
        heard.put(sum([len(message) async for message in websocket]))

    @app.websocket("/sync")
    def slow_in_thread() -> None:
        here.accept()
        for_threads.wait()
        heard.put(sum(len(message) for message in here))

    server = live(app, **stack._asdict())
    with RawSocket(server, kind).opened() as client:
        number, size = MESSAGES[kind]
        data = memoryview(frame(TEXT, b"x" * size) * number + closing(1000))
        sent = send_until_held_back(client, data)
        assert sent < KEPT
        server.on_loop(for_loop.set)
        for_threads.set()
        send_all(client, data[sent:])
        assert client.code() == 1000
    assert heard.next() == number * size


class Messages:
    """What a handler sends, and how much of it was asked for."""

    def __init__(self) -> None:
        self.made = 0

    def __iter__(self) -> t.Iterator[bytes]:
        message = b"x" * MIB
        while self.made < SENT:
            self.made += 1
            yield message


def add_fast_handlers(app: Flask, messages: Messages, heard: Heard) -> None:
    @app.websocket("/async")
    async def fast() -> None:
        try:
            for message in messages:
                await websocket.send(message)
        except WebSocketDisconnect:
            heard.put("left")

    @app.websocket("/sync")
    def fast_in_thread() -> None:
        try:
            for message in messages:
                here.send(message)
        except WebSocketDisconnect:
            heard.put("left")

    async def source() -> t.AsyncIterator[bytes]:
        try:
            for message in messages:
                yield message
        finally:
            heard.put("left")

    @app.websocket("/source")
    async def fast_beside() -> None:
        async with websocket.sending(source()):
            async for _ in websocket:
                pass


@pytest.fixture
def messages() -> Messages:
    return Messages()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def fast(stack: Stack, live: Live, messages: Messages, heard: Heard) -> LiveServer:
    """A server whose handlers send as much as they can."""
    app = Flask(__name__)
    add_fast_handlers(app, messages, heard)
    return live(app, **stack._asdict())


def hold_back(fast: LiveServer, messages: Messages, client: RawSocket) -> None:
    """Read nothing until the handler sends nothing more; fail if it has sent too much by then."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    wait_until_still(fast, lambda: messages.made)
    assert 0 < messages.made * MIB < KEPT


@stacks
@pytest.mark.parametrize("kind", ["/async", "/sync", "/source"])
def test_a_slow_client_holds_its_handler_back(
    fast: LiveServer, messages: Messages, kind: str
) -> None:
    """It waits in `send`; all comes when the client reads."""
    with RawSocket(fast, kind).opened() as client:
        hold_back(fast, messages, client)
        for _ in range(SENT):
            opcode, payload = client.frame()
            assert (opcode, len(payload)) == (BINARY, MIB)
        client.send(closing(1000))
    fast.rest()


@stacks
@pytest.mark.parametrize("kind", ["/async", "/sync", "/source"])
def test_a_slow_client_that_leaves(
    fast: LiveServer, messages: Messages, heard: Heard, kind: str
) -> None:
    """The handler, which waits in `send`, hears of it there; what it has not made, nobody needs."""
    with RawSocket(fast, kind).opened() as client:
        hold_back(fast, messages, client)
        client.reset()
    assert heard.next() == "left"
    assert messages.made * MIB < KEPT
    fast.rest()


def wait_until_still(server: LiveServer, value: t.Callable[[], int]) -> None:
    """Wait until a value has not changed while the loop went round 200 times."""
    still, before = 0, -1
    while still < 200:
        now = value()
        still = still + 1 if now and now == before else 0
        before = now
        server.on_loop(int)


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await anyio.lowlevel.checkpoint()


@stacks
@pytest.mark.parametrize("kind", ["/async", "/sync"])
def test_the_rate_of_messages(
    live: Live, monkeypatch: pytest.MonkeyPatch, stack: Stack, kind: str
) -> None:
    """A second's worth at once; then each at its time."""
    clock = Clock()
    monkeypatch.setattr(pace, "monotonic", clock.monotonic)
    monkeypatch.setattr(pace, "anyio", SimpleNamespace(sleep=clock.sleep))
    app = Flask(__name__)
    app.config["WEBSOCKET_MAX_MESSAGE_RATE"] = 4

    @app.websocket("/async")
    async def times() -> None:
        async for _ in websocket:
            await websocket.send(f"{clock.now:.2f}")

    @app.websocket("/sync")
    def times_in_thread() -> None:
        for _ in here:
            here.send(f"{clock.now:.2f}")

    server = live(app, **stack._asdict())
    with open_socket(server, kind) as client:
        for _ in range(10):
            client.send("now")
        told = [client.recv(PATIENCE) for _ in range(10)]
        assert told[:4] == ["1000.00"] * 4
        assert told[4:] == ["1000.25", "1000.50", "1000.75", "1001.00", "1001.25", "1001.50"]
        clock.now += 60  # of silence, which does not count as more than a second
        for _ in range(6):
            client.send("now")
        assert [client.recv(PATIENCE) for _ in range(6)] == [
            *["1061.50"] * 4,
            "1061.75",
            "1062.00",
        ]
