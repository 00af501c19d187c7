"""Calls an ASGI app as a server would, in process: no network, no parsing.

Only the standard library is needed: the workers import this in the environments of the peers.
"""

from __future__ import annotations

import asyncio
import time
import typing as t
from collections.abc import Awaitable, Callable

from .apps import shared
from .workloads import MESSAGES, Workload

Call = Callable[[], Awaitable[None]]
Headers = tuple[tuple[str, str], ...]
Receive = Callable[[], Awaitable[dict[str, t.Any]]]

#: Bytes of a body that come at once, as from uvicorn.
PIECE = 1 << 16

#: Seconds that are measured at a stretch: the clock's own cost must not count.
STRETCH = 0.01


class CallError(Exception):
    """Raised when an app does not answer as it should."""


class Absent(Exception):
    """Raised when an app has no such path."""


class Answer(t.NamedTuple):
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def judged(self, workload: Workload) -> None:
        """Fail if it is not the expected one: a wrong answer is quick to give.

        :raises Absent: if there is nothing at the path, or the whole where a part was asked for,
            which is what servers send that know no ranges (RFC 9110 section 14.2).
        :raises CallError: if it is wrong otherwise.
        """
        if self.status == 404 or (self.status, workload.status) == (200, 206):
            raise Absent
        if self.status != workload.status or not workload.check(self.body):
            raise CallError(f"{workload.path} is answered with {self.status} {self.body[:200]!r}")

    def cookie(self) -> Headers:
        """Return the header by which a client gives back what it was told to keep."""
        kept = [value.partition(";")[0] for name, value in self.headers if name == "set-cookie"]
        return (("cookie", "; ".join(kept)),) if kept else ()


def request_headers(workload: Workload, cookie: Headers) -> list[tuple[str, str]]:
    """Return a request's headers, in lower case."""
    length = [("content-length", str(len(workload.body())))] if workload.body else []
    return [
        *(("host", "127.0.0.1:8000"), ("accept", "*/*"), ("user-agent", "bench")),
        *(*workload.headers, *length, *cookie),
    ]


