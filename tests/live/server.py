"""A real uvicorn in a thread of the test process, on a free loopback port."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import typing as t
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import uvicorn

from .. import awake
from ..detectors import slowness
from .wire import Answer, Connection, request

T = t.TypeVar("T")

LoopName = t.Literal["asyncio", "uvloop"]
HttpName = t.Literal["h11", "httptools"]

#: The two ways to run uvicorn that differ most: nothing compiled, and everything.
STACKS: t.Final[list[tuple[LoopName, HttpName]]] = [("asyncio", "h11"), ("uvloop", "httptools")]

#: All four.
ALL_STACKS: t.Final[list[tuple[LoopName, HttpName]]] = [
    *STACKS,
    ("asyncio", "httptools"),
    ("uvloop", "h11"),
]

#: Seconds for what takes a fraction of one: a start, a stop, a loop to come to rest.
PATIENCE = 10.0

#: Seconds within which any one request has its answer, however hostile it is. The slowest takes
#: less than a tenth of it on an idle machine; a busy one gets more, see `slowness`.
PROMPT = 2.0


class Site:
    """Where a server listens, and how to ask it."""

    address: tuple[str, int]

    #: Seconds within which it answers.
    prompt = PROMPT

    def connect(self) -> Connection:
        """Open a connection; use it with ``with``."""
        return Connection(self.address)

    def ask(self, raw: bytes, method: str = "GET") -> Answer:
        """Send bytes over a connection of their own and return the answer, which comes promptly.

        :param method: what the request's method is, where it has a say in how answers are read.
        """
        began = awake.now()
        with self.connect() as connection:
            connection.send(raw)
            answer = connection.answer(method)
        assert awake.now() - began < self.prompt * slowness(), f"{raw[:60]!r} took too long"
        return answer

    def get(self, target: str, *headers: str, host: str = "here") -> Answer:
        """Send a GET request and return its answer."""
        return self.ask(request("GET", target, *headers, host=host))

    def post(self, target: str, *headers: str, body: bytes = b"") -> Answer:
        """Send a POST request and return its answer."""
        return self.ask(request("POST", target, *headers, body=body), "POST")


class LiveServer(Site, uvicorn.Server):
    """A server that says when it has started, and stops at once when told to.

    :param config: what to serve, and how.
    :param listener: a bound socket.
    """

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self.address = listener.getsockname()[:2]
        self.app: t.Any = config.app
        self.loop: asyncio.AbstractEventLoop
        self._listener = listener
        self._settled = threading.Event()
        self._stopping: asyncio.Event
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="live-server")

    @property
    def url(self) -> str:
        """The server's address as a URL."""
        return "http://{}:{}".format(*self.address)

    def _main(self) -> None:
        try:
            self.run([self._listener])
        except BaseException as error:
            self._error = error
        finally:
            self._settled.set()

    async def main_loop(self) -> None:
        """Serve until `stop`; uvicorn's own loop looks ten times a second."""
        self.loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        await self.on_tick(0)
        self._settled.set()
        await self._stopping.wait()

    def start(self) -> None:
        """Start the thread and wait until the server answers."""
        self._thread.start()
        assert self._settled.wait(PATIENCE), "the server did not start"
        self._raise_error()

    def ask_to_stop(self) -> None:
        """Have the server shut down; to be called on its loop."""
        self._stopping.set()

    def stop(self) -> None:
        """Shut the server down, if it has not been, and wait for the end of its thread."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.ask_to_stop)
        self._thread.join(3 * PATIENCE)
        assert not self._thread.is_alive(), "the server did not stop"
        self._raise_error()
        assert not self.server_state.tasks

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def on_loop(self, func: Callable[[], T]) -> T:
        """Call a function on the server's loop and return its result."""
        future: Future[T] = Future()
        self.loop.call_soon_threadsafe(lambda: future.set_result(func()))
        return future.result(PATIENCE)

    def tasks(self) -> int:
        """Return how many tasks of the server's loop have not ended."""
        return self.on_loop(lambda: len(asyncio.all_tasks(self.loop)))

    def rest(self) -> None:
        """Wait until no connection is open, no request at work, and no thread that it had.

        NOTE: a thread that has done its work is counted as idle, or as held no more, a moment after
        the request that it did it for has ended.
        """
        deadline = time.monotonic() + PATIENCE * slowness()
        while busy := self.on_loop(self._busy):
            assert time.monotonic() < deadline, f"the server does not come to rest: {busy}"

    def _busy(self) -> str:
        """Say what is at work, if anything is; on the loop."""
        state, metrics = self.server_state, getattr(self.app, "sync_metrics", None)
        if state.connections or state.tasks:
            return f"{len(state.connections)} connections, {len(state.tasks)} requests"
        return str(metrics) if metrics and (metrics.in_use or metrics.held) else ""

    def work_on(self, requests: int, seconds: float = PATIENCE) -> None:
        """Wait until so many requests are at work, and each has had its first turn."""
        deadline = time.monotonic() + seconds * slowness()
        while self.on_loop(lambda: len(self.server_state.tasks)) < requests:
            assert time.monotonic() < deadline, "the requests did not come in"
        self.on_loop(int)


@contextmanager
def serving(
    app: t.Any, loop: LoopName = "asyncio", http: HttpName = "h11", **options: t.Any
) -> Iterator[LiveServer]:
    """Serve an app while a block runs.

    :param loop: the event loop to serve it on.
    :param http: the HTTP implementation.
    :param options: more of `uvicorn.Config`'s.
    """
    config = uvicorn.Config(
        app,
        loop=loop,
        http=http,
        log_config=None,
        access_log=False,
        **{"timeout_graceful_shutdown": int(PATIENCE), **options},
    )
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        server = LiveServer(config, listener)
        server.start()
        try:
            yield server
        finally:
            server.stop()
