"""Websockets that end in every way, at every moment: all is closed, and nothing stays."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import time
import typing as t
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest

from asyncflask import Blueprint, Flask, websocket
from asyncflask.ctx import AppContext
from asyncflask.wrappers import Websocket

from ..detectors import Leftovers
from .server import PATIENCE, LiveServer, serving
from .sockets import OLD, TEXT, RawSocket, Stack, closing, frame
from .test_disconnects import Count

pytestmark = pytest.mark.filterwarnings(OLD)

#: Clients that are there at the same time, and leave.
CLIENTS = 30

#: Websockets of each kind of handler that are opened and closed one after another: together 1,000.
CYCLES = 500

#: More than the system takes for a client that does not read.
BIG = b"x" * 1_000_000

#: The websocket as sync code sees it, whose methods return what they do.
here: t.Any = websocket


class Gates:
    """Hold handlers of both kinds until they are opened."""

    def __init__(self) -> None:
        self.for_threads = threading.Event()
        self.for_loop = asyncio.Event()

    def open(self) -> None:
        """Let all go on; to be called on the server's loop."""
        self.for_threads.set()
        self.for_loop.set()

    def shut(self) -> None:
        """Hold who comes from now on."""
        self.for_threads.clear()
        self.for_loop.clear()


def make_app(count: Count, gates: Gates) -> Flask:
    app = Flask(__name__)
    app.config.update(SYNC_WORKERS=CLIENTS)
    app.register_blueprint(on_loop(count, gates))
    app.register_blueprint(in_thread(count, gates))
    return app


def on_loop(count: Count, gates: Gates) -> Blueprint:
    blueprint = Blueprint("async", __name__, url_prefix="/async")

    @blueprint.before_websocket
    async def begin() -> None:
        count("begun")

    @blueprint.teardown_websocket
    async def end(error: BaseException | None) -> None:
        count("torn down")
        if error is not None:
            count("errors")

    add_waiting(blueprint, gates)
    add_sending(blueprint, count)
    return blueprint


def add_waiting(blueprint: Blueprint, gates: Gates) -> None:
    @blueprint.websocket("/late")
    async def late() -> None:
        await gates.for_loop.wait()
        await websocket.accept()
        await websocket.receive()

    @blueprint.websocket("/receiving")
    async def receiving() -> None:
        await websocket.accept()
        async for _ in websocket:
            pass

    @blueprint.websocket("/sending")
    async def sending() -> None:
        while True:
            await websocket.send(BIG)


def add_sending(blueprint: Blueprint, count: Count) -> None:
    async def endless(data: t.Any) -> AsyncIterator[t.Any]:
        count("opened")
        try:
            while True:
                yield data
                await asyncio.sleep(0)
        finally:
            count("closed")

    @blueprint.websocket("/both")
    async def both() -> None:
        async with websocket.sending(endless(BIG)):
            async for _ in websocket:
                pass

    @blueprint.websocket("/tasks")
    async def tasks() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(send_until_gone())
            group.create_task(receive_until_gone())

    async def send_until_gone() -> None:
        async for each in endless("x" * 1000):
            await websocket.send(each)

    async def receive_until_gone() -> None:
        async for _ in websocket:
            pass


def in_thread(count: Count, gates: Gates) -> Blueprint:
    blueprint = Blueprint("sync", __name__, url_prefix="/sync")

    @blueprint.before_websocket
    def begin() -> None:
        count("begun")

    @blueprint.teardown_websocket
    def end(error: BaseException | None) -> None:
        count("torn down")
        if error is not None:
            count("errors")

    @blueprint.websocket("/late")
    def late() -> None:
        gates.for_threads.wait()
        here.accept()
        here.receive()

    @blueprint.websocket("/receiving")
    def receiving() -> None:
        here.accept()
        for _ in here:
            pass

    @blueprint.websocket("/sending")
    def sending() -> None:
        while True:
            here.send(BIG)

    return blueprint


