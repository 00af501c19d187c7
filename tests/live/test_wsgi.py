"""One app, under WSGI servers and under an ASGI server: the same answers, and nothing left open."""

from __future__ import annotations

import asyncio
import threading
import typing as t
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from pathlib import Path

import pytest
from starlette.responses import JSONResponse

from asyncflask import (
    Blueprint,
    Flask,
    Response,
    abort,
    g,
    redirect,
    request,
    send_file,
    session,
    stream_with_context,
    url_for,
)

from .load import Client, load
from .server import PATIENCE, Site, serving
from .wire import FORM, JSON, MULTIPART, Connection, multipart, part
from .wire import request as raw_request
from .wsgi_servers import SERVERS, WSGISite

variable: ContextVar[str] = ContextVar("variable")


class Count:
    """What was begun, and what was ended."""

    def __init__(self) -> None:
        self.opened = threading.Semaphore(0)
        self.closed = threading.Semaphore(0)
        self.torn_down = threading.Semaphore(0)


def make_app(count: Count, folder: Path) -> Flask:
    app = Flask(__name__, root_path=str(folder))
    app.secret_key = "secret"
    (folder / "file.bin").write_bytes(bytes(range(256)) * 4000)

    @app.before_request
    def mark() -> None:
        g.marker = request.args.get("marker", "")
        variable.set(g.marker)

    @app.before_request
    async def mark_on_loop() -> None:
        await asyncio.sleep(0)
        assert variable.get() == g.marker

    @app.after_request
    def show(response: Response) -> Response:
        response.headers["X-Marker"] = f"{g.marker}-{variable.get()}"
        return response

    @app.teardown_request
    async def note(error: BaseException | None) -> None:
        count.torn_down.release()

    for kind in ("sync", "async"):
        blueprint = Blueprint(kind, __name__, url_prefix=f"/{kind}")
        for name, view in {**readers(), **makers(), **streams(count)}.items():
            add(blueprint, name, view, kind == "async")
        app.register_blueprint(blueprint)
    add_errors(app)
    return app


def add(blueprint: Blueprint, name: str, view: t.Any, as_coroutine: bool) -> None:
    async def coroutine() -> t.Any:
        await asyncio.sleep(0)
        return view()

    chosen = coroutine if as_coroutine else view
    blueprint.add_url_rule(f"/{name}", name, chosen, methods=["GET", "POST"])


def readers() -> dict[str, t.Any]:
    """Return views that read the request."""

    def form() -> t.Any:
        files = {name: [file.filename, len(file.read())] for name, file in request.files.items()}
        return {"form": request.form, "files": files}

    def visits() -> str:
        session["visits"] = session.get("visits", 0) + 1
        return str(session["visits"])

    return {
        "args": lambda: dict(request.args),
        "form": form,
        "json": lambda: {"got": request.get_json()},
        "data": lambda: str(len(request.get_data())),
        "lines": lambda: str(sum(1 for _ in request.stream)),
        "ignore": lambda: "ignored",
        "visits": visits,
    }


def makers() -> dict[str, t.Any]:
    """Return views that make responses of many kinds."""

    def empty() -> Response:
        response = Response(status=204)
        del response.headers["Content-Type"]  # or PEP 3333's validator complains
        return response

    return {
        "text": lambda: "text \N{SNOWMAN}",
        "bytes": lambda: (b"\0\xff", 201, {"Content-Type": "application/x-made"}),
        "dict": lambda: {"b": 1, "a": [None]},
        "empty": empty,
        "redirect": lambda: redirect(url_for("sync.text", _external=True)),
        "file": lambda: send_file("file.bin"),
        "starlette": lambda: JSONResponse({"star": "lette"}, 202, {"X-Made": "yes"}),
        "wsgi": lambda: Response("inner", 203),
        "abort": lambda: abort(403),
        "error": lambda: 1 // 0,
    }


def streams(count: Count) -> dict[str, t.Any]:
    """Return views whose body is made while it is sent."""

    def body() -> Iterator[str]:
        count.opened.release()
        try:
            for number in range(3):
                yield f"{number} {g.marker} {variable.get()};"
        finally:
            count.closed.release()

    async def body_on_loop() -> AsyncIterator[str]:
        for piece in body():
            await asyncio.sleep(0)
            yield piece

    def endless() -> Iterator[bytes]:
        count.opened.release()
        try:
            while True:
                yield b"x" * 10_000
        finally:
            count.closed.release()

    async def endless_on_loop() -> AsyncIterator[bytes]:
        for piece in endless():
            yield piece

    return {
        "stream": body,
        "stream_on_loop": body_on_loop,
        "context": lambda: stream_with_context(body()),
        "endless": endless,
        "endless_on_loop": endless_on_loop,
    }


def add_errors(app: Flask) -> None:
    @app.errorhandler(403)
    async def forbidden(error: Exception) -> tuple[str, int]:
        await asyncio.sleep(0)
        return f"forbidden {g.marker}", 403

    @app.errorhandler(ZeroDivisionError)
    def divided(error: Exception) -> tuple[str, int]:
        return f"divided {g.marker}", 418


@pytest.fixture(scope="module")
def count() -> Count:
    return Count()


