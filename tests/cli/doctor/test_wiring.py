from __future__ import annotations

import sys
import typing as t
from collections.abc import Iterator
from functools import partial, wraps
from pathlib import Path
from types import ModuleType

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.middleware.shared_data import SharedDataMiddleware
from werkzeug.routing import BaseConverter

import asyncflask
from asyncflask import Flask
from asyncflask.cli.doctor.wiring import (
    check_class_entry,
    check_converters,
    check_decorated_views,
    check_overridden_steps,
    check_pushed_context,
    check_two_flasks,
    check_wsgi_middleware,
)


@pytest.fixture
def app() -> Flask:
    app = Flask("demo")

    @app.get("/async")
    async def asynchronous() -> str:
        return ""

    @app.get("/plain")
    def plain() -> str:
        return ""

    return app


class Mine:
    """WSGI middleware that nobody else knows."""

    def __init__(self, application: t.Any) -> None:
        self.application = application

    def __call__(self, environ: t.Any, start_response: t.Any) -> t.Any:
        return self.application(environ, start_response)


def test_wsgi_middleware(app: Flask) -> None:
    wrapped = SharedDataMiddleware(ProxyFix(Mine(app.wsgi_app)), {})
    app.wsgi_app = wrapped  # type: ignore[method-assign]
    static, proxy, mine = check_wsgi_middleware(app)
    assert {static.level, proxy.level, mine.level} == {"warning"}
    assert {static.place, proxy.place, mine.place} == {"app.wsgi_app"}
    assert "werkzeug.middleware.shared_data.SharedDataMiddleware" in static.what
    assert "starlette.staticfiles.StaticFiles" in static.way_out
    assert "FORWARDED_ALLOW_IPS" in proxy.way_out
    assert f"{__name__}.Mine" in mine.what
    assert "app.asgi_app = Middleware(app.asgi_app)" in mine.way_out


def test_middleware_that_is_a_function_or_a_circle(app: Flask) -> None:
    inner = app.wsgi_app
    app.wsgi_app = lambda *args: inner(*args)  # type: ignore[method-assign]
    (finding,) = check_wsgi_middleware(app)
    assert f"{__name__}.test_middleware_that_is_a_function_or_a_circle" in finding.what
    circle = Mine(None)
    circle.application = circle
    app.wsgi_app = circle  # type: ignore[method-assign]
    assert len([*check_wsgi_middleware(app)]) == 1


def test_no_middleware(app: Flask) -> None:
    assert [*check_wsgi_middleware(app)] == []
    app.asgi_app = partial(app.asgi_app)  # type: ignore[method-assign]
    assert [*check_wsgi_middleware(app)] == []


class OwnCall(Flask):
    def __call__(self, environ: t.Any, start_response: t.Any) -> t.Any:
        return super().__call__(environ, start_response)


class OwnWSGI(Flask):
    def wsgi_app(self, environ: t.Any, start_response: t.Any) -> t.Any:
        return super().wsgi_app(environ, start_response)