class Watched:
    """A server with all that must come back to what it was.

    :param server: the server, which has handled each kind of websocket once.
    :param count: what its app counts.
    """

    def __init__(self, server: LiveServer, count: Count) -> None:
        self.server, self.count = server, count
        server.rest()
        self._leftovers = Leftovers()
        self._kept = _count_kept()
        self._tasks = server.tasks()

    def leave(self, path: str, begin: Callable[[RawSocket], object]) -> None:
        """Have clients begin something, and leave: every other by RST, the others by FIN."""
        before = self.count["begun"]
        with ExitStack() as connections:
            there = [
                connections.enter_context(RawSocket(self.server, path)) for _ in range(CLIENTS)
            ]
            for client in there:
                begin(client)
            self._wait_until(lambda: self.count["begun"] >= before + CLIENTS)
            for client in there[::2]:
                client.reset()

    def check(self) -> None:
        """Fail unless everything is as it was before the clients came."""
        self._wait_until(lambda: self._state() == self._wanted())
        self.server.rest()
        assert self._leftovers.settled() == []
        self._wait_until(lambda: _count_kept() <= self._kept)

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, (self._state(), _count_kept())
            self.server.on_loop(int)

    def _state(self) -> dict[str, int]:
        count = self.count
        return {
            "torn down": count["torn down"],
            "closed": count["closed"],
            "errors": count["errors"],
            "tasks": max(self.server.tasks(), self._tasks),
        }

    def _wanted(self) -> dict[str, int]:
        count = self.count
        return {
            "torn down": count["begun"],
            "closed": count["opened"],
            "errors": 0,
            "tasks": self._tasks,
        }


def _count_kept() -> int:
    gc.collect()
    kinds = AppContext, Websocket
    return sum(issubclass(type(each), kinds) for each in gc.get_objects())  # some are dead proxies


@pytest.fixture(scope="module")
def gates(socket_stack: Stack) -> Gates:
    return Gates()  # for one event loop


@pytest.fixture(scope="module")
def served(socket_stack: Stack, gates: Gates) -> Iterator[tuple[LiveServer, Count]]:
    count = Count()
    with serving(make_app(count, gates), **socket_stack._asdict()) as server:
        for kind in ("/async", "/sync"):
            with RawSocket(server, f"{kind}/receiving").opened() as client:
                client.send(closing(1000))
                assert client.code() == 1000
        yield server, count


@pytest.fixture
def watched(served: tuple[LiveServer, Count]) -> Watched:
    return Watched(*served)


def test_before_the_acceptance(watched: Watched, kind: str, gates: Gates) -> None:
    """The handler is not interrupted; to accept then is to hear that the client has left."""
    watched.leave(f"{kind}/late", lambda client: None)
    watched.server.on_loop(gates.open)
    watched.check()
    gates.shut()


def test_while_receiving(watched: Watched, kind: str) -> None:
    watched.leave(f"{kind}/receiving", lambda client: client.opened())
    watched.check()


def test_with_half_a_frame(watched: Watched, kind: str) -> None:
    half = frame(TEXT, b"x" * 100_000)[:50_000]
    watched.leave(f"{kind}/receiving", lambda client: client.opened().send(half))
    watched.check()


def test_with_half_a_message(watched: Watched, kind: str) -> None:
    half = frame(TEXT, b"x" * 100_000, final=False)
    watched.leave(f"{kind}/receiving", lambda client: client.opened().send(half))
    watched.check()


def test_with_messages_that_nobody_reads(watched: Watched, kind: str, gates: Gates) -> None:
    watched.leave(
        f"{kind}/late", lambda client: client.send(frame(TEXT, b"x" * 1000) * 5 + closing(1000))
    )
    watched.server.on_loop(gates.open)
    watched.check()
    gates.shut()


@pytest.mark.parametrize("path", ["/async/sending", "/sync/sending", "/async/both"])
def test_while_big_messages_are_sent(watched: Watched, path: str) -> None:
    """The handler waits in `send`, for a client that does not read and then is gone."""
    watched.leave(path, lambda client: client.opened().receive(5000))
    watched.check()


def test_while_tasks_send_and_receive(watched: Watched) -> None:
    """The one that sends hears of it as an exception, and with it the group: it is no error."""
    watched.leave("/async/tasks", lambda client: client.opened().receive(5000))
    watched.check()


def leave_properly(client: RawSocket) -> None:
    client.send(closing(1000))
    assert client.code() == 1000


def leave_in_half_a_frame(client: RawSocket) -> None:
    client.send(frame(TEXT, b"x" * 300)[:7])
    client.reset()


#: The ways in which a client may go.
WAYS: list[Callable[[RawSocket], object]] = [
    leave_properly,
    lambda client: client.send(closing(4999, b"not waiting")),
    lambda client: None,
    lambda client: client.reset(),
    leave_in_half_a_frame,
]


@pytest.mark.time_limit(60)
def test_a_thousand_times(watched: Watched, kind: str) -> None:
    before = watched.count["torn down"]
    for _, leave in zip(range(CYCLES), itertools.cycle(WAYS), strict=False):
        with RawSocket(watched.server, f"{kind}/receiving").opened() as client:
            leave(client)
    watched.check()
    assert watched.count["torn down"] == before + CYCLES
