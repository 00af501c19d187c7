"""A session interface whose methods are ``async def``, in front of views of both kinds."""

from __future__ import annotations

import logging
import threading
import typing as t
from collections.abc import AsyncIterator, Callable

import anyio
import anyio.lowlevel
import pytest

from asyncflask import (
    Flask,
    Request,
    Response,
    flash,
    get_flashed_messages,
    request,
    session,
    websocket,
)
from asyncflask.sansio.app import App
from asyncflask.sessions import SecureCookieSession, SessionInterface, SessionMixin


class StoredSession(SecureCookieSession):
    """A session that is known by a key."""

    key = ""


class StoreInterface(SessionInterface):
    """Keeps sessions in a dict, as if it were far away."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, t.Any]] = {}
        self.threads: list[int] = []
        self.fails = ""

    async def open_session(self, app: App, request: Request) -> SessionMixin | None:
        await self._reach("open")
        if request.path == "/null":
            return None
        key = request.cookies.get(self.get_cookie_name(app), "")
        opened = StoredSession(self.kept.get(key))
        opened.key = key or str(len(self.kept) + 1)
        return opened

    async def save_session(self, app: App, session: SessionMixin, response: Response) -> None:
        assert isinstance(session, StoredSession)
        await self._reach("save")
        if not session and session.modified:
            self.kept.pop(session.key, None)
            response.delete_cookie(self.get_cookie_name(app))
        elif session.modified:
            self.kept[session.key] = dict(session)
            response.set_cookie(self.get_cookie_name(app), session.key)

    async def _reach(self, what: str) -> None:
        self.threads.append(threading.get_ident())
        await anyio.lowlevel.checkpoint()
        if self.fails == what:
            raise ConnectionError(f"could not {what}")


def add_views(app: Flask) -> None:
    def count() -> str:
        session["count"] = session.get("count", 0) + 1
        return str(session["count"])

    def clear() -> str:
        session.clear()
        return "cleared"

    def null() -> str:
        return type(session._get_current_object()).__name__  # type: ignore[attr-defined]

    def fails() -> str:
        session["failed"] = True
        raise ValueError

    def say() -> str:
        flash("said")
        return ""

    def said() -> str:
        return ",".join(map(str, get_flashed_messages()))

    for view in (count, clear, null, fails, say, said):
        add_both(app, view)


def add_both(app: Flask, view: Callable[[], str]) -> None:
    async def on_loop() -> str:
        await anyio.lowlevel.checkpoint()
        return view()

    app.add_url_rule(f"/{view.__name__}", view.__name__, view)
    app.add_url_rule(f"/async/{view.__name__}", f"async_{view.__name__}", on_loop)


@pytest.fixture
def store() -> StoreInterface:
    return StoreInterface()


@pytest.fixture
def app(store: StoreInterface) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.session_interface = store
    add_views(app)
    return app


@pytest.fixture(params=["", "/async"], ids=["def_view", "async_view"])
def prefix(request: pytest.FixtureRequest) -> str:
    return t.cast("str", request.param)


@pytest.mark.anyio
class TestOverASGI:
    async def test_is_opened_and_saved_on_the_loop(
        self, app: Flask, store: StoreInterface, prefix: str
    ) -> None:
        async with app.async_client() as client:
            counts = [(await client.get(f"{prefix}/count")).text for _ in range(3)]
        assert counts == ["1", "2", "3"]
        assert store.kept == {"1": {"count": 3}}
        assert {*store.threads} == {threading.get_ident()}

    async def test_is_deleted(self, app: Flask, store: StoreInterface, prefix: str) -> None:
        async with app.async_client() as client:
            await client.get(f"{prefix}/count")
            await client.get(f"{prefix}/clear")
            assert store.kept == {}
            assert (await client.get(f"{prefix}/count")).text == "1"

    async def test_none_is_a_null_session(self, app: Flask, store: StoreInterface) -> None:
        async with app.async_client() as client:
            assert (await client.get("/null")).text == "NullSession"
        assert len(store.threads) == 1  # not saved

    async def test_is_saved_with_an_error_response(
        self, app: Flask, store: StoreInterface, prefix: str
    ) -> None:
        app.logger.disabled = True
        async with app.async_client() as client:
            assert (await client.get(f"{prefix}/fails")).status_code == 500
        assert store.kept == {"1": {"failed": True}}

    async def test_messages(self, app: Flask, prefix: str) -> None:
        async with app.async_client() as client:
            await client.get(f"{prefix}/say")
            assert (await client.get(f"{prefix}/said")).text == "said"
            assert (await client.get(f"{prefix}/said")).text == ""

    @pytest.mark.parametrize("fails", ["open", "save"])
    async def test_an_error_is_answered_and_torn_down(
        self,
        app: Flask,
        store: StoreInterface,
        prefix: str,
        fails: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        torn_down: list[BaseException | None] = []
        store.fails = fails

        @app.errorhandler(ConnectionError)
        async def unreachable(error: ConnectionError) -> tuple[str, int]:
            return "handled", 503

        app.teardown_request(torn_down.append)
        with caplog.at_level(logging.CRITICAL):
            async with app.async_client() as client:
                response = await client.get(f"{prefix}/count")
                store.fails = ""
                assert (await client.get(f"{prefix}/count")).text == "1"
        assert response.status_code == 500
        assert len(torn_down) == 2

    async def test_of_a_stream(self, app: Flask, store: StoreInterface) -> None:
        @app.get("/stream")
        async def stream() -> t.Any:
            session["a"] = 1

            async def body() -> AsyncIterator[str]:
                yield str(session["a"])

            return body()

        async with app.async_client() as client:
            assert (await client.get("/stream")).text == "1"
        assert store.kept == {"1": {"a": 1}}

    async def test_of_a_websocket(self, app: Flask, store: StoreInterface) -> None:
        @app.websocket("/socket")
        async def socket() -> None:
            await websocket.send(str(session["count"]))

        async with app.async_client() as client:
            await client.get("/count")
            async with client.websocket("/socket") as opened:
                assert await opened.receive() == "1"
        assert {*store.threads} == {threading.get_ident()}

    async def test_requests_at_the_same_time_have_their_own(
        self, app: Flask, store: StoreInterface
    ) -> None:
        @app.get("/own")
        async def own() -> str:
            session["who"] = request.args["who"]
            await anyio.lowlevel.checkpoint()
            return t.cast("str", session["who"])

        texts: list[str] = []

        async def ask(who: str) -> None:
            response = await client.get(f"/own?who={who}", headers={"Cookie": f"session={who}"})
            texts.append(response.text)

        async with app.async_client() as client, anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(ask, str(number))
        assert sorted(texts) == [*map(str, range(10))]


class TestOverWSGI:
    def test_is_opened_and_saved(self, app: Flask, store: StoreInterface, prefix: str) -> None:
        client = app.test_client()
        assert [client.get(f"{prefix}/count").text for _ in range(3)] == ["1", "2", "3"]
        assert store.kept == {"1": {"count": 3}}
        assert threading.get_ident() not in store.threads

    def test_session_transaction(self, app: Flask, store: StoreInterface, prefix: str) -> None:
        client = app.test_client()
        with client.session_transaction() as opened:
            opened["count"] = 10
        assert client.get(f"{prefix}/count").text == "11"
        with client.session_transaction() as opened:
            assert opened["count"] == 11

    def test_in_a_context_of_ones_own(self, app: Flask) -> None:
        with app.test_request_context("/count"):
            assert session.get("count") is None

    async def test_in_an_async_context_of_ones_own(self, app: Flask) -> None:
        async with app.test_request_context("/count"):
            session["count"] = 1
            assert session["count"] == 1
