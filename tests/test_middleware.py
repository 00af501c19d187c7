"""`Flask.add_middleware`: the chain around an app, built once."""

from __future__ import annotations

import gc
import logging
import typing as t
import weakref
from collections.abc import Callable

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from asyncflask import Flask, request

Scope = t.MutableMapping[str, t.Any]


class Noting:
    """Middleware that notes what comes past it, and shows itself in the response.

    :param app: what is inside.
    :param name: what it notes.
    :param notes: where.
    """

    def __init__(self, app: t.Any, name: str, notes: list[str]) -> None:
        self.app, self.name, self.notes = app, name, notes
        notes.append(f"made {name}")

    async def __call__(self, scope: Scope, receive: t.Any, send: t.Any) -> None:
        self.notes.append(f"{scope['type']} {self.name}")
        if scope["type"] == "http":
            scope["seen"] = [*scope.get("seen", ()), self.name]
        await self.app(scope, receive, send)


def noting(app: t.Any, name: str, notes: list[str]) -> t.Any:
    """Do what `Noting` does, as a function that makes an ASGI application."""
    return Noting(app, name, notes)


def seen() -> list[str]:
    """Return the names of the middleware that the current request came past."""
    scope = request.environ["asgi.scope"] if request.scope is None else request.scope
    return t.cast("list[str]", scope.get("seen", []))


async def seen_on_loop() -> list[str]:
    """`seen`, as an async view."""
    return seen()


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__, static_folder=None)

    app.get("/sync")(seen)
    app.get("/")(seen_on_loop)
    return app


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/", "/sync"])
async def test_the_last_added_is_outermost(app: Flask, path: str) -> None:
    notes: list[str] = []
    app.add_middleware(Noting, name="first", notes=notes)
    app.add_middleware(noting, name="last", notes=notes)
    assert notes == []
    async with app.async_client() as client:
        for _ in range(2):
            assert (await client.get(path)).json() == ["last", "first"]
    assert [note for note in notes if note.startswith("made")] == ["made first", "made last"]
    assert notes[2:4] == ["lifespan last", "lifespan first"]


@pytest.mark.anyio
async def test_goes_around_what_asgi_app_holds(app: Flask) -> None:
    notes: list[str] = []
    app.add_middleware(Noting, name="added", notes=notes)
    app.asgi_app = Noting(app.asgi_app, "assigned", notes)  # type: ignore[method-assign]
    client = app.async_client()
    assert (await client.get("/")).json() == ["added", "assigned"]
    del app.asgi_app
    assert (await client.get("/")).json() == ["added"]
    await client.aclose()


@pytest.mark.anyio
async def test_each_connection_passes_once(app: Flask) -> None:
    """WSGI middleware, whose requests come in again over the bridge, changes nothing."""
    notes: list[str] = []
    app.add_middleware(Noting, name="asgi", notes=notes)
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    async with app.async_client() as client:
        assert (await client.get("/")).json() == ["asgi"]
    assert notes.count("http asgi") == 1


@pytest.mark.anyio
async def test_of_mounted_apps(app: Flask) -> None:
    inner = Flask("inner", static_folder=None)
    inner.get("/")(seen_on_loop)
    notes: list[str] = []
    app.add_middleware(Noting, name="outer", notes=notes)
    inner.add_middleware(Noting, name="inner", notes=notes)
    app.mount("/below", inner)
    async with app.async_client() as client:
        assert (await client.get("/below/")).json() == ["outer", "inner"]
        assert (await client.get("/")).json() == ["outer"]


@pytest.mark.anyio
async def test_websockets_pass(app: Flask) -> None:
    notes: list[str] = []
    sent: list[t.Any] = []

    async def receive() -> t.Any:
        return {"type": "websocket.connect"}

    async def send(message: t.Any) -> None:
        sent.append(message["type"])

    app.add_middleware(Noting, name="only", notes=notes)
    scope = {"type": "websocket", "path": "/none", "headers": [], "query_string": b""}
    await app(scope, receive, send)
    assert notes == ["made only", "websocket only"]
    assert sent


