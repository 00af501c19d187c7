"""A body that its client cuts short is not taken for a whole one, and the teardown runs."""

from __future__ import annotations

import threading
import typing as t
from collections.abc import Callable, Iterator

import pytest
from werkzeug.exceptions import ClientDisconnected
from werkzeug.middleware.proxy_fix import ProxyFix

from asyncflask import Flask, g, request

from .server import PATIENCE, STACKS, LiveServer, serving
from .wire import BYTES, FORM, JSON, MULTIPART, Connection, multipart, part
from .wire import request as raw_request

Read = Callable[[], t.Any]

READERS: dict[str, tuple[str, Read]] = {
    "data": (BYTES, lambda: request.get_data()),
    "stream": (BYTES, lambda: request.stream.read()),
    "lines": (BYTES, lambda: [*request.stream]),
    "pieces": (BYTES, lambda: [*iter(lambda: request.stream.read(977), b"")]),
    "form": (FORM, lambda: dict(request.form)),
    "files": (MULTIPART, lambda: dict(request.files)),
    "json": (JSON, lambda: request.get_json()),
    "silent": (JSON, lambda: request.get_json(silent=True) or _fail()),
}

#: How much of a body is sent of how much: within the first read, beyond what is read ahead, and
#: beyond what is kept in memory.
SIZES = {"small": (10, 1000), "large": (100_000, 200_000), "huge": (600_000, 700_000)}


def _fail() -> t.NoReturn:
    raise ClientDisconnected


class Record:
    """What happened to one request after another."""

    def __init__(self) -> None:
        self.whole: list[str] = []
        self.cut: list[str] = []
        self.torn_down = threading.Semaphore(0)
        self.errors: list[BaseException | None] = []


def make_app(record: Record) -> Flask:
    app = Flask(__name__)

    def read(name: str) -> str:
        try:
            READERS[name][1]()
        except ClientDisconnected:
            record.cut.append(name)
            raise
        record.whole.append(name)
        return "whole"

    @app.post("/sync/<name>")
    def sync_view(name: str) -> str:
        return read(name)

    @app.post("/async/<name>")
    async def async_view(name: str) -> str:
        return read(name)

    @app.post("/hook/<name>")
    async def hooked_view(name: str) -> str:
        return t.cast("str", g.read)

    @app.before_request
    def read_in_hook() -> None:
        if request.path.startswith("/hook/"):
            g.read = read((request.view_args or {})["name"])

    @app.post("/raw/<name>", stream_body=True)
    async def raw_view(name: str) -> str:
        try:
            async for _ in t.cast("t.Any", request.stream):
                pass
        except ClientDisconnected:
            record.cut.append(name)
            raise
        record.whole.append(name)
        return "whole"

    @app.teardown_request
    def note(error: BaseException | None) -> None:
        record.errors.append(error)
        record.torn_down.release()

    return app


@pytest.fixture(scope="module", params=STACKS, ids="-".join)
def stack(request: pytest.FixtureRequest) -> t.Any:
    return request.param


@pytest.fixture(scope="module", params=["direct", "bridged"])
def target(request: pytest.FixtureRequest, stack: t.Any) -> Iterator[LiveServer]:
    record = Record()
    app = make_app(record)
    app.extensions["record"] = record
    if request.param == "bridged":
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    with serving(app, *stack) as server:
        yield server


@pytest.fixture
def record(target: LiveServer) -> Record:
    found: Record = target.app.extensions["record"]
    found.__init__()  # type: ignore[misc]
    return found


def begin(connection: Connection, path: str, name: str, size: str) -> None:
    """Send a request's head and a part of its body."""
    sent, declared = SIZES[size]
    kind = READERS[name][0] if name in READERS else BYTES
    start = {
        FORM: b"a=",
        JSON: b'"',
        MULTIPART: multipart(part(b"a", b"", filename=b"f"), closed=False)[:-2],
        BYTES: b"",
    }[kind]
    body = start + b"x" * (sent - len(start))
    connection.send(raw_request("POST", path, kind, f"Content-Length: {declared}", body=body))


def leave(connection: Connection, way: str) -> None:
    if way == "RST":
        connection.reset()
    else:
        connection.finish()
        assert b"whole" not in connection.rest()


@pytest.mark.parametrize("way", ["FIN", "RST"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("prefix", ["/sync", "/async", "/hook"])
def test_every_reader_sees_that_it_is_cut(
    target: LiveServer, record: Record, prefix: str, size: str, way: str
) -> None:
    for name in READERS:
        with target.connect() as connection:
            begin(connection, f"{prefix}/{name}", name, size)
            leave(connection, way)
        assert record.torn_down.acquire(timeout=PATIENCE), name
    target.rest()
    assert (record.whole, record.cut) == ([], [*READERS])
    assert len(record.errors) == len(READERS)


@pytest.mark.parametrize("way", ["FIN", "RST"])
@pytest.mark.parametrize("size", SIZES)
def test_raw_stream_sees_that_it_is_cut(
    target: LiveServer, record: Record, size: str, way: str
) -> None:
    with target.connect() as connection:
        begin(connection, "/raw/stream", "stream", size)
        leave(connection, way)
    assert record.torn_down.acquire(timeout=PATIENCE)
    target.rest()
    assert (record.whole, record.cut) == ([], ["stream"])


@pytest.mark.parametrize("prefix", ["/sync", "/async", "/hook", "/raw"])
def test_cut_in_the_middle_of_a_chunk(target: LiveServer, record: Record, prefix: str) -> None:
    head = raw_request("POST", f"{prefix}/stream", BYTES, "Transfer-Encoding: chunked")
    for body in (b"", b"5\r\nhel", b"5\r\nhello\r\n", b"5\r\nhello\r\n0\r\n", b"f" * 8):
        with target.connect() as connection:
            connection.send(head + body)
            leave(connection, "FIN")
        assert record.torn_down.acquire(timeout=PATIENCE), body
    target.rest()
    assert record.whole == []


@pytest.mark.parametrize("prefix", ["/sync", "/async", "/hook", "/raw"])
@pytest.mark.parametrize("size", SIZES)
def test_whole_body_is_taken(target: LiveServer, record: Record, prefix: str, size: str) -> None:
    declared = SIZES[size][1]
    answer = target.post(f"{prefix}/stream", BYTES, body=b"x" * declared)
    assert answer.text == "whole"
    assert record.torn_down.acquire(timeout=PATIENCE)
    assert (record.whole, record.cut, record.errors) == (["stream"], [], [None])