def scope(path: str) -> dict[str, t.Any]:
    """Return the scope of a plain GET, as uvicorn makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8000"), (b"accept", b"*/*"), (b"user-agent", b"bench")],
        "state": {},
    }


def websocket_scope(path: str) -> dict[str, t.Any]:
    """Return the scope of a handshake, as uvicorn makes it."""
    made = scope(path) | {"type": "websocket", "scheme": "ws", "subprotocols": []}
    del made["method"]
    return made | {"extensions": {"websocket.http.response": {}}}


def receiver(pieces: list[bytes]) -> Receive:
    """Return a `receive` of one request: its body, then nothing, as from a server."""
    left = iter(pieces)
    last = len(pieces) - 1
    given = 0

    async def receive() -> dict[str, t.Any]:
        nonlocal given
        if given > last:
            await asyncio.get_running_loop().create_future()
        given += 1
        return {"type": "http.request", "body": next(left), "more_body": given <= last}

    return receive


def receive_once() -> Receive:
    """Return a `receive` of one request: the empty body of a GET, then nothing."""
    given = False

    async def receive() -> dict[str, t.Any]:
        nonlocal given
        if given:
            await asyncio.get_running_loop().create_future()
        given = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive


async def discard(message: t.Any) -> None:
    """Take a message of the response and drop it."""


class Exchange:
    """One request that is answered in pieces: who listens for the client's leaving hears of it.

    When the answer is complete, as from a server; some frameworks wait for that. The other requests
    do without, as it would take a good part of their time.
    """

    def __init__(self) -> None:
        self._given = self._complete = False
        self._waiting: asyncio.Future[None] | None = None

    async def receive(self) -> dict[str, t.Any]:
        """Give the empty body of a GET, then wait for the end of the answer."""
        if not self._given:
            self._given = True
            return {"type": "http.request", "body": b"", "more_body": False}
        if not self._complete:
            self._waiting = self._waiting or asyncio.get_running_loop().create_future()
            await self._waiting
        return {"type": "http.disconnect"}

    async def send(self, message: t.Any) -> None:
        """Take a message of the response, and look whether it is the last."""
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._complete = True
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(None)


class ASGICaller:
    """Calls an ASGI app, whose lifespan it starts.

    :param app: the app.
    """

    def __init__(self, app: t.Any) -> None:
        self.app = app
        self._lifespan: asyncio.Task[None] | None = None
        self._messages: asyncio.Queue[dict[str, t.Any]] = asyncio.Queue()

    async def start(self) -> None:
        """Run its lifespan, up to where a server would begin to take requests.

        :raises CallError: if the app says that it cannot start.
        """
        started = asyncio.get_running_loop().create_future()

        async def send(message: t.Any) -> None:
            if not started.done():
                started.set_result(message)

        async def run() -> None:
            try:
                await self.app({**scope(""), "type": "lifespan"}, self._messages.get, send)
            except Exception:  # so an app says that it has none
                if started.done():
                    raise
            await send({"type": "lifespan.startup.complete"})

        self._messages.put_nowait({"type": "lifespan.startup"})
        self._lifespan = asyncio.create_task(run())
        if (message := await started)["type"] != "lifespan.startup.complete":
            raise CallError(f"it does not start: {message}")

    async def stop(self) -> None:
        """End its lifespan."""
        self._messages.put_nowait({"type": "lifespan.shutdown"})
        if self._lifespan is not None:
            await self._lifespan

    def scope(self, workload: Workload, cookie: Headers) -> dict[str, t.Any]:
        """Return the scope of a request."""
        headers = [
            (name.encode(), value.encode()) for name, value in request_headers(workload, cookie)
        ]
        return {**scope(workload.path), "method": workload.method, "headers": headers}

    async def answer(self, workload: Workload, cookie: Headers = ()) -> Answer:
        """Return the answer to a request."""
        if workload.websocket:
            if not await echoed(self.app, workload.path, 1):
                raise Absent
            return Answer(200, [], shared.TEXT.encode())
        seen: list[t.Any] = []
        exchange = Exchange()

        async def send(message: t.Any) -> None:
            seen.append(message)
            await exchange.send(message)

        receive = receiver(self.pieces(workload)) if workload.body else exchange.receive
        await self.app(self.scope(workload, cookie), receive, send)
        start = next(each for each in seen if each["type"] == "http.response.start")
        headers = [(name.decode().lower(), value.decode()) for name, value in start["headers"]]
        body = b"".join(bytes(each.get("body", b"")) for each in seen)
        return Answer(start["status"], headers, body)

    def call(self, workload: Workload, cookie: Headers = ()) -> Call:
        """Return a coroutine function that makes the workload's requests."""
        if workload.websocket:
            return self._echoes(workload)
        app, base, pieces = self.app, self.scope(workload, cookie), self.pieces(workload)
        headers = base["headers"]

        if workload.body:

            async def one() -> None:
                given = base | {"headers": [*headers], "state": {}}
                await app(given, receiver(pieces), discard)

        elif workload.lasts:

            async def one() -> None:
                exchange = Exchange()
                given = base | {"headers": [*headers], "state": {}}
                await app(given, exchange.receive, exchange.send)

        else:

            async def one() -> None:
                await app(base | {"headers": [*headers], "state": {}}, receive_once(), discard)

        async def many() -> None:
            await asyncio.gather(*(one() for _ in range(workload.at_once)))

        return one if workload.at_once == 1 else many

    def _echoes(self, workload: Workload) -> Call:
        async def many() -> None:
            if (came := await echoed(self.app, workload.path, MESSAGES)) != MESSAGES:
                raise CallError(f"{came} of {MESSAGES} messages came back")

        return many

    @staticmethod
    def pieces(workload: Workload) -> list[bytes]:
        """Return a request's body as it comes from a server."""
        body = workload.body() if workload.body else b""
        return [body[at : at + PIECE] for at in range(0, len(body), PIECE)] or [b""]


async def echoed(app: t.Any, path: str, count: int, text: str = shared.TEXT) -> int:
    """Send messages, each when the one before it has come back, and return how many did."""
    sent = back = 0
    waiting: asyncio.Future[None] | None = None
    begun = False

    async def receive() -> dict[str, t.Any]:
        nonlocal begun, sent, waiting
        if not begun:
            begun = True
            return {"type": "websocket.connect"}
        if back < sent:  # only from who reads ahead
            waiting = asyncio.get_running_loop().create_future()
            await waiting
        if sent == count:
            return {"type": "websocket.disconnect", "code": 1000, "reason": ""}
        sent += 1
        return {"type": "websocket.receive", "text": text}

    async def send(message: t.Any) -> None:
        nonlocal back, waiting
        if message["type"] == "websocket.send":
            back += message["text"] == text
            if waiting is not None:
                waiting.set_result(None)
                waiting = None

    await app(websocket_scope(path), receive, send)
    return back


async def cost(
    call: Call, seconds: float, requests: int = 1, clock: Callable[[], float] = time.process_time
) -> float:
    """Return the microseconds of processor time that one request costs, over about `seconds`.

    :param requests: how many a call makes.
    :param clock: what to read the time from.
    """
    batch, done, spent = 1, 0, 0.0
    while spent < seconds or not done:
        began = clock()
        for _ in range(batch):
            await call()
        took = clock() - began
        spent += took
        done += batch
        if took < STRETCH:
            batch *= 2
    return spent / done / requests * 1e6
