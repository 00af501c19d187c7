"""The standard library's validator between the bridge and an application finds nothing wrong."""

from __future__ import annotations

import sys
import typing as t
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from wsgiref.validate import validator

import pytest
from werkzeug.exceptions import NotFound

from asyncflask import Flask, Response, jsonify, redirect, request, send_file, session

from ..scopes import Header, scope
from .conversation import Conversation, ask, body

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)

Environ = dict[str, t.Any]
Start = t.Any

PLAIN = [("Content-Type", "text/plain")]

SOURCE = Path(__file__).read_bytes()


@pytest.fixture(autouse=True)
def no_complaint(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """What it cannot raise, the validator prints: an iterable that nobody closed."""
    yield
    assert capsys.readouterr().err == ""


def a_list(environ: Environ, start: Start) -> Iterable[bytes]:
    start("200 OK", PLAIN)
    return [b"a", b"b"]


def a_generator(environ: Environ, start: Start) -> Iterable[bytes]:
    start("200 OK", [*PLAIN, ("Content-Length", "2")])
    return (chunk for chunk in (b"a", b"b"))


def written(environ: Environ, start: Start) -> Iterable[bytes]:
    write = start("200 OK", PLAIN)
    write(b"a")
    return [b"b"]


def failed(environ: Environ, start: Start) -> Iterable[bytes]:
    start("200 OK", PLAIN)
    try:
        raise KeyError
    except KeyError:
        start("500 Oops", PLAIN, sys.exc_info())
    return [b"ab"]


def read(environ: Environ, start: Start) -> Iterable[bytes]:
    content = environ["wsgi.input"].read(-1) + environ["wsgi.input"].readline()
    environ["wsgi.errors"].write("")
    environ["wsgi.errors"].flush()
    start("200 OK", PLAIN)
    return [content or b"ab"]


def from_file(environ: Environ, start: Start) -> Iterable[bytes]:
    start("200 OK", PLAIN)
    file = Path(__file__).open("rb")  # noqa: SIM115 - closed by the wrapper
    return t.cast("Iterable[bytes]", environ["wsgi.file_wrapper"](file, 10))


def nothing(environ: Environ, start: Start) -> Iterable[bytes]:
    start("204 No Content", [])
    return []


APPLICATIONS: list[Callable[[Environ, Start], Iterable[bytes]]] = [
    a_list,
    a_generator,
    written,
    failed,
    read,
    from_file,
    nothing,
]


@pytest.mark.parametrize("application", APPLICATIONS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/a/b", "/ü"])
async def test_applications(application: t.Any, method: str, path: str) -> None:
    got = await ask(
        validator(application),
        body(b"ab"),
        method=method,
        path=path,
        headers=[(b"content-length", b"2"), (b"content-type", b"text/plain")],
        query_string=b"a=1",
    )
    assert got.status == {failed: 500, nothing: 204}.get(application, 200)
    assert got.ended
    wanted = {from_file: SOURCE, nothing: b""}.get(application, b"ab")
    assert got.body == (b"" if method == "HEAD" else wanted)


async def test_below_a_prefix() -> None:
    for path in ("/sub", "/sub/", "/sub/a"):
        assert (await ask(validator(a_list), path=path, root_path="/sub")).status == 200


async def test_it_would_find_something(caplog: pytest.LogCaptureFixture) -> None:
    def wrong(environ: Environ, start: Start) -> Iterable[bytes]:
        start("200 OK", [])  # no content type
        return [b"a"]

    assert (await ask(validator(wrong))).status == 500
    assert "AssertionError" in caplog.text


def make_app() -> Flask:
    app = Flask("validated")
    app.secret_key = "k"
    app.wsgi_app = validator(app.wsgi_app)  # type: ignore[assignment,method-assign]
    add_views(app)
    add_bodies(app)
    return app


def add_views(app: Flask) -> None:
    @app.get("/sync")
    def sync_view() -> str:
        session["seen"] = True
        return "sync"

    @app.get("/async")
    async def async_view() -> t.Any:
        return jsonify(a=1)

    @app.get("/redirect")
    def redirecting() -> t.Any:
        return redirect("/sync")

    @app.get("/missing")
    def missing() -> t.NoReturn:
        raise NotFound

    @app.get("/nothing")
    def nothing() -> Response:
        response = Response(status=204)
        del response.headers["Content-Type"]  # as the validator wants it, and werkzeug does not
        return response

    @app.get("/stream")
    def stream() -> Response:
        return Response(chunk for chunk in ("a", "b"))

    @app.get("/async/stream")
    async def async_stream() -> Response:
        async def chunks() -> t.AsyncIterator[str]:
            yield "a"
            yield "b"

        return Response(chunks())

    @app.get("/file")
    def file() -> Response:
        return send_file(__file__, mimetype="text/plain")


def add_bodies(app: Flask) -> None:
    @app.post("/sync/data")
    def data() -> bytes:
        return request.get_data()

    @app.post("/async/data")
    async def async_data() -> bytes:
        return request.get_data()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/sync", 200),
        ("/async", 200),
        ("/redirect", 302),
        ("/missing", 404),
        ("/nothing", 204),
        ("/stream", 200),
        ("/async/stream", 200),
        ("/file", 200),
        ("/nowhere", 404),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_our_own_app(path: str, status: int, method: str) -> None:
    got = await ask_app(path, method)
    assert (got.status, got.ended) == (status, True)


@pytest.mark.parametrize("path", ["/sync/data", "/async/data"])
@pytest.mark.parametrize("size", [10, 200_000])
async def test_our_own_apps_bodies(path: str, size: int) -> None:
    content = b"x" * size
    framing = [(b"content-length", b"%d" % size), (b"content-type", b"text/plain")]
    got = await ask_app(path, "POST", content, framing)
    assert (got.status, got.body) == (200, content)


async def ask_app(
    path: str, method: str, content: bytes = b"", headers: t.Sequence[Header] = ()
) -> Conversation:
    app, got = make_app(), Conversation(body(content))
    try:
        await app(scope(path, method, headers), got.receive, got.send)
    finally:
        await app._budgets.close()
    return got
