"""Streams of events from real servers: read as they come, taken up again, and left at any point."""

from __future__ import annotations

import asyncio
import threading
import typing as t
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import ExitStack, aclosing
from functools import partial
from itertools import islice

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint

from asyncflask import EventSourceResponse, Flask, Response, ServerSentEvent, current_app, request
from asyncflask.testing.sse import EventParser, aiter_sse

from .. import awake
from ..detectors import Leftovers
from ..sse_oracle import parse
from .server import PATIENCE, STACKS, LiveServer, Site, serving
from .trio_server import serving_on_trio
from .wire import Connection
from .wire import request as raw_request

#: Clients that listen at the same time.
CLIENTS = 200

#: Clients that leave at each point.
LEAVING = 30


class Count:
    """Counts what happens, from any thread."""

    def __init__(self) -> None:
        self._values: Counter[str] = Counter()
        self._changed = threading.Condition()

    def __call__(self, name: str) -> None:
        with self._changed:
            self._values[name] += 1
            self._changed.notify_all()

    def __getitem__(self, name: str) -> int:
        with self._changed:
            return self._values[name]

    def wait(self, reached: Callable[[Counter[str]], bool]) -> None:
        """Wait until the counts are as wanted."""
        with self._changed:
            assert self._changed.wait_for(lambda: reached(self._values), PATIENCE), self._values


class Resource:
    """What a view opens for its stream, and the response closes."""

    def __init__(self, count: Count) -> None:
        self._count = count
        count("opened")

    def close(self) -> None:
        self._count("closed")


def counted(
    count: Count, events: Callable[[], AsyncGenerator[t.Any, None]]
) -> AsyncIterator[t.Any]:
    """Count how often a stream from the loop begins and ends, which takes it a turn."""

    async def stream() -> AsyncIterator[t.Any]:
        count("begun")
        try:
            async with aclosing(events()) as source:
                async for event in source:
                    yield event
        finally:
            with anyio.CancelScope(shield=True):  # trio asks for it
                await checkpoint()
            count("ended")

    return stream()


def counted_sync(count: Count, events: Callable[[], Iterator[t.Any]]) -> Iterator[t.Any]:
    """Count how often a stream from a thread begins and ends."""
    count("begun")
    try:
        yield from events()
    finally:
        count("ended")


async def endless() -> AsyncGenerator[str, None]:
    while True:
        yield "x" * 100


async def waiting() -> AsyncGenerator[str, None]:
    yield "x"
    await anyio.sleep_forever()


async def silent() -> AsyncGenerator[str, None]:
    await anyio.sleep_forever()
    yield "never"


async def short() -> AsyncGenerator[str, None]:
    yield "last"


def endless_sync() -> Iterator[str]:
    while True:
        yield "x" * 100


def waiting_sync() -> Iterator[str]:
    yield "x"
    current_app.async_to_sync(anyio.sleep_forever)()


def numbers() -> Iterator[ServerSentEvent]:
    start = int(request.headers.get("Last-Event-ID", 0)) + 1
    for number in range(start, start + 10):
        yield ServerSentEvent({"number": number}, id=number, retry=10)


def make_app(count: Count) -> Flask:
    app = Flask("events")

    def add(wrapped: Callable[..., t.Any], source: Callable[[], t.Any], **options: t.Any) -> None:
        async def view() -> Response:
            count("requests")
            response = EventSourceResponse(wrapped(count, source), **options)
            response.call_on_close(Resource(count).close)
            return response

        app.add_url_rule(f"/{source.__name__}", source.__name__, view)

    add(counted, endless)
    add(counted, waiting)
    add(counted, silent, ping=0.02)
    add(counted, short)
    add(counted_sync, endless_sync)
    add(counted_sync, waiting_sync, ping=0.02)
    add(counted_sync, numbers)

    @app.teardown_request
    def note(error: BaseException | None) -> None:
        count("teardowns")

    return app


@pytest.fixture(scope="module", params=[*STACKS, "trio"], ids=str)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Site, Count]]:
    count = Count()
    on_trio = request.param == "trio"
    made = (
        serving_on_trio
        if on_trio
        else partial(serving, loop=request.param[0], http=request.param[1])
    )
    with made(make_app(count)) as server:
        yield server, count


