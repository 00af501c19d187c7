"""The app object itself: what servers, subclasses and tools see of it."""

from __future__ import annotations

import gc
import inspect
import io
import typing as t
import weakref
from abc import ABC

import pytest
from uvicorn import Config
from werkzeug.middleware.proxy_fix import ProxyFix

from asyncflask import Flask, Response, make_response, request
from asyncflask.calling import AppType


def hello(app: Flask) -> Flask:
    @app.route("/")
    async def index() -> str:
        return f"hello {request.scheme}"

    return app


async def answer(app: Flask, path: str = "/", **options: t.Any) -> str:
    async with app.async_client() as client:
        return (await client.request("GET", path, **options)).text


def test_servers_see_an_asgi_3_application() -> None:
    app = Flask("a")
    assert inspect.iscoroutinefunction(app.__call__)
    config = Config(app, log_config=None)
    config.load()
    assert config.interface == "asgi3"


def test_an_app_nobody_refers_to_is_freed_at_once() -> None:
    gc.disable()
    try:
        gone = weakref.ref(Flask("a"))
        assert gone() is None
    finally:
        gc.enable()


async def test_the_same_object_is_a_wsgi_application() -> None:
    app = hello(Flask("a"))
    assert app.test_client().get("/").text == await answer(app) == "hello http"


async def test_wsgi_middleware_is_honoured_under_asgi() -> None:
    app = hello(Flask("a"))
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    assert await answer(app, headers={"X-Forwarded-Proto": "https"}) == "hello https"


async def test_asgi_middleware_is_honoured() -> None:
    app = hello(Flask("a"))
    inner = app.asgi_app

    async def outer(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await inner({**scope, "scheme": "https"}, receive, send)

    app.asgi_app = outer  # type: ignore[method-assign]
    assert await answer(app) == "hello https"


async def test_a_subclass_with_its_own_wsgi_call_is_honoured_under_asgi() -> None:
    class Own(Flask):
        def __call__(self, environ: t.Any, start_response: t.Any) -> t.Any:
            environ["wsgi.url_scheme"] = "own"
            return super().__call__(environ, start_response)

    app = hello(Own("a"))
    assert await answer(app) == "hello own"
    assert app.test_client().get("/").text == "hello own"


async def test_a_tool_that_replaces_the_class_call_is_honoured_under_asgi(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = Flask.__call__

    def patched(self: Flask, environ: t.Any, start_response: t.Any) -> t.Any:
        environ["wsgi.url_scheme"] = "patched"
        return before(self, environ, start_response)

    try:
        Flask.__call__ = patched  # type: ignore[method-assign]
        app = hello(Flask("a"))
        assert await answer(app) == "hello patched"
        assert app.test_client().get("/").text == "hello patched"
    finally:
        Flask._wsgi_call = None


async def test_an_async_call_of_a_subclass_is_taken_as_it_is() -> None:
    class Own(Flask):
        async def __call__(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
            await self.asgi_app({**scope, "scheme": "own"}, receive, send)

    assert await answer(hello(Own("a"))) == "hello own"


def test_an_app_class_may_be_abstract() -> None:
    class Own(Flask, ABC):
        pass

    assert type(Own) is AppType


async def test_uploads_reach_async_views_on_every_way() -> None:
    app = Flask("a")

    @app.post("/whole")
    async def whole() -> str:
        return str(len(request.get_data()))

    @app.post("/streamed", stream_body=True)
    async def streamed() -> str:
        return str(sum([len(chunk) async for chunk in t.cast("t.Any", request.stream)]))

    body = b"x" * 2_000_000
    for path in ("/whole", "/streamed"):
        assert app.test_client().post(path, data=io.BytesIO(body)).text == "2000000"
        async with app.async_client() as client:
            assert (await client.post(path, content=body)).text == "2000000"
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    for path in ("/whole", "/streamed"):
        async with app.async_client() as client:
            assert (await client.post(path, content=body)).text == "2000000"


def test_a_decorated_async_view_reads_a_large_upload() -> None:
    """As under `login_required`: a plain function around a coroutine function."""
    app = Flask("a")

    def required(view: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        return lambda **values: app.ensure_sync(view)(**values)

    async def view() -> str:
        return str(len(request.files["f"].read()))

    app.add_url_rule("/", "view", required(view), methods=["POST"])
    upload = {"f": (io.BytesIO(b"x" * 300_000), "f.bin")}
    assert app.test_client().post("/", data=upload).text == "300000"


async def test_make_response_awaits_what_a_decorator_gives_it() -> None:
    """As flask_cors.cross_origin does: `make_response(view())` around an async view."""
    app = Flask("a")

    def decorator(view: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        return lambda: make_response(view(), 201)

    async def view() -> str:
        return "awaited"

    async def on_loop() -> t.Any:
        return make_response(view())

    app.testing = True
    app.add_url_rule("/", "view", decorator(view))
    app.add_url_rule("/loop", "on_loop", on_loop)
    assert app.test_client().get("/").status == "201 CREATED"
    assert await answer(app) == "awaited"
    with pytest.raises(TypeError, match=r"make_response\(await"):
        await answer(app, "/loop")


def test_resources_are_opened_for_reading_only() -> None:
    app = Flask(__name__)
    with app.open_resource("test_app.py", "r") as file:
        assert "The app object itself" in file.readline()
    with pytest.raises(ValueError, match="reading"):
        app.open_resource("test_app.py", "w")


def test_static_files_need_a_folder() -> None:
    with pytest.raises(RuntimeError, match="static_folder"):
        Flask("a", static_folder=None).send_static_file("x")
    with pytest.raises(AssertionError, match="static_host"):
        Flask("a", host_matching=True)


def test_a_response_may_be_changed_by_make_response() -> None:
    app = Flask("a")
    with app.test_request_context():
        made = app.make_response(("body", 201, {"X-A": "1"}))
    assert isinstance(made, Response)
    assert (made.status_code, made.headers["X-A"]) == (201, "1")
