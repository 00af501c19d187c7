"""The app's lifespan as a block, for clients of either kind."""

from __future__ import annotations

import threading
import typing as t
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from asyncflask import Flask, request, websocket
from asyncflask.testing import FlaskClient, LifespanError, StartedApp

pytestmark = pytest.mark.anyio


class Site:
    """An app with a mounted one that has a lifespan, and what that did."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.threads: list[int] = []
        self.app = Flask(__name__)
        self.app.add_url_rule("/", view_func=lambda: "page")
        routes = [Route("/", self.view), WebSocketRoute("/ws", self.socket)]
        self.app.mount("/below", Starlette(routes=routes, lifespan=self.lifespan))

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[dict[str, t.Any]]:
        self.note("started")
        yield {"greeting": "hello"}
        self.note("stopped")

    def note(self, step: str) -> None:
        self.steps.append(step)
        self.threads.append(threading.get_ident())

    async def view(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.state.greeting)

    async def socket(self, ws: WebSocket) -> None:
        self.note("socket")
        await ws.accept()
        await ws.send_text(ws.state.greeting)
        await ws.close()


@pytest.fixture
def site() -> Site:
    return Site()


def test_the_sync_client_of_a_block(site: Site) -> None:
    with site.app.test_app() as started:
        assert isinstance(started, StartedApp)
        assert site.steps == ["started"]
        client = started.test_client()
        assert isinstance(client, FlaskClient)
        assert client.get("/").text == "page"
        assert client.get("/below/").text == "hello"
        with client.websocket("/below/ws") as ws:
            assert ws.receive() == "hello"
    assert site.steps == ["started", "socket", "stopped"]
    assert len(set(site.threads)) == 1  # all of it on one loop,
    assert site.threads[0] != threading.get_ident()  # which is not the test's


async def test_the_async_client_of_a_block(site: Site) -> None:
    async with site.app.test_app() as started:
        assert site.steps == ["started"]
        async with started.async_client() as client:  # it runs no lifespan of its own
            assert (await client.get("/")).text == "page"
            assert (await client.get("/below/")).text == "hello"
            async with client.websocket("/below/ws") as ws:
                assert await ws.receive() == "hello"
        assert site.steps == ["started", "socket"]
    assert site.steps == ["started", "socket", "stopped"]
    assert set(site.threads) == {threading.get_ident()}


async def test_each_client_in_the_others_block(site: Site) -> None:
    async with site.app.test_app() as started:
        with started.test_client().websocket("/below/ws") as ws:
            assert ws.receive() == "hello"
        assert started.test_client().get("/below/").text == "hello"
    with site.app.test_app() as started:
        async with started.async_client() as client:
            assert (await client.get("/below/")).text == "hello"


def test_clients_are_made_as_always(site: Site) -> None:
    class Client(FlaskClient):
        pass

    site.app.test_client_class = Client
    with site.app.test_app() as started:
        client = started.test_client(use_cookies=False)
        assert isinstance(client, Client)
        assert client._cookies is None
        assert str(started.async_client(base_url="http://host").base_url) == "http://host"
        assert started.async_client(state={"a": "b"})


def test_without_a_lifespan_there_is_no_state() -> None:
    states: list[object] = []

    async def below(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            states.append(scope.get("state"))
            await receive()
            await send({"type": "websocket.accept"})

    app = Flask(__name__)
    app.mount("/below", below)
    with app.test_client().websocket("/below"):
        pass
    with app.test_app() as started, started.test_client().websocket("/below"):
        pass
    assert states == [None, {}]


def test_a_connection_has_a_copy_of_the_state(site: Site) -> None:
    async def change(request: Request) -> PlainTextResponse:
        before = request.state.greeting
        request.state.greeting = "changed"
        return PlainTextResponse(before)

    app = Flask(__name__)
    app.mount("/below", Starlette(routes=[Route("/", change)], lifespan=site.lifespan))
    with app.test_app() as started:
        client = started.test_client()
        assert [client.get("/below/").text for _ in range(2)] == ["hello", "hello"]


@pytest.fixture
def own() -> Flask:
    """An app that yields its own state, with a hook of each kind."""
    app = Flask(__name__)

    @app.while_serving
    async def life() -> AsyncIterator[dict[str, t.Any]]:
        yield {"steps": ["started"]}
        app.state.steps.append("stopped")

    @app.before_serving
    def before() -> None:
        app.state.steps.append(f"before in {threading.current_thread() is TEST_THREAD}")

    @app.get("/")
    async def view() -> list[str]:
        return [*request.state.steps]

    @app.get("/sync")
    def sync_view() -> list[str]:
        return [*request.state.steps]

    @app.websocket("/ws")
    async def socket() -> None:
        await websocket.send_json(request.state.steps)

    return app


TEST_THREAD = threading.current_thread()
STEPS = ["started", "before in False"]


def test_state_of_our_own_in_the_sync_client(own: Flask) -> None:
    for _ in range(2):  # an app may be started again
        with own.test_app() as started:
            for client in (started.test_client(), own.test_client()):
                assert client.get("/").json == STEPS
                assert client.get("/sync").json == STEPS
                with client.websocket("/ws") as ws:
                    assert ws.receive_json() == STEPS
        assert own.state.steps == [*STEPS, "stopped"]


async def test_state_of_our_own_in_the_async_client(own: Flask) -> None:
    for _ in range(2):
        async with own.test_app() as started, started.async_client() as client:
            assert (await client.get("/")).json() == STEPS
            assert (await client.get("/sync")).json() == STEPS
            async with client.websocket("/ws") as ws:
                assert await ws.receive_json() == STEPS
        assert own.state.steps == [*STEPS, "stopped"]


class Failing(Flask):
    """An app whose lifespan fails.

    :param stage: where.
    """

    def __init__(self, stage: str) -> None:
        super().__init__(__name__)
        self.mount("/below", Starlette(lifespan=self.lifespan))
        self.stage = stage

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        if self.stage == "startup":
            raise LookupError("boom")
        yield
        raise LookupError("boom")


@pytest.mark.parametrize("stage", ["startup", "shutdown"])
async def test_failures(stage: str) -> None:
    with pytest.raises(LifespanError, match=f"(?s){stage} failed.*boom"):
        async with Failing(stage).test_app():
            await anyio.lowlevel.checkpoint()
    with pytest.raises(LifespanError, match=f"(?s){stage} failed.*boom"), Failing(stage).test_app():
        pass


async def test_a_failure_comes_second() -> None:
    with pytest.raises(ZeroDivisionError) as caught, Failing("shutdown").test_app():
        raise ZeroDivisionError
    assert "shutdown failed" in caught.value.__notes__[0]

    async def divide() -> None:
        async with Failing("shutdown").test_app():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        await divide()
    assert "shutdown failed" in caught.value.__notes__[0]