@pytest.fixture
def site(served: tuple[Site, Count]) -> Site:
    return served[0]


@pytest.fixture
def count(served: tuple[Site, Count]) -> Count:
    return served[1]


def url(site: Site) -> str:
    return "http://{}:{}".format(*site.address)


def body_of(raw: bytes) -> bytes:
    """Return what has come so far of a body in the chunked coding."""
    rest = raw.partition(b"\r\n\r\n")[2]
    body = b""
    while b"\r\n" in rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return body


def read_until(connection: Connection, reached: Callable[[bytes], bool]) -> bytes:
    """Read on until the body is as wanted; return it."""
    raw = b""
    while not reached(body_of(raw) if raw.endswith(b"\r\n") else b""):
        piece = connection.socket.recv(65536)
        assert piece, raw
        raw += piece
    return body_of(raw)


def test_headers_and_events_on_the_wire(site: Site) -> None:
    answer = site.get("/short")
    assert answer.status == 200
    assert answer.header("content-type") == "text/event-stream; charset=utf-8"
    assert answer.header("cache-control") == "no-store"
    assert answer.header("x-accel-buffering") == "no"
    assert parse(answer.body).events == [("message", "last", "")]


@pytest.mark.parametrize("path", ["/silent", "/waiting_sync"])
def test_a_silent_stream_is_kept_alive(site: Site, path: str) -> None:
    with site.connect() as connection:
        connection.send(raw_request("GET", path))
        body = read_until(connection, lambda body: body.count(b": ping") >= 3)
    assert len(parse(body).comments) >= 3


def test_headers_come_before_there_is_an_event(site: Site) -> None:
    with (
        httpx.Client(timeout=PATIENCE) as client,
        client.stream("GET", f"{url(site)}/silent") as response,
    ):
        assert response.status_code == 200


def read_some(response: httpx.Response, count: int) -> Iterator[str]:
    """Yield the numbers of so many events, which tell it in two ways."""
    parser = EventParser()
    received = (event for piece in response.iter_raw() for event in parser.feed(piece))
    for event in islice(received, count):
        assert event.json() == {"number": int(event.id)}
        assert event.retry == 10
        yield event.id


def test_a_client_that_reconnects_goes_on_where_it_was(site: Site) -> None:
    seen: list[str] = []
    for count in (3, 10, 7, 1):
        headers = {"Last-Event-ID": seen[-1]} if seen else {}
        with httpx.stream(
            "GET", f"{url(site)}/numbers", headers=headers, timeout=PATIENCE
        ) as response:
            seen += read_some(response, count)
    assert seen == [str(number) for number in range(1, 22)]


async def test_the_test_sides_reader_reads_from_a_server(site: Site) -> None:
    headers = {"Last-Event-ID": "9"}
    async with (
        httpx.AsyncClient(timeout=PATIENCE) as client,
        client.stream("GET", f"{url(site)}/numbers", headers=headers) as response,
    ):
        seen = [event.id async for event in aiter_sse(response)]
    assert seen == [str(number) for number in range(10, 20)]


class Listener(asyncio.Protocol):
    """A client that only notes what it is sent."""

    def __init__(self, wanted: bytes, done: asyncio.Semaphore) -> None:
        self._wanted, self._done, self._seen = wanted, done, b""
        self.transport: t.Any = None

    def connection_made(self, transport: t.Any) -> None:
        self.transport = transport
        transport.write(raw_request("GET", "/news"))

    def data_received(self, data: bytes) -> None:
        before = self._seen.count(self._wanted)
        self._seen += data
        for _ in range(self._seen.count(self._wanted) - before):
            self._done.release()

    @property
    def numbers(self) -> list[str]:
        return [data for _, data, _ in parse(body_of(self._seen)).events]


