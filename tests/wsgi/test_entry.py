"""The WSGI entry under a strict server: what is sent, closed and torn down."""

from __future__ import annotations

import asyncio
import threading
import typing as t
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from wsgiref.util import FileWrapper

import anyio.from_thread
import pytest
from starlette.responses import FileResponse, JSONResponse, StreamingResponse

from asyncflask import Flask, Response, abort, g, redirect, request, send_file, stream_with_context

from .servers import Play, ask, make_environ, validated


class Record:
    """What happened, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def note(self, event: str) -> None:
        self.events.append(event)


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
def app(tmp_path: Path, record: Record) -> Flask:
    app = Flask(__name__, root_path=str(tmp_path))
    (tmp_path / "file.txt").write_bytes(b"content" * 1000)

    @app.teardown_request
    def note(error: BaseException | None) -> None:
        record.note("torn down")

    for name, make in makers(tmp_path, record).items():
        add(app, name, make)
    return app


def add(app: Flask, name: str, make: t.Callable[[], t.Any]) -> None:
    """Add a sync and an async view that return what `make` makes."""

    async def as_coroutine() -> t.Any:
        await asyncio.sleep(0)
        return make()

    app.add_url_rule(f"/sync/{name}", f"sync-{name}", make, methods=["GET", "POST"])
    app.add_url_rule(f"/async/{name}", f"async-{name}", as_coroutine, methods=["GET", "POST"])


def makers(folder: Path, record: Record) -> dict[str, t.Callable[[], t.Any]]:
    """Return what makes a value of each kind that a view may return."""

    def pieces() -> Iterator[str]:
        try:
            yield "one;"
            yield "two;"
        finally:
            record.note("closed")

    async def pieces_on_loop() -> AsyncIterator[str]:
        try:
            async with asyncio.timeout(10):
                yield "one;"
                await asyncio.sleep(0)
                yield "two;"
        finally:
            await asyncio.sleep(0)
            record.note("closed")

    async def asgi(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        head = {"type": "http.response.start", "status": 202}
        await send({**head, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"raw ", "more_body": True})
        await send({"type": "http.response.body", "body": scope["method"].encode()})

    def on_close() -> Response:
        response = Response("text")
        response.call_on_close(lambda: record.note("on close"))
        return response

    return {
        "str": lambda: "text",
        "bytes": lambda: b"\0\xff",
        "dict": lambda: {"a": 1},
        "list": lambda: [1, None],
        "tuple": lambda: ("made", 201, {"X-Made": "yes"}),
        "response": lambda: Response("response", 203),
        "empty": lambda: ("", 204),
        "unchanged": lambda: ("", 304),
        "generator": pieces,
        "async generator": pieces_on_loop,
        "iterator": lambda: iter(["one;", b"two;"]),
        "with context": lambda: stream_with_context(pieces_on_loop()),
        "file": lambda: send_file("file.txt"),
        "wsgi": lambda: Response.from_app(Flask("other"), make_environ(path="/nowhere")),
        "asgi": lambda: asgi,
        "json response": lambda: JSONResponse({"a": 1}),
        "streaming response": lambda: StreamingResponse(pieces_on_loop(), media_type="text/plain"),
        "file response": lambda: FileResponse(folder / "file.txt"),
        "redirect": lambda: redirect("/elsewhere"),
        "abort": lambda: abort(403),
        "error": lambda: 1 // 0,
        "on close": on_close,
    }


KINDS = [*makers(Path(), Record())]
PREFIXES = ["sync", "async"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_validator_accepts(
    app: Flask, record: Record, kind: str, prefix: str, method: str
) -> None:
    body = b"a=1" if method == "POST" else b""
    result = validated(app, method, f"/{prefix}/{kind}", body)
    assert 200 <= result.status <= 500
    assert record.events.count("torn down") == 1
    if method == "HEAD" or result.status in (204, 304):
        assert result.body == b""
    else:
        assert result.body != b""


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("str", 200, b"text"),
        ("tuple", 201, b"made"),
        ("generator", 200, b"one;two;"),
        ("async generator", 200, b"one;two;"),
        ("with context", 200, b"one;two;"),
        ("asgi", 202, b"raw GET"),
        ("streaming response", 200, b"one;two;"),
        ("file", 200, b"content" * 1000),
        ("file response", 200, b"content" * 1000),
    ],
)
def test_answer(app: Flask, prefix: str, kind: str, status: int, expected: bytes) -> None:
    result = ask(app, path=f"/{prefix}/{kind}")
    assert (result.status, result.body) == (status, expected)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("kind", ["generator", "async generator", "with context"])
def test_a_stream_is_closed_before_its_teardown(
    app: Flask, record: Record, prefix: str, kind: str
) -> None:
    ask(app, path=f"/{prefix}/{kind}")
    assert record.events == ["closed", "torn down"]


@pytest.mark.parametrize("kind", ["generator", "endless", "endless, with context"])
def test_a_stream_is_closed_in_the_middle(app: Flask, record: Record, kind: str) -> None:
    async def endless() -> AsyncIterator[str]:  # one that ends may do so before it is closed
        try:
            async with asyncio.timeout(10):
                while True:
                    yield "one;"
                    await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)
            record.note("closed")

    add(app, "endless", endless)
    add(app, "endless, with context", lambda: stream_with_context(endless()))
    opened = Play(app, make_environ(path=f"/async/{kind}")).open()
    assert next(iter(opened)).startswith(b"one;")
    opened.close()
    opened.close()
    assert record.events == ["closed", "torn down"]


@pytest.mark.parametrize("kind", KINDS)
def test_teardown_where_nothing_is_iterated(app: Flask, record: Record, kind: str) -> None:
    opened = Play(app, make_environ(path=f"/async/{kind}")).open()
    getattr(opened, "close", str)()
    assert record.events.count("torn down") == 1
    if kind == "on close":
        assert "on close" in record.events


def test_an_async_body_that_never_began_is_closed() -> None:
    app, record = Flask(__name__), Record()

    class Body:
        def __aiter__(self) -> AsyncIterator[str]:
            raise AssertionError("nobody asked for it")

        async def aclose(self) -> None:
            record.note("closed")

    app.add_url_rule("/", view_func=lambda: Response(Body()))
    assert ask(app, "HEAD").body == b""
    assert record.events == ["closed"]


def test_file_wrapper_of_the_server(app: Flask) -> None:
    class Wrapper(FileWrapper):
        pass

    play = Play(app, make_environ(path="/sync/file", wsgi__file_wrapper=Wrapper))
    opened = play.open()
    assert b"".join(opened) == b"content" * 1000
    opened.close()
    assert play.headers["Content-Length"] == "7000"


def test_headers_that_cannot_be_sent_close_the_response() -> None:
    app, record = Flask(__name__), Record()

    @app.get("/")
    def index() -> Response:
        response = Response("text")
        response.call_on_close(lambda: record.note("on close"))
        return response

    def refuse(*args: t.Any) -> t.NoReturn:
        raise ValueError("no such header")

    with pytest.raises(ValueError, match="no such header"):
        app(make_environ(), refuse)
    assert record.events == ["on close"]


def test_an_error_in_a_stream_reaches_the_server_and_the_teardown() -> None:
    app, seen = Flask(__name__), []

    @app.get("/")
    async def index() -> AsyncIterator[str]:
        async def pieces() -> AsyncIterator[str]:
            yield "one"
            raise LookupError("gone")

        return pieces()

    @app.teardown_request
    def note(error: BaseException | None) -> None:
        seen.append(error)

    opened = Play(app, make_environ()).open()
    chunks = iter(opened)
    assert next(chunks) == b"one"
    with pytest.raises(LookupError, match="gone"):
        next(chunks)
    opened.close()
    assert [type(error) for error in seen] == [LookupError]


def test_context_of_a_stream_on_the_loop() -> None:
    app = Flask(__name__)

    @app.get("/<name>")
    async def index(name: str) -> AsyncIterator[str]:
        g.name = name

        async def pieces() -> AsyncIterator[str]:
            async with asyncio.TaskGroup() as group:
                for number in range(3):
                    task = group.create_task(asyncio.sleep(0, f"{request.path}{number}{g.name};"))
                    yield await task

        return pieces()

    first, second = (Play(app, make_environ(path=path)).open() for path in ("/a", "/b"))
    mixed = [*zip(first, second, strict=False)]
    first.close()
    second.close()
    assert b"".join(one for one, _ in mixed) in b"/a0a;/a1a;/a2a;"
    assert b"".join(other for _, other in mixed) in b"/b0b;/b1b;/b2b;"


def test_anyio_finds_the_way_from_the_servers_thread() -> None:
    app = Flask("app")

    @app.get("/")
    def view() -> str:
        return anyio.from_thread.run(where) + anyio.from_thread.run_sync(str, "!")

    async def where() -> str:
        return threading.current_thread().name

    assert app.test_client().get("/").text == "asyncflask-loop!"
    with pytest.raises(RuntimeError):
        anyio.from_thread.run(where)
