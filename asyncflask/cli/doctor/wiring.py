"""How the app is put together: what stands around it, and what it overrides."""

from __future__ import annotations

import ast
import sys
import typing as t
from collections.abc import Iterator

from werkzeug.routing.converters import DEFAULT_CONVERTERS

from ... import _current
from ...aliasing import OURS, THEIRS, _holders
from ...drivers import is_async
from .finding import Finding, listed, name_of, place_of_callable, shown
from .handlers import handlers

#: WSGI middleware by class name, and what does the same on the ASGI side.
TWINS = {
    "ProxyFix": "uvicorn's own: set FORWARDED_ALLOW_IPS, or run uvicorn with --proxy-headers",
    "SharedDataMiddleware": "starlette.staticfiles.StaticFiles",
    "WhiteNoise": "starlette.staticfiles.StaticFiles, or the package ServeStatic",
    "DispatcherMiddleware": "starlette.routing.Mount, around app.asgi_app",
    "SentryWsgiMiddleware": "sentry_sdk.integrations.asgi.SentryAsgiMiddleware",
    "OpenTelemetryMiddleware": "opentelemetry.instrumentation.asgi.OpenTelemetryMiddleware",
    "_SocketIOMiddleware": "socketio.ASGIApp of python-socketio",
    "WSGIApp": "socketio.ASGIApp of python-socketio",
}

#: Under which names WSGI middleware keeps the application that it wraps.
_INNER = ("app", "wsgi_app", "application", "_app", "wrapped_app", "_wsgi_app")

_IN_A_THREAD = "It is honoured, but each request then needs a worker thread"
_ASGI = "It is put there: app.asgi_app = Middleware(app.asgi_app)."


def check_wsgi_middleware(app: t.Any) -> Iterator[Finding]:
    """Find WSGI middleware around ``app.wsgi_app``."""
    if "wsgi_app" not in vars(app):
        return
    layers = [*_layers(app.wsgi_app, app)]
    for layer in layers:
        name = name_of(layer)
        twin = TWINS.get(name.rpartition(".")[2])
        way_out = f"Use {twin}" if twin else "Use an ASGI middleware that does the same"
        yield Finding(
            "warning",
            "app.wsgi_app",
            f"Wrapped by the WSGI middleware {name}. {_IN_A_THREAD}, async views too.",
            f"{way_out}. {_ASGI}",
        )


def _layers(outer: t.Any, app: t.Any) -> Iterator[t.Any]:
    """Iterate over the middleware, the outermost first, down to the app."""
    seen: set[int] = set()
    while outer is not None and getattr(outer, "__self__", None) is not app and outer is not app:
        if id(outer) in seen:
            return
        seen.add(id(outer))
        yield outer
        inner = getattr(outer, "__dict__", {})
        outer = next((inner[name] for name in _INNER if callable(inner.get(name))), None)


def check_class_entry(app: t.Any) -> Iterator[Finding]:
    """Find a ``__call__`` or ``wsgi_app`` that a subclass or a tool put into the app's class."""
    kind = type(app)
    if kind._wsgi_call is not None:
        name, found = "__call__", kind._wsgi_call
    elif app._wraps_wsgi and "wsgi_app" not in vars(app):
        name, found = "wsgi_app", kind.wsgi_app
    else:
        return
    yield Finding(
        "warning",
        f"{kind.__qualname__}.{name}",
        f"Replaced by {name_of(found)} ({place_of_callable(found)}), a WSGI callable."
        f" {_IN_A_THREAD}, async views too.",
        f"Let ASGI middleware do it. {_ASGI}",
    )


def check_overridden_steps(app: t.Any) -> Iterator[Finding]:
    """Find dispatch methods that a subclass or an extension overrides."""
    by_whom: dict[str, list[str]] = {}
    for name in sorted(app._overridden):
        if name in vars(app):
            found, owner = vars(app)[name], "this app object"
        else:
            cls = next(cls for cls in type(app).__mro__ if name in vars(cls))
            found, owner = vars(cls)[name], f"the class {name_of(cls)}"
        by = f"Overridden on {owner} by {name_of(found)} ({place_of_callable(found)})"
        by_whom.setdefault(by, []).append(f"app.{name}")
    for by, names in by_whom.items():
        yield Finding(
            "warning",
            ", ".join(names),
            f"{by}. {_IN_A_THREAD}; async views still run on the event loop.",
            "Nothing, if you can afford the thread. Else use a hook or an error handler for it.",
        )


def check_converters(app: t.Any) -> Iterator[Finding]:
    """Find URL converters of the app's own."""
    custom = [
        f"{name!r} ({name_of(kind)})"
        for name, kind in app.url_map.converters.items()
        if DEFAULT_CONVERTERS.get(name) is not kind
    ]
    if custom:
        yield Finding(
            "note",
            "app.url_map.converters",
            f"Converters of your own: {listed(custom)}. Since such code may block, URLs are matched"
            " in a worker thread, and async views cost a thread too.",
            "Nothing, if you can afford the thread. Else convert in the view.",
        )


def check_decorated_views(app: t.Any) -> Iterator[Finding]:
    """Find ``async def`` handlers below decorators that are plain functions."""
    hidden: dict[str, list[str]] = {}
    for handler in handlers(app):
        if handler.coroutine_function() is not None and not is_async(handler.func):
            hidden.setdefault(place_of_callable(handler.func), []).append(handler.role)
    for place, roles in hidden.items():
        yield Finding(
            "note",
            place,
            "This decorator's plain function stands around async code, which therefore is called"
            f" by way of a worker thread, and runs on the event loop: {listed(roles)}.",
            "Nothing, if you can afford the thread. Else write the wrapper as 'async def'.",
        )


def real_flask() -> t.Any:
    """Return the real Flask's module, if that is what ``import flask`` gave somebody."""
    found = sys.modules.get(THEIRS)
    return None if found is sys.modules[OURS] else found


def check_two_flasks(app: t.Any) -> Iterator[Finding]:
    """Find the real Flask, imported beside us."""
    real = real_flask()
    if real is not None:
        holders = listed(_holders(real)) or "nobody any more"
        yield Finding(
            "error",
            "sys.modules",
            "The real Flask is imported too. Its current_app, request, session and g know nothing"
            f" of this app: what uses them fails. It is held by: {holders}.",
            "Run 'asyncflask --as-flask ...', so that 'import flask' means asyncflask, or import"
            " from asyncflask there.",
        )


def check_pushed_context(app: t.Any) -> Iterator[Finding]:
    """Find a context that was pushed when the app was loaded, and never popped."""
    ctx = _current.context.get(None)
    if ctx is not None and ctx.app is app:
        yield Finding(
            "warning",
            _push_in(sys.modules.get(app.import_name)) or app.import_name,
            "A context was pushed when the app was loaded, and is never popped. Under ASGI it"
            " is current wherever no request is: all background tasks share its g, and its"
            " teardown functions never run.",
            "Push it only where it is needed: with app.app_context(): ...",
        )


def _push_in(module: t.Any) -> str | None:
    """Return the place of a module's first ``...push()`` outside of functions."""
    file = getattr(module, "__file__", None)
    if file is None:
        return None
    with open(file, "rb") as source:
        body = ast.parse(source.read()).body
    for statement in body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        func = call.func if isinstance(call, ast.Call) else None
        if isinstance(func, ast.Attribute) and func.attr == "push":
            return f"{shown(file)}:{statement.lineno}"
    return None