class TestTooLate:
    @pytest.mark.anyio
    async def test_after_the_start(self, app: Flask) -> None:
        app.add_middleware(Noting, name="early", notes=[])
        async with app.async_client():
            with pytest.raises(AssertionError, match="Noting was added after the app had started"):
                app.add_middleware(Noting, name="late", notes=[])

    @pytest.mark.anyio
    async def test_after_the_first_request(self, app: Flask) -> None:
        client = app.async_client()
        await client.get("/sync")
        await client.aclose()
        with pytest.raises(AssertionError, match="'add_middleware' was called"):
            app.add_middleware(Noting, name="late", notes=[])


class TestMistakes:
    @pytest.mark.parametrize(
        ("cls", "options", "said"),
        [
            (Noting, {"name": "a"}, "missing a required argument: 'notes'"),
            (Noting, {"name": "a", "notes": [], "more": 1}, "unexpected keyword argument 'more'"),
            (Noting(None, "a", []), {}, "pass the class itself"),
            ("a name", {}, "is no middleware"),
            (ProxyFix, {}, r"app.wsgi_app = ProxyFix\(app.wsgi_app\)"),
        ],
    )
    def test_are_told_at_once(
        self, app: Flask, cls: t.Any, options: dict[str, t.Any], said: str
    ) -> None:
        with pytest.raises(TypeError, match=said):
            app.add_middleware(cls, **options)
        assert app._middleware is None
        assert app._asgi_is_own

    @pytest.mark.anyio
    @pytest.mark.parametrize(
        ("made", "error", "said"),
        [
            (lambda app: None, TypeError, "which cannot be called"),
            (lambda app: 1 / 0, ZeroDivisionError, "division by zero"),
        ],
    )
    async def test_of_making_fail_the_start(
        self, app: Flask, made: Callable[..., t.Any], error: type[Exception], said: str
    ) -> None:
        sent: list[t.Any] = []

        async def receive() -> t.Any:
            return {"type": "lifespan.startup"}

        async def send(message: t.Any) -> None:
            sent.append(message)

        app.add_middleware(made)
        with pytest.raises(error, match=said):
            await app({"type": "lifespan"}, receive, send)
        assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
        assert said in sent[0]["message"]
        with pytest.raises(error, match=said):
            await app.async_client().get("/")

    def test_a_callable_without_a_signature(self, app: Flask) -> None:
        app.add_middleware(dict)
        assert not app._asgi_is_own


class TestWSGI:
    def test_is_told_once(self, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
        notes: list[str] = []
        app.add_middleware(Noting, name="a", notes=notes)
        app.add_middleware(noting, name="b", notes=notes)
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                assert app.test_client().get("/none").status_code == 404
        (record,) = caplog.records
        assert record.getMessage() == (
            "The app was called over WSGI, where ASGI middleware has no effect (Noting, noting)."
            " Serve it with an ASGI server; in tests, use app.async_client()."
        )
        assert notes == []

    def test_nothing_is_told_without_middleware(
        self, app: Flask, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            app.test_client().get("/none")
        assert caplog.records == []

    @pytest.mark.anyio
    async def test_the_bridge_is_not_taken_for_it(
        self, app: Flask, caplog: pytest.LogCaptureFixture
    ) -> None:
        app.add_middleware(Noting, name="a", notes=[])
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
        with caplog.at_level(logging.WARNING):
            async with app.async_client() as client:
                await client.get("/")
        assert caplog.records == []


def test_without_middleware_the_entry_is_the_shortest(app: Flask) -> None:
    assert app._asgi_is_own
    app.add_middleware(Noting, name="a", notes=[])
    assert not app._asgi_is_own


@pytest.mark.anyio
async def test_an_app_nobody_refers_to_is_freed(app: Flask) -> None:
    made = Flask("alone", static_folder=None)
    made.add_middleware(Noting, name="a", notes=[])
    async with made.async_client() as client:
        await client.get("/none")
    there = weakref.ref(made)
    del made, client
    gc.collect()
    assert there() is None
