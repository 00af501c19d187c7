"""Apps of other frameworks, mounted in ours, through real servers."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path

import anyio.lowlevel
import flask
import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from fastapi import Request as FastAPIRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket as StarletteSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from asyncflask import Flask, request, session, url_for

from ..conftest import Live
from ..testing.apps import echo, hello, http
from . import django_site
from .server import STACKS, LiveServer, serving
from .wire import request as raw_request
from .wsgi_servers import SERVERS


def real_flask() -> t.Any:
    app = flask.Flask("legacy")
    app.secret_key = "key"

    @app.get("/")
    def index() -> dict[str, str]:
        return {
            "root": flask.request.script_root,
            "path": flask.request.path,
            "url": flask.request.url,
            "url_for": flask.url_for("index"),
            "static": flask.url_for("static", filename="a.css"),
        }

    @app.post("/echo")
    def echo() -> bytes:
        return flask.request.get_data()

    @app.get("/stream")
    def stream() -> Iterator[str]:
        yield from ("a", "b", "c")

    @app.get("/log-in")
    def log_in() -> t.Any:
        flask.session["user"] = "me"
        return flask.redirect(flask.url_for("index"))

    @app.get("/<path:rest>")
    def rest(rest: str) -> str:
        return rest

    return app


async def starlette_show(request: Request) -> JSONResponse:
    return JSONResponse(
        {
            "url": str(request.url),
            "url_for": str(request.url_for("show", number=7)),
            "nested": str(request.url_for("deep:show", number=7)),
            "static": str(request.url_for("static", path="a.css")),
            "state": request.state.started,
        }
    )


async def starlette_socket(socket: StarletteSocket) -> None:
    await socket.accept(subprotocol="chat")
    await socket.send_json([socket.url.path, str(socket.url_for("socket")), socket.state.started])
    async for message in socket.iter_text():
        await socket.send_text(message.upper())


def real_starlette(log: list[str], folder: Path) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, t.Any]]:
        log.append("starlette started")
        yield {"started": "starlette"}
        log.append("starlette stopped")

    show = Route("/show/{number}", starlette_show, name="show")
    return Starlette(
        routes=[
            Route("/", starlette_show),
            show,
            WebSocketRoute("/socket", starlette_socket, name="socket"),
            Mount("/deep", routes=[show], name="deep"),
            Mount("/static", StaticFiles(directory=folder), name="static"),
        ],
        lifespan=lifespan,
    )


def real_fastapi(log: list[str]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, t.Any]]:
        log.append("fastapi started")
        yield {"started": "fastapi"}
        log.append("fastapi stopped")

    api = FastAPI(lifespan=lifespan)
    router = APIRouter(prefix="/items")

    @router.get("/{number}")
    async def item(number: int, request: FastAPIRequest) -> dict[str, t.Any]:
        url = str(request.url_for("item", number=number + 1))
        return {"number": number, "next": url, "state": request.state.started}

    @router.get("/sync/{number}")
    def sync_item(number: int) -> int:
        return number

    @api.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.scope["root_path"])
        await websocket.close(4001, "enough")

    api.include_router(router)
    return api


def make_app(log: list[str], folder: Path) -> Flask:
    app = Flask("outer", static_folder=None)

    @app.get("/")
    async def index() -> str:
        return "own"

    @app.get("/sync")
    def sync() -> str:
        return "own sync"

    inner = Flask("inner")

    @inner.get("/where/<number>")
    def where(number: str) -> dict[str, str]:
        return {"root": request.script_root, "url": url_for("where", number=number, _external=True)}

    app.mount("/legacy", real_flask(), name="legacy")
    app.mount("/echo", http(echo))
    app.mount("/star", real_starlette(log, folder))
    app.mount("/api", real_fastapi(log))
    app.mount("/django-asgi", django_site.asgi_app)
    app.mount("/django-wsgi", django_site.wsgi_app)
    inner.mount("/deeper", real_fastapi(log))
    app.mount("/été/inner", inner)
    return app


LOG: list[str] = []


@pytest.fixture(scope="module", params=STACKS, ids="-".join)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("files")
    (folder / "a.css").write_text("a {}")
    loop, http = request.param
    with serving(make_app(LOG, folder), loop=loop, http=http) as server:
        yield server


def test_own_routes_are_as_they_were(site: LiveServer) -> None:
    assert site.get("/").text == "own"
    assert site.get("/sync").text == "own sync"
    assert site.get("/api2").status == 404


def test_what_a_mounted_app_sets_is_no_other_request_s(live: Live) -> None:
    mark = ContextVar("mark", default="unset")

    async def marking(scope: Scope, receive: Receive, send: Send) -> None:
        mark.set("set")
        await receive()
        await hello(scope, receive, send)

    app = Flask("outer")
    app.mount("/marking", http(marking))

    @app.get("/mark")
    async def show() -> str:
        return mark.get()

    pair = raw_request("GET", "/marking") + raw_request("GET", "/mark")
    with live(app).connect() as connection:
        # Side by side: the server starts each request from within the one before.
        connection.send(pair * 3 + raw_request("GET", "/mark", "Connection: close"))
        answers = connection.rest()
    assert answers.count(b"hello") == 3
    assert answers.count(b"unset") == 4


def test_real_flask(site: LiveServer) -> None:
    assert site.get("/legacy/").json == {
        "root": "/legacy",
        "path": "/",
        "url": "http://here/legacy/",
        "url_for": "/legacy/",
        "static": "/legacy/static/a.css",
    }
    assert site.get("/legacy/stream").text == "abc"
    assert site.get("/legacy/a%2Fb//%C3%A9").text == "a/b//é"
    body = bytes(range(256)) * 2000
    assert site.post("/legacy/echo", body=body).body == body


def test_real_flask_without_the_slash_redirects_by_its_own_rules(site: LiveServer) -> None:
    answer = site.get("/legacy?q=1")
    assert (answer.status, answer.header("location")) == (308, "http://here/legacy/?q=1")


def test_the_cookies_of_a_mounted_app_are_its_own(site: LiveServer) -> None:
    answer = site.get("/legacy/log-in")
    assert (answer.status, answer.header("location")) == (302, "/legacy/")
    assert "Path=/legacy" not in str(answer.header("set-cookie"))  # as Flask does by default
    assert "session=" in str(answer.header("set-cookie"))


@pytest.mark.parametrize(("key", "user"), [("key", "me"), ("another", "nobody")])
def test_with_the_same_key_a_session_is_shared_with_flask(key: str, user: str) -> None:
    app = Flask("outer")
    app.secret_key = key
    app.mount("/legacy", real_flask())

    @app.get("/who")
    async def who() -> str:
        return str(session.get("user", "nobody"))

    client = app.test_client()
    client.get("/legacy/log-in")
    assert client.get("/who").text == user


def test_real_starlette(site: LiveServer) -> None:
    assert site.get("/star/show/1").json == {
        "url": "http://here/star/show/1",
        "url_for": "http://here/star/show/7",
        "nested": "http://here/star/deep/show/7",
        "static": "http://here/star/static/a.css",
        "state": "starlette",
    }
    nested = site.get("/star/deep/show/1").json
    assert nested["url_for"] == "http://here/star/show/7"
    answer = site.get("/star")
    assert (answer.status, answer.header("location")) == (307, "http://here/star/")
    assert site.get("/star/static/a.css").text == "a {}"
    assert site.get("/star/nowhere").status == 404


def test_a_body_streams_both_ways_through_a_plain_app(site: LiveServer) -> None:
    with site.connect() as connection:
        connection.send(raw_request("POST", "/echo", "Transfer-Encoding: chunked"))
        connection.send(b"5\r\nfirst\r\n")
        answer = b""
        while b"first" not in answer:  # it is here before the request is complete
            answer += connection.receive(1)
        connection.send(b"4\r\nlast\r\n0\r\n\r\n")
        while not answer.endswith(b"0\r\n\r\n"):
            answer += connection.receive(1)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"last" in answer


def test_real_fastapi(site: LiveServer) -> None:
    assert site.get("/api/items/1").json == {
        "number": 1,
        "next": "http://here/api/items/2",
        "state": "fastapi",
    }
    assert site.get("/api/items/sync/3").json == 3
    assert site.get("/api/items/x").status == 422
    assert "url: '/api/openapi.json'" in site.get("/api/docs").text.replace('"', "'")
    schema = site.get("/api/openapi.json").json
    assert schema["servers"] == [{"url": "/api"}]
    assert "/items/{number}" in schema["paths"]


def test_fastapi_in_ours_in_ours(site: LiveServer) -> None:
    below = "/%C3%A9t%C3%A9/inner"
    assert site.get(f"{below}/where/1").json == {
        "root": "/été/inner",
        "url": "http://here/été/inner/where/1",
    }
    assert site.get(f"{below}/deeper/items/1").json["state"] == "fastapi"
    schema = site.get(f"{below}/deeper/openapi.json").json
    assert schema["servers"] == [{"url": "/été/inner/deeper"}]


@pytest.mark.parametrize("mounted", ["django-asgi", "django-wsgi"])
def test_django(site: LiveServer, mounted: str) -> None:
    assert site.get(f"/{mounted}/show/1/").json == {
        "path": f"/{mounted}/show/1/",
        "path_info": "/show/1/",
        "reverse": f"/{mounted}/show/7/",
        "absolute": f"http://here/{mounted}/show/1/",
    }
    assert site.get(f"/{mounted}/async/").json["reverse"] == f"/{mounted}/show/7/"
    assert site.get(f"/{mounted}/leave/").header("location") == f"/{mounted}/show/1/"
    assert site.post(f"/{mounted}/echo/", body=b"x" * 10_000).body == b"x" * 10_000
    assert site.get(f"/{mounted}/show/1").header("location") == f"/{mounted}/show/1/"


def test_django_streams_over_wsgi(site: LiveServer) -> None:
    assert site.get("/django-wsgi/stream/").text == "0\n1\n2\n"


def test_django_without_the_slash(site: LiveServer) -> None:
    assert site.get("/django-wsgi").json["path_info"] == "/"
    answer = site.get("/django-asgi")
    assert (answer.status, answer.header("location")) == (301, "/django-asgi/")


def socket_url(site: LiveServer, path: str) -> str:
    return "ws://{}:{}{}".format(*site.address, path)


def test_a_websocket_of_starlette(site: LiveServer) -> None:
    url = socket_url(site, "/star/socket")
    with connect(url, subprotocols=[t.cast("t.Any", "chat")]) as socket:
        assert socket.subprotocol == "chat"
        first = socket.recv()
        assert first == f'["/star/socket","{url}","starlette"]'
        for word in ("one", "two", "é" * 100_000):
            socket.send(word)
            assert socket.recv() == word.upper()
    site.rest()


def test_a_websocket_that_the_app_closes(site: LiveServer) -> None:
    with connect(socket_url(site, "/%C3%A9t%C3%A9/inner/deeper/socket")) as socket:
        assert socket.recv() == "/été/inner/deeper"
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv()
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "enough")
    site.rest()


@pytest.mark.parametrize(
    ("path", "status"), [("/", 400), ("/legacy/", 404), ("/star/nowhere", 403), ("/nowhere", 404)]
)
def test_websockets_that_nobody_takes(site: LiveServer, path: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as caught, connect(socket_url(site, path)):
        raise AssertionError("not reached")
    assert caught.value.response.status_code == status
    site.rest()


def test_below_a_root_path_of_the_server(live: Live, tmp_path: Path) -> None:
    site = live(make_app([], tmp_path), root_path="/srv")
    assert site.get("/legacy/").json["url_for"] == "/srv/legacy/"
    assert site.get("/star/show/1").json["url_for"] == "http://here/srv/star/show/7"
    assert site.get("/star/deep/show/1").json["nested"] == "http://here/srv/star/deep/show/7"
    assert site.get("/api/openapi.json").json["servers"] == [{"url": "/srv/api"}]
    for mounted in ("django-asgi", "django-wsgi"):
        assert site.get(f"/{mounted}/show/1/").json["reverse"] == f"/srv/{mounted}/show/7/"
    inner = site.get("/%C3%A9t%C3%A9/inner/where/1").json
    assert inner["root"] == "/srv/été/inner"


def test_a_client_that_leaves_a_mounted_app(live: Live) -> None:
    closed: list[str] = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 10_000
                await anyio.lowlevel.checkpoint()  # a `send` to nobody does not wait
        finally:
            closed.append("async")

    async def download(request: Request) -> StreamingResponse:
        return StreamingResponse(endless())

    legacy = flask.Flask("legacy")

    @legacy.get("/")
    def sync_download() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 10_000
        finally:
            closed.append("sync")

    app = Flask("outer")
    app.mount("/star", Starlette(routes=[Route("/", download)]))
    app.mount("/legacy", legacy)
    server = live(app)
    before = server.tasks()
    for path in ("/star/", "/legacy/") * 3:
        with server.connect() as connection:
            connection.send(raw_request("GET", path))
            assert len(connection.receive(100_000)) == 100_000
            connection.reset()
    server.rest()
    assert sorted(closed) == ["async"] * 3 + ["sync"] * 3
    assert server.tasks() == before


def test_started_and_stopped_with_the_server(tmp_path: Path) -> None:
    log: list[str] = []
    with serving(make_app(log, tmp_path)) as server:
        assert log == ["starlette started", "fastapi started", "fastapi started"]
        assert server.get("/api/items/1").status == 200
        del log[:]
    assert log == ["fastapi stopped", "fastapi stopped", "starlette stopped"]


def test_a_start_that_fails_stops_the_server(caplog: pytest.LogCaptureFixture) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        raise LookupError("no database")
        yield

    app = Flask("outer")
    app.mount("/api", FastAPI(lifespan=lifespan))
    with pytest.raises(SystemExit), serving(app):
        raise AssertionError("not reached")
    assert "The app mounted at '/api': startup failed" in caplog.text
    assert "LookupError: no database" in caplog.text


@pytest.mark.parametrize("name", SERVERS)
def test_under_a_wsgi_server(name: str, tmp_path: Path) -> None:
    app = Flask("outer", static_folder=None)
    inner = Flask("inner")
    inner.add_url_rule("/", "place", lambda: url_for("place"))
    api = FastAPI()

    @api.post("/items/{number}")
    async def item(number: int, request: FastAPIRequest) -> t.Any:
        body = await request.body()
        return [str(request.url_for("item", number=number)), len(body)]

    app.mount("/legacy", real_flask())
    app.mount("/inner", inner)
    app.mount("/api", api)
    app.mount("/django-asgi", django_site.asgi_app)
    app.mount("/django-wsgi", django_site.wsgi_app)
    with SERVERS[name](app) as site:
        assert site.get("/legacy/").json["static"] == "/legacy/static/a.css"
        assert site.get("/legacy/stream").text == "abc"
        assert site.get("/inner/").text == "/inner/"
        answer = site.post("/api/items/1", body=b"x" * 100_000)
        assert answer.json == ["http://here/api/items/1", 100_000]
        assert site.get("/api/openapi.json").json["servers"] == [{"url": "/api"}]
        for mounted in ("django-asgi", "django-wsgi"):
            assert site.get(f"/{mounted}/show/1/").json["reverse"] == f"/{mounted}/show/7/"
        assert site.get("/nowhere").status == 404
        assert site.complaints() == ""


def test_the_test_client_reaches_mounted_apps(tmp_path: Path) -> None:
    app = Flask("outer")
    app.mount("/api", real_starlette([], tmp_path))
    app.mount("/legacy", real_flask())
    app.mount("/echo", http(echo))
    client = app.test_client()
    assert client.get("/legacy/log-in").location == "/legacy/"
    assert client.get_cookie("session") is not None
    assert client.get("/api/nowhere").status_code == 404
    assert client.post("/echo", data=b"x" * 1000).data == b"x" * 1000