@pytest.mark.parametrize("stack", STACKS, ids="-".join)
@pytest.mark.time_limit(60)
async def test_events_reach_all_clients_and_no_one_else_is_left(stack: t.Any) -> None:
    """Every client gets each event once and in order; those who leave are forgotten."""
    app, count = Flask("news"), Count()
    listeners: set[asyncio.Queue[int]] = set()

    @app.get("/news")
    async def news() -> Response:
        async def stream() -> AsyncIterator[int]:
            queue: asyncio.Queue[int] = asyncio.Queue()
            listeners.add(queue)
            count("begun")
            try:
                while True:
                    yield await queue.get()
            finally:
                listeners.discard(queue)
                count("ended")

        return EventSourceResponse(stream())

    def tell(number: int) -> None:
        for queue in listeners:
            queue.put_nowait(number)

    with serving(app, *stack) as server:
        loop, done = asyncio.get_running_loop(), asyncio.Semaphore(0)
        clients = [
            (await loop.create_connection(lambda: Listener(b"data:", done), *server.address))[1]
            for _ in range(CLIENTS)
        ]
        await asyncio.to_thread(count.wait, lambda counts: counts["begun"] == CLIENTS)
        for number in range(10):
            await asyncio.to_thread(server.on_loop, lambda number=number: tell(number))
        for _ in range(10 * CLIENTS):
            await asyncio.wait_for(done.acquire(), PATIENCE)
        assert {tuple(client.numbers) for client in clients} == {tuple(map(str, range(10)))}
        for client in clients:
            client.transport.abort()
        await asyncio.to_thread(count.wait, lambda counts: counts["ended"] == CLIENTS)
        await asyncio.to_thread(server.rest)
        assert listeners == set()


# -- leaving ---------------------------------------------------------------------------------------


def settled(counts: Counter[str]) -> bool:
    return (
        counts["teardowns"] == counts["requests"]
        and counts["begun"] == counts["ended"]
        and counts["opened"] == counts["closed"]
    )


def leave(site: Site, count: Count, path: str, seen: Callable[[bytes], bool] | None) -> None:
    """Have clients listen until they have seen something, and leave: by RST or by FIN."""
    left = Leftovers()
    with ExitStack() as connections:
        there = [connections.enter_context(site.connect()) for _ in range(LEAVING)]
        for connection in there:
            connection.send(raw_request("GET", path))
        if seen is not None:
            for connection in there:
                read_until(connection, seen)
        for connection in there[::2]:
            connection.reset()
    site.get("/short")  # so that all who came before were let in
    if isinstance(site, LiveServer):
        site.rest()
    count.wait(settled)
    assert left.settled() == []


def test_before_the_start(site: Site, count: Count) -> None:
    leave(site, count, "/waiting", None)
    leave(site, count, "/waiting_sync", None)


@pytest.mark.parametrize("path", ["/silent", "/waiting", "/waiting_sync"])
def test_while_it_waits(site: Site, count: Count, path: str) -> None:
    leave(site, count, path, lambda body: b"data: x" in body or b": ping" in body)


@pytest.mark.parametrize("path", ["/endless", "/endless_sync"])
def test_in_the_middle_of_it(site: Site, count: Count, path: str) -> None:
    with ExitStack() as connections:
        there = [connections.enter_context(site.connect()) for _ in range(LEAVING)]
        for connection in there:
            connection.send(raw_request("GET", path))
        for connection in there:
            assert len(connection.receive(1000)) == 1000
        for connection in there[::2]:
            connection.reset()
    count.wait(settled)


def test_after_the_end(site: Site, count: Count) -> None:
    leave(site, count, "/short", lambda body: b"data: last" in body)


def test_a_server_that_stops_ends_its_streams() -> None:
    count = Count()
    with serving(make_app(count), timeout_graceful_shutdown=1) as server, ExitStack() as open_:
        for path in ("/silent", "/waiting", "/waiting_sync"):
            connection = open_.enter_context(server.connect())
            connection.send(raw_request("GET", path))
            read_until(connection, lambda body: b": ping" in body or b"data: x" in body)
        began = awake.now()
        server.stop()
        assert awake.now() - began < PATIENCE
    assert (count["requests"], count["ended"], count["teardowns"]) == (3, 3, 3)
