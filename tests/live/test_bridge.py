"""WSGI under a real ASGI server: the middleware that people use, and applications of any make."""

from __future__ import annotations

import hashlib
import io
import itertools
import sys
import threading
import time
import typing as t
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from werkzeug.exceptions import ClientDisconnected
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.profiler import ProfilerMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.middleware.shared_data import SharedDataMiddleware
from whitenoise import WhiteNoise

from asyncflask import Flask, g, request, send_file, url_for
from asyncflask.exceptions import PipeClosed

from .server import PATIENCE, STACKS, LiveServer, serving
from .wire import BYTES
from .wire import request as raw_request

Environ = dict[str, t.Any]
Start = t.Any
Application = Callable[[Environ, Start], Iterable[bytes]]

PLAIN = [("Content-Type", "text/plain")]

MIB = 1 << 20

#: Clients that leave, for each way of leaving.
CLIENTS = 30

#: Threads for them: few, so that one that stays occupied is missed.
WORKERS = 4


@pytest.fixture(scope="module", params=STACKS, ids="-".join)
def stack(request: pytest.FixtureRequest) -> t.Any:
    return request.param


# The five that people use


def make_app() -> Flask:
    app = Flask(__name__, static_folder=None)
    app.extensions["torn down"] = Counter[str]()

    @app.before_request
    def open_things() -> None:
        g.thread = threading.get_ident()

    @app.get("/sync")
    def sync_view() -> dict[str, t.Any]:
        return seen()

    @app.get("/async")
    async def async_view() -> dict[str, t.Any]:
        return seen()

    @app.post("/sync/upload")
    def sync_upload() -> str:
        return hashlib.sha256(request.get_data()).hexdigest()

    @app.post("/async/upload")
    async def async_upload() -> str:
        return hashlib.sha256(request.get_data()).hexdigest()

    @app.get("/stream")
    def stream() -> Iterator[bytes]:
        return (b"%d;" % number for number in range(10_000))

    @app.get("/file")
    def file() -> t.Any:
        return send_file(__file__)

    @app.get("/error")
    def error() -> t.NoReturn:
        raise KeyError("on purpose")

    @app.teardown_request
    def note(error: BaseException | None) -> None:
        assert g.thread == threading.get_ident()
        app.extensions["torn down"][request.path] += 1

    return app


def seen() -> dict[str, t.Any]:
    return {
        "address": request.remote_addr,
        "root": request.url_root,
        "here": url_for("sync_view", _external=True),
    }


def proxied(app: Flask, folder: Path) -> t.Any:
    return ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_prefix=1)


def dispatched(app: Flask, folder: Path) -> t.Any:
    return DispatcherMiddleware(app.wsgi_app, {"/below": say_where, "/deep/er": say_where})


def say_where(environ: Environ, start: Start) -> Iterable[bytes]:
    start("200 OK", PLAIN)
    return [f"{environ['SCRIPT_NAME']} {environ['PATH_INFO']}".encode()]


def shared(app: Flask, folder: Path) -> t.Any:
    return SharedDataMiddleware(app.wsgi_app, {"/shared": str(folder)})


def profiled(app: Flask, folder: Path) -> t.Any:
    app.extensions["profile"] = io.StringIO()
    return ProfilerMiddleware(app.wsgi_app, stream=app.extensions["profile"])


def whitened(app: Flask, folder: Path) -> t.Any:
    return WhiteNoise(app.wsgi_app, root=str(folder), prefix="/shared")


