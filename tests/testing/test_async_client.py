"""The async client where it is mostly used: in fixtures, and with an app of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import httpx
import pytest
from starlette.types import Receive, Scope, Send

from asyncflask import Flask, request, session
from asyncflask.sessions import SecureCookieSession, SecureCookieSessionInterface
from asyncflask.testing import ASGITransport, AsyncClient

from .apps import body, hello, start


class Recorder:
    """Notes in which task each part of its lifespan ran."""

    def __init__(self) -> None:
        self.tasks: list[object] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            return await hello(scope, receive, send)
        for stage in ("startup", "shutdown"):
            await receive()
            self.tasks.append(asyncio.current_task())
            await send({"type": f"lifespan.{stage}.complete"})


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    made = Recorder()
    yield made
    assert len(made.tasks) == 2
    assert made.tasks[0] is made.tasks[1]


@pytest.fixture
async def client(recorder: Recorder) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(recorder) as client:
        yield client


async def test_may_be_a_fixture_of_pytest_asyncio(client: AsyncClient) -> None:
    assert (await client.get("/")).text == "hello"


async def test_response_may_be_left_open_by_a_test(client: AsyncClient) -> None:
    await client.send(client.build_request("GET", "/"), stream=True)


async def test_is_httpx_with_defaults_for_tests() -> None:
    client = AsyncClient(hello, headers={"X-A": "b"})
    assert isinstance(client, httpx.AsyncClient)
    assert str(client.base_url) == "http://localhost"
    assert client.timeout == httpx.Timeout(None)
    assert client.headers["x-a"] == "b"
    assert client.app is hello


async def test_transport_may_be_used_with_plain_httpx(recorder: Recorder) -> None:
    transport = ASGITransport(recorder)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/")).text == "hello"


def test_may_be_made_outside_of_an_event_loop(anyio_backend: str) -> None:
    client = AsyncClient(hello)

    async def main() -> None:
        async with client:
            assert (await client.get("/")).text == "hello"

    anyio.run(main, backend=anyio_backend)


async def test_native_cancellation_ends_the_app() -> None:
    ended = asyncio.Event()
    waiting = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await receive()
            waiting.set()
            await receive()
        finally:
            ended.set()

    task = asyncio.create_task(AsyncClient(app).get("/"))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_app_that_cancels_itself() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await body(send, b"x", more_body=True)
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="not by this client"):
        await AsyncClient(app).get("/")


class TestOurApp:
    @pytest.fixture
    def app(self) -> Flask:
        app = Flask(__name__)
        app.config.update(TESTING=True, SECRET_KEY="a secret key for tests")

        @app.post("/sync")
        def sync_view() -> dict[str, object]:
            session["user"] = request.form["user"]
            return {"path": request.path, "form": request.form.to_dict()}

        @app.get("/async")
        async def async_view() -> dict[str, object]:
            return {"user": session.get("user"), "remote": request.remote_addr}

        @app.get("/boom")
        async def boom() -> str:
            raise LookupError("boom")

        return app

    async def test_sync_and_async_views_share_a_session(self, app: Flask) -> None:
        async with AsyncClient(app) as client:
            response = await client.post("/sync", data={"user": "ada"})
            assert response.json() == {"path": "/sync", "form": {"user": "ada"}}
            response = await client.get("/async")
            assert response.json() == {"user": "ada", "remote": "127.0.0.1"}

    async def test_exceptions_come_out_when_testing(self, app: Flask) -> None:
        async with AsyncClient(app) as client:
            with pytest.raises(LookupError, match="boom"):
                await client.get("/boom")
            app.testing = False
            assert (await client.get("/boom")).status_code == 500

    @pytest.mark.anyio
    async def test_session_transaction(self, app: Flask) -> None:
        async with AsyncClient(app) as client:
            async with client.session_transaction() as stored:
                assert not stored
                stored["user"] = "ada"
            assert (await client.get("/async")).json()["user"] == "ada"
            await client.post("/sync", data={"user": "bob"})
            async with client.session_transaction() as stored:
                assert stored["user"] == "bob"
                stored.clear()
            assert (await client.get("/async")).json()["user"] is None
            assert not client.cookies

    @pytest.mark.anyio
    async def test_session_transaction_of_an_async_interface(self, app: Flask) -> None:
        class Interface(SecureCookieSessionInterface):
            async def open_session(self, app: object, request: object) -> object:  # type: ignore[override]
                await anyio.lowlevel.checkpoint()
                seen.append(request.headers["X-A"])  # type: ignore[attr-defined]
                return SecureCookieSession()

            async def save_session(self, app: object, session: object, response: object) -> None:  # type: ignore[override]
                await anyio.lowlevel.checkpoint()
                response.set_cookie("stored", session["user"])  # type: ignore[attr-defined,index]

        seen: list[str] = []
        app.session_interface = Interface()
        async with AsyncClient(app) as client:
            async with client.session_transaction("/x", headers={"X-A": "b"}) as stored:
                stored["user"] = "ada"
            assert client.cookies["stored"] == "ada"
        assert {*seen} == {"b"}

    async def test_session_transaction_without_a_secret_key(self, app: Flask) -> None:
        app.secret_key = None
        with pytest.raises(RuntimeError, match="SECRET_KEY"):
            await AsyncClient(app).session_transaction().__aenter__()