class OwnASGI(Flask):
    async def __call__(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await super().__call__(scope, receive, send)


@pytest.mark.parametrize(("kind", "name"), [(OwnCall, "__call__"), (OwnWSGI, "wsgi_app")])
def test_an_entry_of_the_class(kind: type[Flask], name: str) -> None:
    (finding,) = check_class_entry(kind("demo"))
    assert (finding.level, finding.place) == ("warning", f"{kind.__name__}.{name}")
    assert f"{__name__}.{kind.__name__}.{name} (" in finding.what
    assert "test_wiring.py:" in finding.what


@pytest.mark.parametrize("kind", [Flask, OwnASGI])
def test_no_entry_of_the_class(kind: type[Flask]) -> None:
    app = kind("demo")
    assert [*check_class_entry(app)] == []
    app.wsgi_app = Mine(app.wsgi_app)  # type: ignore[method-assign]
    assert [*check_class_entry(app)] == []


def watched(handler: t.Any) -> t.Any:
    def watch(error: Exception) -> t.Any:
        return handler(error)

    return watch


class Overriding(Flask):
    def dispatch_request(self) -> t.Any:
        return super().dispatch_request()


def test_overridden_steps(app: Flask) -> None:
    app = Overriding("demo")
    app.handle_exception = watched(app.handle_exception)  # type: ignore[method-assign]
    app.handle_user_exception = watched(app.handle_user_exception)  # type: ignore[method-assign]
    by_class, by_object = sorted(check_overridden_steps(app), key=lambda one: one.place)
    assert by_class.place == "app.dispatch_request"
    assert f"on the class {__name__}.Overriding by" in by_class.what
    assert "test_wiring.py:" in by_class.what
    assert by_object.place == "app.handle_exception, app.handle_user_exception"
    assert f"on this app object by {__name__}.watched (" in by_object.what


def test_no_overridden_steps(app: Flask) -> None:
    assert [*check_overridden_steps(app)] == []


class Hex(BaseConverter):
    pass


def test_converters(app: Flask) -> None:
    assert [*check_converters(app)] == []
    app.url_map.converters["hex"] = Hex
    (finding,) = check_converters(app)
    assert (finding.level, finding.place) == ("note", "app.url_map.converters")
    assert f"'hex' ({__name__}.Hex)" in finding.what


def guarded(view: t.Any) -> t.Any:
    @wraps(view)
    def guard() -> t.Any:
        return view()

    return guard


def guarded_async(view: t.Any) -> t.Any:
    @wraps(view)
    async def guard() -> t.Any:
        return await view()

    return guard


def test_decorators_around_async_views(app: Flask) -> None:
    for endpoint in ("asynchronous", "plain"):
        app.view_functions[f"guarded {endpoint}"] = guarded(app.view_functions[endpoint])
    app.view_functions["async"] = guarded_async(app.view_functions["asynchronous"])
    (finding,) = check_decorated_views(app)
    assert finding.level == "note"
    assert "view 'guarded asynchronous'." in finding.what
    assert "test_wiring.py:" in finding.place


def test_no_decorators(app: Flask) -> None:
    app.view_functions["partial"] = partial(app.view_functions["asynchronous"])
    assert [*check_decorated_views(app)] == []


def test_two_flasks(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    real, holder = ModuleType("flask"), ModuleType("holder")
    holder.__dict__["flask"] = real
    for name, module in [*sys.modules.items()]:
        if name.startswith("flask."):
            monkeypatch.setitem(sys.modules, name, module)
            del sys.modules[name]
    monkeypatch.setitem(sys.modules, "flask", real)
    monkeypatch.setitem(sys.modules, "holder", holder)
    (finding,) = check_two_flasks(app)
    assert finding.level == "error"
    assert "held by: holder (no file)." in finding.what
    assert "--as-flask" in finding.way_out


@pytest.mark.parametrize("flask", [None, asyncflask])
def test_one_flask(app: Flask, monkeypatch: pytest.MonkeyPatch, flask: ModuleType | None) -> None:
    monkeypatch.setitem(sys.modules, "flask", flask)
    assert [*check_two_flasks(app)] == []


@pytest.fixture
def pushing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module that pushes a context when it is imported."""
    source = "from asyncflask import Flask\n\napp = Flask(__name__)\n\nprint()\napp.app_context()"
    (tmp_path / "pushing.py").write_text(f"{source}.push()\n")
    monkeypatch.syspath_prepend(tmp_path)
    import pushing  # type: ignore[import-not-found]

    yield pushing
    asyncflask.globals.app_ctx.pop()


def test_a_pushed_context(pushing: ModuleType) -> None:
    (finding,) = check_pushed_context(pushing.app)
    assert finding.level == "warning"
    assert finding.place.endswith("pushing.py:6")
    assert "with app.app_context()" in finding.way_out


def test_a_context_of_unknown_origin(app: Flask) -> None:
    with app.app_context():
        assert [one.place for one in check_pushed_context(app)] == ["demo"]


def test_no_pushed_context(app: Flask) -> None:
    assert [*check_pushed_context(app)] == []
    with Flask("other").app_context():
        assert [*check_pushed_context(app)] == []
