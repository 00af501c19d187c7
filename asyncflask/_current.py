"""What is current: the one context variable, and the proxies that read it.

A leaf: everything inside asyncflask that needs "the current something" asks here, and
`globals` gives the same proxies their public, typed faces.

Rules
-----
- One `ContextVar` holds the innermost pushed context.
- A context that carries no request (``app.app_context()``) keeps sight of the request around
  it: `request_context` looks outwards until it finds one.
- A request context pushed inside an app context of the same app shares that context's ``g``
  (Flask 3.1's rule); `app_context` then answers with the outer one.
"""

from __future__ import annotations

import typing as t
from contextvars import ContextVar
from operator import attrgetter

from werkzeug import local

NO_APP = """\
Working outside of application context.

`current_app`, `g` and everything that reads the app's configuration need to know which app is
meant. Push a context around the code: `with app.app_context(): ...` (in a coroutine,
`async with app.app_context(): ...`).\
"""

NO_REQUEST = """\
Working outside of request context.

`request` and `session` belong to one HTTP request, and none is being handled here. In a test,
use `with app.test_request_context(...): ...`; in a background thread or task, decorate the
function with `copy_current_request_context`.\
"""

NO_WEBSOCKET = """\
Working outside of websocket context.

`websocket` is the connection that a function registered with `@app.websocket` serves, and none is
being served here. In a task or a thread that the handler starts, decorate the function with
`copy_current_websocket_context`, or hand it the websocket itself.\
"""

#: The innermost context, an `asyncflask.ctx.AppContext`. Set with a token, reset in `finally`.
context: ContextVar[t.Any] = ContextVar("asyncflask.context")


def app_context() -> t.Any | None:
    """Return the context whose `app` and `g` are current, or None."""
    ctx = context.get(None)
    return ctx if ctx is None or ctx._shared is None else ctx._shared


def request_context() -> t.Any | None:
    """Return the innermost context that carries a request, or None."""
    ctx = context.get(None)
    while ctx is not None and ctx._request is None:
        ctx = ctx._outer
    return ctx


def require_app_context() -> t.Any:
    """Return the current app context.

    :raises RuntimeError: if there is none.
    """
    ctx = context.get(None)  # PERF: mostly it is this one, found 0.2 us sooner
    if ctx is None or ctx._shared is not None:
        ctx = app_context()
        if ctx is None:
            raise RuntimeError(NO_APP)
    return ctx


def require_request_context() -> t.Any:
    """Return the current request context.

    :raises RuntimeError: if there is none.
    """
    ctx = context.get(None)  # PERF: mostly it is this one, found 0.2 us sooner
    if ctx is None or ctx._request is None:
        ctx = request_context()
        if ctx is None:
            raise RuntimeError(NO_REQUEST)
    return ctx


def websocket_context() -> t.Any | None:
    """Return the innermost context that carries a request, if that asks for a websocket."""
    ctx = request_context()
    return None if ctx is None or ctx.websocket is None else ctx


def require_websocket_context() -> t.Any:
    """Return the current websocket's context.

    :raises RuntimeError: if there is none.
    """
    ctx = context.get(None)  # PERF: mostly it is this one, found 0.2 us sooner
    if ctx is None or ctx.websocket is None:
        ctx = websocket_context()
        if ctx is None:
            raise RuntimeError(NO_WEBSOCKET)
    return ctx


def _default_template_ctx_processor() -> dict[str, t.Any]:
    """Give every template `g` and `request` themselves, which are faster than their proxies.

    `session` stays a proxy: to read it is what marks it as accessed.
    """
    names: dict[str, t.Any] = {}
    if (ctx := app_context()) is not None:
        names["g"] = ctx.g
    if (ctx := request_context()) is not None:
        names["request"] = ctx.request
    return names


def _app() -> t.Any:
    return require_app_context().app


def _g() -> t.Any:
    return require_app_context().g


def _request() -> t.Any:
    ctx = context.get(None)  # PERF: mostly it is this one, found 0.1 us sooner
    found = None if ctx is None else ctx._request
    return require_request_context()._request if found is None else found


def _session() -> t.Any:
    ctx = context.get(None)  # PERF: mostly it is open, and found 1,200 instructions sooner
    session = None if ctx is None or ctx._request is None else ctx._opened_session
    if session is None:
        return require_request_context().session
    session.accessed = True
    return session


def _websocket() -> t.Any:
    return require_websocket_context().websocket


def _proxy(current: t.Callable[[], t.Any]) -> t.Any:
    """Return werkzeug's proxy, quicker in what is done most.

    PERF: 0.4 us for a public attribute, not 1.0; 0.3 us for a look-up or a change, not 0.6.
    Werkzeug's proxy looks for an attribute on itself first, fails, and makes a function that would
    find it elsewhere; for an operation, it makes one each time.
    """
    own = object.__getattribute__

    class LocalProxy(local.LocalProxy[t.Any]):  # its name, for those who ask for that
        __slots__ = ()
        __doc__ = vars(local.LocalProxy)["__doc__"]  # the object's

        def __getattribute__(self, attribute: str) -> t.Any:
            if attribute < "a":  # "_": the proxy's own, or what says what it stands for
                return own(self, attribute)
            return getattr(current(), attribute)

        def __setattr__(self, attribute: str, value: t.Any) -> None:
            setattr(current(), attribute, value)

        def __contains__(self, item: t.Any) -> bool:
            return item in current()

        def __getitem__(self, key: t.Any) -> t.Any:
            return current()[key]

        def __setitem__(self, key: t.Any, value: t.Any) -> None:
            current()[key] = value

    return LocalProxy(current)


def expect(proxy: t.Any, held_as: str, names: t.Iterable[str]) -> None:
    """Let a proxy have attributes of its own that are those of what the current context holds.

    PERF: 0.1 us for one of these, where `_proxy`'s take 0.2: one or more for each request, two for
    each message that is answered. Nothing of it is Python: a property that gives the context at
    hand, or the proxy where there is none, and others that go on from there. What they do not
    find, the proxy's own function does, or it says why not. Any other attribute takes 0.7, as it is
    looked for twice.

    :param held_as: the context's attribute that the proxy stands for.
    :param names: what is asked for mostly.
    """
    kind: t.Any = type(proxy)
    current = object.__getattribute__(proxy, "_get_current_object")
    kind._context_at_hand = property(context.get)
    for name in names:
        setattr(kind, name, property(attrgetter(f"_context_at_hand.{held_as}.{name}")))
    kind.__getattr__ = lambda self, attribute: getattr(current(), attribute)
    kind.__getattribute__ = object.__getattribute__


app_ctx: t.Any = _proxy(require_app_context)
current_app: t.Any = _proxy(_app)
g: t.Any = _proxy(_g)
request_ctx: t.Any = _proxy(require_request_context)
request: t.Any = _proxy(_request)
session: t.Any = _proxy(_session)
websocket: t.Any = _proxy(_websocket)
