"""Clients that leave in the middle: whatever a request has opened is closed, and nothing stays."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import time
import typing as t
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from asyncflask import Flask, Response, request, send_file
from asyncflask.ctx import AppContext

from ..conftest import Live
from ..detectors import Leftovers
from .server import PATIENCE, STACKS, HttpName, LiveServer, LoopName, serving
from .wire import BYTES, MULTIPART, Connection, multipart, part
from .wire import request as raw_request

#: Clients that are there at the same time, and leave: for each thing that they may have begun.
CLIENTS = 30


class Count:
    """Counts what happens, from any thread."""

    def __init__(self) -> None:
        self._values: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, name: str) -> None:
        with self._lock:
            self._values[name] += 1

    def __getitem__(self, name: str) -> int:
        with self._lock:
            return self._values[name]


class Counting:
    """ASGI middleware that counts the requests that reach the app."""

    def __init__(self, app: t.Any, count: Count) -> None:
        self._app, self._count = app, count

    async def __call__(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        if scope["type"] == "http":
            self._count("requests")
        await self._app(scope, receive, send)


def make_app(count: Count, file: Path, bridged: bool) -> Flask:
    app = Flask(__name__)
    app.asgi_app = Counting(app.asgi_app, count)  # type: ignore[method-assign]
    if bridged:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]

    @app.teardown_request
    def note(error: BaseException | None) -> None:
        count("teardowns")

    add_uploads(app, count)
    add_generators(app, count)

    @app.get("/file")
    async def download() -> Response:
        return send_file(file)

    @app.get("/sync/file")
    def download_from_thread() -> Response:
        return send_file(file)

    return app


def add_uploads(app: Flask, count: Count) -> None:
    def read() -> str:
        size = len(request.get_data()) + len(request.files)
        count("whole uploads")
        return str(size)

    @app.post("/sync/upload")
    def sync_upload() -> str:
        return read()

    @app.post("/async/upload")
    async def async_upload() -> str:
        return read()

    @app.post("/sync/form")
    def sync_form() -> str:
        _ = request.files
        return read()

    @app.post("/async/form")
    async def async_form() -> str:
        _ = request.files
        return read()

    @app.post("/raw/upload", stream_body=True)
    async def raw_upload() -> str:
        async for _ in t.cast("AsyncIterator[bytes]", request.stream):
            pass
        return read()


def add_generators(app: Flask, count: Count) -> None:
    """Add endless bodies: of both kinds, from both kinds of view, and ones that wait."""

    def endless() -> Iterator[bytes]:
        count("opened")
        try:
            yield from itertools.repeat(b"x" * 10_000)
        finally:
            count("closed")

    async def endless_async() -> AsyncIterator[bytes]:
        count("opened")
        try:
            while True:
                yield b"x" * 10_000
        finally:
            count("closed")

    async def waiting_async() -> AsyncIterator[bytes]:
        count("opened")
        try:
            yield b"x" * 10_000
            await asyncio.get_running_loop().create_future()
        finally:
            count("closed")

    def waiting() -> Iterator[bytes]:
        count("opened")
        try:
            yield b"x" * 10_000
            app.async_to_sync(forever)()
        finally:
            count("closed")

    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    def add(name: str, body: Callable[[], t.Any]) -> None:
        def resource() -> Response:
            count("resources opened")
            response = Response(body())
            response.call_on_close(lambda: count("resources closed"))
            return response

        async def view() -> Response:
            return resource()

        app.add_url_rule(f"/sync/{name}", f"sync {name}", resource, methods=["GET", "POST"])
        app.add_url_rule(f"/async/{name}", f"async {name}", view)

    for name, body in (
        ("endless", endless),
        ("endless_async", endless_async),
        ("waiting", waiting),
        ("waiting_async", waiting_async),
    ):
        add(name, body)


class Watched:
    """A server with all that must come back to what it was.

    :param server: the server, which has handled each kind of request once.
    :param count: what its app counts.
    """

    def __init__(self, server: LiveServer, count: Count) -> None:
        self.server, self.count = server, count
        self.server.rest()
        self._leftovers = Leftovers()
        self._contexts = _count_contexts()
        self._tasks = server.tasks()

    def leave(self, begin: Callable[[Connection], None]) -> None:
        """Have clients begin something, and leave: every other by RST, the others by FIN."""
        before = self.count["requests"]
        with ExitStack() as connections:
            there = [connections.enter_context(self.server.connect()) for _ in range(CLIENTS)]
            for connection in there:
                begin(connection)
            self._wait_until(lambda: self.count["requests"] >= before + CLIENTS)
            for connection in there[::2]:
                connection.reset()

    def check(self) -> None:
        """Fail unless everything is as it was before the clients came."""
        self.server.get("/nowhere")  # so that all who came before were let in
        self.server.rest()
        self._wait_until(lambda: self._state() == self._wanted())
        assert self._state() == self._wanted()
        assert self._leftovers.settled() == []
        self._wait_until(lambda: _count_contexts() <= self._contexts)
        assert _count_contexts() <= self._contexts

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, (self._state(), self._wanted())
            self.server.on_loop(int)

    def _state(self) -> dict[str, int]:
        count = self.count
        return {
            "torn down": count["teardowns"],
            "closed": count["closed"],
            "resources closed": count["resources closed"],
            "whole uploads": count["whole uploads"],
            "tasks": max(self.server.tasks(), self._tasks),
        }

    def _wanted(self) -> dict[str, int]:
        count = self.count
        return {
            "torn down": count["requests"],
            "closed": count["opened"],
            "resources closed": count["resources opened"],
            "whole uploads": 2,
            "tasks": self._tasks,
        }


def _count_contexts() -> int:
    gc.collect()
    return sum(issubclass(type(each), AppContext) for each in gc.get_objects())  # dead proxies, too


@pytest.fixture(scope="module", params=STACKS, ids="-".join)
def stack(request: pytest.FixtureRequest) -> t.Any:
    return request.param


@pytest.fixture(scope="module", params=["direct", "bridged"])
def served(
    request: pytest.FixtureRequest, stack: t.Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LiveServer, Count]]:
    file = tmp_path_factory.mktemp("files") / "file.bin"
    file.write_bytes(b"x" * 5_000_000)
    count = Count()
    with serving(make_app(count, file, request.param == "bridged"), *stack) as server:
        for path in ("/sync/upload", "/async/upload"):
            assert server.post(path, BYTES, body=b"x" * 600_000).status == 200
        yield server, count


@pytest.fixture
def watched(served: tuple[LiveServer, Count]) -> Watched:
    return Watched(*served)


@pytest.mark.parametrize("size", [10, 100_000, 600_000])
@pytest.mark.parametrize(
    "path", ["/sync/upload", "/async/upload", "/sync/form", "/async/form", "/raw/upload"]
)
def test_in_the_middle_of_an_upload(watched: Watched, path: str, size: int) -> None:
    body = b"x" * size
    kind = BYTES
    if path.endswith("form"):
        kind, body = MULTIPART, multipart(part(b"a", body, filename=b"f"), closed=False)[:-2]
    raw = raw_request("POST", path, kind, f"Content-Length: {2 * size + 200}", body=body)
    watched.leave(lambda connection: connection.send(raw))
    watched.check()


@pytest.mark.parametrize("name", ["endless", "endless_async", "waiting", "waiting_async"])
@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_in_the_middle_of_a_stream(watched: Watched, path: str, name: str) -> None:
    def begin(connection: Connection) -> None:
        connection.send(raw_request("GET", f"{path}/{name}"))
        assert len(connection.receive(5_000)) == 5_000

    before = watched.count["opened"]
    watched.leave(begin)
    assert watched.count["opened"] == before + CLIENTS
    watched.check()


@pytest.mark.parametrize("sent", [100_000, 400_000])
@pytest.mark.parametrize("name", ["endless", "endless_async", "waiting", "waiting_async"])
def test_in_the_middle_of_a_stream_and_of_an_upload(watched: Watched, name: str, sent: int) -> None:
    """Nobody reads the upload, behind which the server learns that the client has left."""
    raw = raw_request("POST", f"/sync/{name}", "Content-Length: 400000", body=b"y" * sent)

    def begin(connection: Connection) -> None:
        connection.send(raw)
        assert len(connection.receive(5_000)) == 5_000

    before = watched.count["opened"]
    watched.leave(begin)
    assert watched.count["opened"] == before + CLIENTS
    watched.check()


@pytest.mark.parametrize("path", ["/file", "/sync/file"])
def test_in_the_middle_of_a_file(watched: Watched, path: str) -> None:
    def begin(connection: Connection) -> None:
        connection.send(raw_request("GET", path))
        assert len(connection.receive(5_000)) == 5_000

    watched.leave(begin)
    watched.check()


@pytest.mark.parametrize("name", ["endless", "endless_async", "waiting", "waiting_async"])
@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_at_once(watched: Watched, path: str, name: str) -> None:
    """Gone before there is an answer: what the view opened is closed, begun or not."""
    before = watched.count["resources opened"]
    for _ in range(CLIENTS):
        with watched.server.connect() as connection:
            connection.send(raw_request("GET", f"{path}/{name}"))
    watched.check()
    assert watched.count["resources opened"] > before


@pytest.mark.parametrize(("loop", "http"), STACKS)
@pytest.mark.parametrize("bridged", [False, True], ids=["direct", "bridged"])
@pytest.mark.parametrize("way", ["FIN", "RST"])
def test_while_a_view_works(
    live: Live, loop: LoopName, http: HttpName, bridged: bool, way: str
) -> None:
    """The view is not interrupted; its response is closed unsent, and the request torn down."""
    app = Flask(__name__)
    begun, gone, ended = (threading.Semaphore(0) for _ in range(3))
    closed = threading.Semaphore(0)
    if bridged:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]

    def respond() -> Response:
        response = Response(iter(["never sent"]))
        response.call_on_close(closed.release)
        return response

    @app.get("/sync")
    def sync_view() -> Response:
        begun.release()
        assert gone.acquire(timeout=PATIENCE)
        return respond()

    @app.get("/async")
    async def async_view() -> Response:
        begun.release()
        assert await asyncio.to_thread(gone.acquire, timeout=PATIENCE)
        return respond()

    @app.teardown_request
    def note(error: BaseException | None) -> None:
        ended.release()

    server = live(app, loop=loop, http=http)
    for path in ("/sync", "/async"):
        with server.connect() as connection:
            connection.send(raw_request("GET", path))
            assert begun.acquire(timeout=PATIENCE)
            if way == "RST":
                connection.reset()
        while server.on_loop(lambda: bool(server.server_state.connections)):
            pass  # until the server has noticed
        gone.release()
        assert closed.acquire(timeout=PATIENCE)
        assert ended.acquire(timeout=PATIENCE)