@pytest.fixture(scope="module", params=[*SERVERS, "uvicorn"])
def site(
    request: pytest.FixtureRequest, count: Count, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    app = make_app(count, tmp_path_factory.mktemp("wsgi"))
    server: AbstractContextManager[Site] = SERVERS.get(request.param, serving)(app)
    with server as opened:
        yield opened


@pytest.fixture(autouse=True)
def conforms(site: Site, count: Count) -> Iterator[None]:
    """Fail the test that made a server complain, or left a stream open."""
    while count.torn_down.acquire(blocking=False):
        pass
    yield
    if isinstance(site, WSGISite):
        assert site.complaints() == ""
    while count.opened.acquire(blocking=False):
        assert count.closed.acquire(timeout=PATIENCE)
    assert not count.closed.acquire(blocking=False)


#: Requests by method, path, headers and body: the answer's status and body, or a part of it.
REQUESTS: dict[str, tuple[list[str], bytes, int, bytes]] = {
    "text": ([], b"", 200, b"text \xe2\x98\x83"),
    "bytes": ([], b"", 201, b"\0\xff"),
    "dict": ([], b"", 200, b'{"a":[null],"b":1}\n'),
    "empty": ([], b"", 204, b""),
    "starlette": ([], b"", 202, b'{"star":"lette"}'),
    "wsgi": ([], b"", 203, b"inner"),
    "file": ([], b"", 200, bytes(range(256)) * 4000),
    "abort?marker=1": ([], b"", 403, b"forbidden 1"),
    "error?marker=1": ([], b"", 418, b"divided 1"),
    "args?a=1&b=%E2%98%83": ([], b"", 200, b'{"a":"1","b":"\\u2603"}\n'),
    "stream?marker=1": ([], b"", 200, b"0 1 1;1 1 1;2 1 1;"),
    "stream_on_loop?marker=1": ([], b"", 200, b"0 1 1;1 1 1;2 1 1;"),
    "context?marker=1": ([], b"", 200, b"0 1 1;1 1 1;2 1 1;"),
    "form": ([FORM], b"a=1&b=%E2%98%83", 200, b'{"files":{},"form":{"a":"1","b":"\\u2603"}}\n'),
    "form?": (
        [MULTIPART],
        multipart(part(b"a"), part(b"f", b"x" * 1_000_000, filename=b"f.txt")),
        200,
        b'{"files":{"f":["f.txt",1000000]},"form":{"a":"v"}}\n',
    ),
    "json": ([JSON], b'[1, "\xe2\x98\x83"]', 200, b'{"got":[1,"\\u2603"]}\n'),
    "json?": ([JSON], b"{", 400, b"Bad Request"),
    "json??": ([FORM], b"{}", 415, b"Unsupported Media Type"),
    "data": ([], b"x" * 3_000_000, 200, b"3000000"),
    "lines": ([], b"line\n" * 20_000, 200, b"20000"),
    "ignore": ([], b"x" * 100_000, 200, b"ignored"),
    "nowhere": ([], b"", 404, b"Not Found"),
}


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("name", REQUESTS)
def test_answer(site: Site, count: Count, kind: str, name: str) -> None:
    headers, body, status, expected = REQUESTS[name]
    method = "POST" if body else "GET"
    answer = site.ask(raw_request(method, f"/{kind}/{name}", *headers, body=body), method)
    assert answer.status == status
    assert expected == answer.body if status < 400 else expected in answer.body
    assert count.torn_down.acquire(timeout=PATIENCE)
    assert not count.torn_down.acquire(blocking=False)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_head_has_no_body(site: Site, kind: str) -> None:
    for name in ("text", "file", "stream", "stream_on_loop", "context", "starlette"):
        answer = site.ask(raw_request("HEAD", f"/{kind}/{name}"), "HEAD")
        assert (answer.status, answer.body) == (202 if name == "starlette" else 200, b"")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_headers(site: Site, kind: str) -> None:
    made = site.get(f"/{kind}/starlette?marker=7")
    assert (made.header("X-Made"), made.header("X-Marker")) == ("yes", "7-7")
    assert made.header("Content-Type") == "application/json"
    assert site.get(f"/{kind}/bytes").header("Content-Type") == "application/x-made"
    assert site.get(f"/{kind}/text").header("Content-Length") == "8"
    moved = site.get(f"/{kind}/redirect")
    assert (moved.status, moved.header("Location")) == (302, "http://here/sync/text")
    ranged = site.get(f"/{kind}/file", "Range: bytes=5-6")
    assert (ranged.status, ranged.body) == (206, b"\5\6")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_session_is_kept(site: Site, kind: str) -> None:
    cookie = "Cookie: none=none"
    for visit in ("1", "2", "3"):
        answer = site.get(f"/{kind}/visits", cookie)
        assert answer.text == visit
        cookie = f"Cookie: {answer.header('Set-Cookie')}".partition(";")[0]


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("name", ["endless", "endless_on_loop"])
def test_stream_is_closed_if_the_client_leaves(
    site: Site, count: Count, kind: str, name: str
) -> None:
    def leave(connection: Connection) -> None:
        connection.send(raw_request("GET", f"/{kind}/{name}"))
        assert len(connection.receive(50_000)) == 50_000

    for _ in range(5):
        with site.connect() as connection:
            leave(connection)
        assert count.opened.acquire(timeout=PATIENCE)
        assert count.closed.acquire(timeout=PATIENCE)
        assert count.torn_down.acquire(timeout=PATIENCE)


def test_requests_do_not_mix(site: Site) -> None:
    names = ["stream", "stream_on_loop", "context", "abort", "error"]

    async def work(number: int, client: Client) -> None:
        name = names[number % len(names)]
        kind = ("sync", "async")[number % 2]
        raw = raw_request("GET", f"/{kind}/{name}?marker={number}", "Connection: close")
        reply = await client.ask(raw)
        assert reply.raw_header("X-Marker") == f"{number}-{number}"
        if reply.status == 200:
            expected = "".join(f"{piece} {number} {number};" for piece in range(3))
            assert reply.body.decode() == expected

    load(site.address, 100, work)
