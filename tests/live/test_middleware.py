"""Starlette's middleware around our app, through a real server."""

from __future__ import annotations

import gzip
import json
import typing as t
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar

import anyio.lowlevel
import pytest
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from asyncflask import Flask, request, websocket

from ..conftest import Live
from .server import STACKS
from .trio_server import serving_on_trio
from .wire import request as raw_request

Servers = Callable[[Flask], t.Any]

#: Where a script comes from that asks our server.
PAGE = "https://page.example"

#: What `Named` sets, for what lies below it.
NAME: ContextVar[str] = ContextVar("NAME")


@pytest.fixture(params=[*STACKS, "trio"], ids=[*map("-".join, STACKS), "trio"])
def serve(request: pytest.FixtureRequest, live: Live) -> Iterator[Servers]:
    """Serve an app: on uvicorn's two stacks, and on hypercorn with trio."""
    if request.param != "trio":
        loop, http = request.param
        yield lambda app: live(app, loop=loop, http=http)
        return
    started: list[t.Any] = []

    def on_trio(app: Flask) -> t.Any:
        started.append(serving_on_trio(app))
        return started[-1].__enter__()

    yield on_trio
    for server in started:
        server.__exit__(None, None, None)


def add_views(app: Flask) -> None:
    @app.get("/")
    async def index() -> str:
        return "index"

    @app.get("/sync")
    def in_thread() -> str:
        return "sync"

    @app.post("/length")
    def length() -> str:
        return str(len(request.get_data()))

    @app.get("/long")
    async def long() -> str:
        return "long " * 1000

    @app.get("/stream")
    async def stream() -> t.Any:
        async def body() -> AsyncIterator[str]:
            for _ in range(1000):
                yield "chunk "
                await anyio.lowlevel.checkpoint()

        return body()


def add_telling_views(app: Flask) -> None:
    """Add views that show what the middleware did, or that fail."""

    @app.get("/fails")
    async def fails() -> str:
        raise ValueError("on the loop")

    @app.get("/fails/sync")
    def fails_in_thread() -> str:
        raise ValueError("in a thread")

    @app.get("/counts")
    async def counts() -> dict[str, int]:
        kept = t.cast("dict[str, t.Any]", request.scope)["session"]
        kept["count"] = kept.get("count", 0) + 1
        return {"count": kept["count"]}

    @app.get("/named")
    async def named() -> str:
        return NAME.get("nobody")

    @app.get("/named/sync")
    def named_in_thread() -> str:
        return NAME.get("nobody")


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Send back what a WebSocket client says."""
    socket = WebSocket(scope, receive, send)
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    # NOTE: the client closes: hypercorn on trio fails where both do so at the same time.
    await socket.receive()


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__, static_folder=None)
    add_views(app)
    add_telling_views(app)
    app.mount("/echo", echo, protocol="asgi")
    app.config["WEBSOCKET_ALLOWED_ORIGINS"] = [PAGE]

    @app.websocket("/ours")
    async def ours() -> None:
        async for message in websocket:
            await websocket.send(message)

    return app


def said_back(server: t.Any, **options: t.Any) -> set[str | bytes]:
    """Say something to each of the WebSocket handlers, and return what comes back."""
    host, port = server.address
    answers = set()
    for path in ("echo", "ours"):
        with connect(f"ws://{host}:{port}/{path}", **options) as socket:
            socket.send("hello")
            answers.add(socket.recv())
    return answers


class TestCORS:
    @pytest.fixture
    def server(self, app: Flask, serve: Servers) -> t.Any:
        app.add_middleware(
            CORSMiddleware, allow_origins=[PAGE], allow_methods=["PUT"], allow_credentials=True
        )
        return serve(app)

    @pytest.mark.parametrize(
        ("path", "status"),
        [("/", 200), ("/sync", 200), ("/none", 404), ("/fails", 500), ("/fails/sync", 500)],
    )
    def test_every_answer_has_the_headers(self, server: t.Any, path: str, status: int) -> None:
        """A 500 too: without them, a page's script is not even told that there was one."""
        answer = server.get(path, f"Origin: {PAGE}")
        assert answer.status == status
        assert answer.header("access-control-allow-origin") == PAGE
        assert answer.header("access-control-allow-credentials") == "true"
        other = server.get(path, "Origin: https://other.example")
        assert (other.status, other.header("access-control-allow-origin")) == (status, None)

    def test_preflight_does_not_reach_the_app(self, server: t.Any) -> None:
        headers = (f"Origin: {PAGE}", "Access-Control-Request-Method: PUT")
        answer = server.ask(raw_request("OPTIONS", "/none", *headers), "OPTIONS")
        assert (answer.status, answer.header("access-control-allow-methods")) == (200, "PUT")

    def test_websockets_pass(self, server: t.Any) -> None:
        assert said_back(server, origin=PAGE) == {"hello"}