MIDDLEWARE: dict[str, Callable[[Flask, Path], t.Any]] = {
    "ProxyFix": proxied,
    "DispatcherMiddleware": dispatched,
    "SharedDataMiddleware": shared,
    "ProfilerMiddleware": profiled,
    "WhiteNoise": whitened,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    (folder / "small.txt").write_bytes(b"0123456789")
    (folder / "large.bin").write_bytes(bytes(range(256)) * 4 * 1024)
    return folder


def served(stack: t.Any, folder: Path, name: str) -> t.ContextManager[LiveServer]:
    app = make_app()
    app.wsgi_app = MIDDLEWARE[name](app, folder)  # type: ignore[method-assign]
    return serving(app, *stack)


@pytest.fixture(scope="module", params=MIDDLEWARE)
def wrapped(request: pytest.FixtureRequest, stack: t.Any, folder: Path) -> Iterator[LiveServer]:
    with served(stack, folder, request.param) as server:
        yield server


@pytest.fixture(scope="module")
def behind_proxy(stack: t.Any, folder: Path) -> Iterator[LiveServer]:
    with served(stack, folder, "ProxyFix") as server:
        yield server


@pytest.fixture(scope="module", params=["SharedDataMiddleware", "WhiteNoise"])
def sharing(request: pytest.FixtureRequest, stack: t.Any, folder: Path) -> Iterator[LiveServer]:
    with served(stack, folder, request.param) as server:
        yield server


def torn_down(server: LiveServer) -> Counter[str]:
    server.rest()
    found: Counter[str] = server.app.extensions["torn down"]
    return +found


def test_views_are_what_they_are(wrapped: LiveServer) -> None:
    before = torn_down(wrapped)
    for path in ("/sync", "/async"):
        assert wrapped.get(path).json["here"] == "http://here/sync"
    assert torn_down(wrapped) - before == {"/sync": 1, "/async": 1}


def test_bodies_are_what_they_are(wrapped: LiveServer) -> None:
    assert wrapped.get("/stream").text == "".join(f"{number};" for number in range(10_000))
    assert wrapped.get("/file").body == Path(__file__).read_bytes()
    for path in ("/sync/upload", "/async/upload"):
        for size in (0, 10, 5 * MIB):
            content = bytes(size)
            answer = wrapped.post(path, BYTES, f"Content-Length: {size}", body=content)
            assert answer.text == hashlib.sha256(content).hexdigest()


def test_answers_without_a_body(wrapped: LiveServer) -> None:
    answer = wrapped.ask(raw_request("HEAD", "/file"), "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.header("Content-Length") == str(Path(__file__).stat().st_size)
    again = wrapped.get("/file", f"If-None-Match: {answer.header('ETag')}")
    assert (again.status, again.body) == (304, b"")


def test_errors_keep_the_connection(wrapped: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    before = torn_down(wrapped)
    with wrapped.connect() as connection:
        for path, status in (("/error", 500), ("/nowhere", 404), ("/sync", 200)) * 3:
            connection.send(raw_request("GET", path))
            assert connection.answer().status == status
    assert torn_down(wrapped) - before == {"/error": 3, "/nowhere": 3, "/sync": 3}
    assert caplog.text.count("Exception on /error [GET]") == 3


@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_proxy_is_believed(behind_proxy: LiveServer, path: str) -> None:
    told = behind_proxy.get(
        path,
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: example.com",
        "X-Forwarded-Prefix: /sub",
    ).json
    assert told["address"] == "192.0.2.1"
    assert told["root"] == "https://example.com/sub/"
    assert told["here"] == "https://example.com/sub/sync"


def test_header_that_poses_as_the_proxys(behind_proxy: LiveServer) -> None:
    told = behind_proxy.get("/sync", "X_Forwarded_For: 192.0.2.9").json
    assert told["address"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("path", "where"),
    [("/below", "/below "), ("/below/a%20b/", "/below /a b/"), ("/deep/er/x", "/deep/er /x")],
)
def test_applications_side_by_side(stack: t.Any, folder: Path, path: str, where: str) -> None:
    with served(stack, folder, "DispatcherMiddleware") as server:
        assert server.get(path).text == where
        assert torn_down(server) == {}


@pytest.mark.parametrize("name", ["small.txt", "large.bin"])
def test_files_beside_the_app(sharing: LiveServer, folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    answer = sharing.get(f"/shared/{name}")
    assert (answer.status, answer.body) == (200, content)
    assert answer.header("Content-Length") == str(len(content))
    known = next(
        f"{condition}: {answer.header(header)}"
        for header, condition in (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since"))
        if answer.header(header)
    )
    assert sharing.get(f"/shared/{name}", known).status == 304
    head = sharing.ask(raw_request("HEAD", f"/shared/{name}"), "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert sharing.get("/shared/none").status == 404


def test_part_of_a_file(stack: t.Any, folder: Path) -> None:
    with served(stack, folder, "WhiteNoise") as server:
        answer = server.get("/shared/large.bin", "Range: bytes=300000-300009")
        assert answer.status == 206
        assert answer.body == (folder / "large.bin").read_bytes()[300_000:300_010]


def test_profile_is_written(stack: t.Any, folder: Path) -> None:
    with served(stack, folder, "ProfilerMiddleware") as server:
        server.get("/sync")
        assert "PATH: '/sync'" in server.app.extensions["profile"].getvalue()


# Applications of any make


class Plain:
    """WSGI applications by path, and what happened to them."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.given = 0
        self.lock = threading.Lock()
        self.gate = threading.Semaphore(0)

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        made: Application = getattr(self, environ["PATH_INFO"].lstrip("/"))
        return made(environ, start)

    def note(self, what: str) -> None:
        with self.lock:
            self.count[what] += 1

    def hello(self, environ: Environ, start: Start) -> Iterable[bytes]:
        start("200 OK", PLAIN)
        return [b"hello"]

    def written(self, environ: Environ, start: Start) -> Iterable[bytes]:
        write = start("200 OK", PLAIN)
        for number in range(1000):
            write(b"%d;" % number)
        return [b"end"]

    def replaced(self, environ: Environ, start: Start) -> Iterable[bytes]:
        start("200 OK", PLAIN)
        try:
            raise KeyError
        except KeyError:
            start("503 Sorry", PLAIN, sys.exc_info())
        return [b"sorry"]

    def too_late(self, environ: Environ, start: Start) -> Iterator[bytes]:
        start("200 OK", PLAIN)
        yield b"begun"
        yield b"more"
        try:
            raise KeyError("on purpose")
        except KeyError:
            start("503 Sorry", PLAIN, sys.exc_info())
        yield b"never"

    def raising(self, environ: Environ, start: Start) -> t.NoReturn:
        raise KeyError("on purpose")

    def short(self, environ: Environ, start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Length", "10")])
        return [b"12345"]

    def short_stream(self, environ: Environ, start: Start) -> Iterator[bytes]:
        start("200 OK", [("Content-Length", "10")])
        yield b"123"
        yield b"45"

    def long(self, environ: Environ, start: Start) -> Iterator[bytes]:
        start("200 OK", [("Content-Length", "5")])
        yield b"123"
        yield b"456"

    def upload(self, environ: Environ, start: Start) -> Iterable[bytes]:
        digest = hashlib.sha256()
        try:
            while chunk := environ["wsgi.input"].read(65_536):
                digest.update(chunk)
        except ClientDisconnected:
            self.note("cut")
            raise
        self.note("whole")
        start("200 OK", PLAIN)
        return [digest.hexdigest().encode()]

    def unread(self, environ: Environ, start: Start) -> Iterable[bytes]:
        environ["wsgi.input"].read(MIB)
        assert self.gate.acquire(timeout=PATIENCE)
        start("413 Too Large", PLAIN)
        return [b"enough"]

    def endless(self, environ: Environ, start: Start) -> Iterator[bytes]:
        start("200 OK", PLAIN)
        self.note("opened")
        try:
            for _ in itertools.repeat(None):
                self.given += 1
                yield b"x" * 16_384
        finally:
            self.note("closed")

    def endless_written(self, environ: Environ, start: Start) -> Iterable[bytes]:
        write = start("200 OK", PLAIN)
        self.note("opened")
        try:
            while True:
                write(b"x" * 16_384)
        except PipeClosed:
            self.note("closed")
            raise

    def download(self, environ: Environ, start: Start) -> Iterator[bytes]:
        start("200 OK", [("Content-Length", str(64 * MIB))])
        for number in range(1024):
            self.given += 1
            yield bytes([number % 256]) * 65_536


@pytest.fixture(scope="module")
def plain(stack: t.Any) -> Iterator[LiveServer]:
    """A server of an app in whose place plain applications answer."""
    app = Flask(__name__)
    app.config["SYNC_WORKERS"] = WORKERS
    app.wsgi_app = Plain()  # type: ignore[assignment]
    with serving(app, *stack) as server:
        yield server


@pytest.fixture
def did(plain: LiveServer) -> Plain:
    """What its applications did during the test."""
    plain.app.wsgi_app.__init__()
    return t.cast("Plain", plain.app.wsgi_app)


def test_what_is_written(plain: LiveServer) -> None:
    wanted = "".join(f"{number};" for number in range(1000)) + "end"
    assert plain.get("/written").text == wanted


def test_error_before_the_headers(plain: LiveServer) -> None:
    answer = plain.get("/replaced")
    assert (answer.status, answer.text) == (503, "sorry")


@pytest.mark.parametrize("path", ["/too_late", "/short_stream"])
def test_error_after_the_headers(
    plain: LiveServer, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The client can tell that it has not got the whole."""
    with plain.connect() as connection:
        connection.send(raw_request("GET", path))
        got = connection.rest()
    assert got.startswith(b"HTTP/1.1 200 ")
    assert not got.endswith(b"0\r\n\r\n")
    plain.rest()
    assert any(record.exc_info for record in caplog.records)


def test_more_than_was_said(plain: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    assert plain.get("/long").body == b"12345"
    plain.rest()
    assert "more bytes than its Content-Length" in caplog.text


def test_errors_before_the_headers_keep_the_connection(
    plain: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    with plain.connect() as connection:
        for path, status in (("/raising", 500), ("/short", 500), ("/hello", 200)) * 3:
            connection.send(raw_request("GET", path))
            assert connection.answer().status == status
    assert caplog.text.count("Exception on /") == 6


@pytest.mark.parametrize("size", [0, 10, 65_537, 8 * MIB])
def test_upload(plain: LiveServer, did: Plain, size: int) -> None:
    content = bytes(size)
    answer = plain.post("/upload", BYTES, f"Content-Length: {size}", body=content)
    assert answer.text == hashlib.sha256(content).hexdigest()
    assert did.count == {"whole": 1}


def test_upload_that_is_not_read_is_not_taken(plain: LiveServer, did: Plain) -> None:
    """The client cannot get rid of more than fits into the buffers on the way."""
    sent = 0
    with plain.connect() as connection:
        connection.send(raw_request("POST", "/unread", f"Content-Length: {256 * MIB}"))
        connection.socket.settimeout(0.2)
        with suppress(TimeoutError):
            for _ in range(256):
                connection.socket.sendall(bytes(MIB))
                sent += 1
        assert sent < 32
        did.gate.release()
        connection.socket.settimeout(PATIENCE)
        assert connection.answer().status == 413


@pytest.mark.parametrize("way", ["FIN", "RST"])
@pytest.mark.parametrize("sent", [0, 10, 1_000_000])
def test_cut_upload(plain: LiveServer, did: Plain, way: str, sent: int) -> None:
    for declared in (f"Content-Length: {sent + 5}", "Transfer-Encoding: chunked"):
        body = b"x" * sent if "Length" in declared else b"%x\r\n%s" % (sent + 5, b"x" * sent)
        with plain.connect() as connection:
            connection.send(raw_request("POST", "/upload", BYTES, declared, body=body))
            if way == "RST":
                connection.reset()
            else:
                connection.finish()
                connection.rest()
        plain.rest()
    assert did.count["whole"] == 0


def test_slow_reader(plain: LiveServer, did: Plain) -> None:
    with plain.connect() as connection:
        connection.send(raw_request("GET", "/download", "Connection: close"))
        deadline = time.monotonic() + PATIENCE
        while not plain.on_loop(lambda: plain.app.sync_metrics.held):  # a thread that waits
            assert time.monotonic() < deadline
        assert did.given * 65_536 < 16 * MIB
        got = connection.rest().partition(b"\r\n\r\n")[2]
    assert len(got) == 64 * MIB
    assert [*got[::65_536]] == [number % 256 for number in range(1024)]


@pytest.mark.parametrize("path", ["/endless", "/endless_written"])
@pytest.mark.parametrize("way", ["FIN", "RST"])
def test_clients_that_leave_a_download(plain: LiveServer, did: Plain, path: str, way: str) -> None:
    """More of them than there are threads: each has its own again as soon as its client is gone."""
    for _ in range(CLIENTS):
        with plain.connect() as connection:
            connection.send(raw_request("GET", path))
            assert len(connection.receive(50_000)) == 50_000
            if way == "RST":
                connection.reset()
    assert plain.get("/hello").text == "hello"
    plain.rest()
    assert did.count == {"opened": CLIENTS, "closed": CLIENTS}
    assert plain.on_loop(lambda: plain.app.sync_metrics.in_use) == 0


@pytest.mark.parametrize("size", [10, 100_000, 1_000_000])
def test_clients_that_leave_while_nobody_reads_their_upload(
    plain: LiveServer, did: Plain, size: int
) -> None:
    """What stands between the server and the news that they left is a body."""
    for number in range(CLIENTS):
        with plain.connect() as connection:
            connection.send(raw_request("POST", "/endless", body=b"x" * size))
            assert len(connection.receive(50_000)) == 50_000
            if number % 2:
                connection.reset()
    assert plain.get("/hello").text == "hello"
    plain.rest()
    assert did.count == {"opened": CLIENTS, "closed": CLIENTS}


def test_clients_that_leave_an_upload(plain: LiveServer, did: Plain) -> None:
    raw = raw_request("POST", "/upload", f"Content-Length: {MIB}", body=b"x" * 100_000)
    for number in range(CLIENTS):
        with plain.connect() as connection:
            connection.send(raw)
            if number % 2:
                connection.reset()
    assert plain.get("/hello").text == "hello"
    plain.rest()
    assert did.count["whole"] == 0
    assert plain.on_loop(lambda: plain.app.sync_metrics.in_use) == 0