class TestGZip:
    @pytest.fixture
    def server(self, app: Flask, serve: Servers) -> t.Any:
        app.add_middleware(GZipMiddleware, minimum_size=500)
        return serve(app)

    @pytest.mark.parametrize(("path", "text"), [("/long", "long "), ("/stream", "chunk ")])
    def test_long_bodies_are_compressed(self, server: t.Any, path: str, text: str) -> None:
        answer = server.get(path, "Accept-Encoding: gzip")
        assert answer.header("content-encoding") == "gzip"
        assert len(answer.body) < 10_000  # each chunk is flushed; the whole is 6000 or 5000
        assert gzip.decompress(answer.body).decode() == text * 1000
        assert server.get(path).text == text * 1000

    def test_short_ones_are_not(self, server: t.Any) -> None:
        answer = server.get("/", "Accept-Encoding: gzip")
        assert (answer.header("content-encoding"), answer.text) == (None, "index")


class TestTrustedHost:
    @pytest.fixture
    def server(self, app: Flask, serve: Servers) -> t.Any:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "*.example"])
        return serve(app)

    def test_requests(self, server: t.Any) -> None:
        assert server.get("/", host="a.example").status == 200
        assert server.get("/", host="a.elsewhere").status == 400

    def test_websockets(self, server: t.Any) -> None:
        assert said_back(server) == {"hello"}

    def test_websockets_for_other_hosts(self, app: Flask, live: Live) -> None:
        # NOTE: not with the other servers: the middleware answers a handshake as if it were a
        # request, which uvicorn alone is lenient about.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["a.example"])
        with pytest.raises(InvalidStatus) as refused:
            said_back(live(app))
        assert refused.value.response.status_code in (400, 403)


class TestHTTPSRedirect:
    @pytest.fixture
    def server(self, app: Flask, serve: Servers) -> t.Any:
        app.add_middleware(HTTPSRedirectMiddleware)
        return serve(app)

    def test_requests_are_redirected(self, server: t.Any) -> None:
        answer = server.get("/sync?a=1", host="a.example")
        assert (answer.status, answer.header("location")) == (307, "https://a.example/sync?a=1")


class TestSession:
    @pytest.fixture
    def server(self, app: Flask, serve: Servers) -> t.Any:
        app.add_middleware(SessionMiddleware, secret_key="key", session_cookie="theirs")
        return serve(app)

    def test_beside_ours(self, server: t.Any) -> None:
        first = server.get("/counts")
        cookie = t.cast("str", first.header("set-cookie")).partition(";")[0]
        assert cookie.startswith("theirs=")
        assert json.loads(server.get("/counts", f"Cookie: {cookie}").text) == {"count": 2}


class Named(BaseHTTPMiddleware):
    """Does what such middleware is written for: looks, sets, answers, and changes the answer."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        if request.url.path == "/closed":
            return PlainTextResponse("closed", 403)
        NAME.set(request.query_params.get("name", ""))
        try:
            response = await call_next(request)
        except ValueError as error:
            return PlainTextResponse(f"caught: {error}", 500)
        response.headers["X-Named"] = NAME.get()
        return response


class TestBaseHTTPMiddleware:
    @pytest.fixture
    def server(self, app: Flask, serve: Servers) -> t.Any:
        app.add_middleware(Named)
        return serve(app)

    @pytest.mark.parametrize("path", ["/named", "/named/sync"])
    def test_looks_sets_and_changes(self, server: t.Any, path: str) -> None:
        answer = server.get(f"{path}?name=ada")
        assert (answer.text, answer.header("x-named")) == ("ada", "ada")

    def test_answers(self, server: t.Any) -> None:
        assert (server.get("/closed").status, server.get("/closed").text) == (403, "closed")

    def test_bodies_pass_both_ways(self, server: t.Any) -> None:
        body = b"x" * 200_000
        assert server.post("/length", body=body).text == "200000"
        assert server.get("/stream").text == "chunk " * 1000

    def test_errors_are_answered_below(self, server: t.Any) -> None:
        answer = server.get("/fails?name=ada")
        assert (answer.status, answer.header("x-named")) == (500, "ada")

    @pytest.mark.parametrize("path", ["/fails", "/fails/sync"])
    def test_errors_that_propagate_are_caught(self, app: Flask, serve: Servers, path: str) -> None:
        app.config["PROPAGATE_EXCEPTIONS"] = True
        app.add_middleware(Named)
        assert serve(app).get(path).text.startswith("caught: ")

    def test_websockets_pass(self, server: t.Any) -> None:
        assert said_back(server) == {"hello"}


def test_all_at_once(app: Flask, serve: Servers) -> None:
    app.add_middleware(GZipMiddleware, minimum_size=500)
    app.add_middleware(SessionMiddleware, secret_key="key")
    app.add_middleware(Named)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "a.example"])
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    server = serve(app)
    headers = (f"Origin: {PAGE}", "Accept-Encoding: gzip")
    answer = server.get("/long", *headers, host="a.example")
    assert gzip.decompress(answer.body).decode() == "long " * 1000
    assert answer.header("access-control-allow-origin") == "*"
    assert answer.header("x-named") == ""
    assert server.get("/long", *headers, host="elsewhere").status == 400
    assert said_back(server) == {"hello"}
