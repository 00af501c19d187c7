"""ASGI middleware around an app: what was added, and the chain that is built of it once.

The chain is a fold: ``A(B(C(app)))`` where C was added first and A last. All that a server calls
the app with goes through it: requests, WebSockets and the lifespan.
"""

from __future__ import annotations

import inspect
import typing as t
import weakref
from collections.abc import Callable, MutableMapping

Scope = MutableMapping[str, t.Any]

#: Names, in the scope, the app whose middleware the connection is already below.
_PASSED = "asyncflask.middleware"


class Middleware:
    """The middleware of one app."""

    def __init__(self) -> None:
        self._added: list[tuple[Callable[..., t.Any], dict[str, t.Any]]] = []
        self._chain: Callable[..., t.Any] | None = None
        self._told = False

    def add(self, cls: Callable[..., t.Any], options: dict[str, t.Any]) -> None:
        """Put one more around those that are there.

        :raises AssertionError: if the chain is in use already.
        """
        if self._chain is not None:
            raise AssertionError(
                f"The middleware {_name(cls)} was added after the app had started to serve, which"
                " it does without it. Add all middleware before the app is handed to a server."
            )
        self._added.append((cls, options))

    def _build(self, app: t.Any) -> Callable[..., t.Any]:
        """Return the chain around an app, made when it is first needed.

        :raises TypeError: if some middleware gives what cannot be called.
        """
        if self._chain is None:
            chain: t.Any = _Inside(app)
            for cls, options in self._added:
                chain = cls(chain, **options)
                if not callable(chain):
                    raise TypeError(
                        f"The middleware {_name(cls)} gave {chain!r}, which cannot be called."
                        " Expected: an ASGI application, called with (scope, receive, send)."
                    )
            self._chain = chain
        return self._chain

    async def serve(self, app: t.Any, scope: Scope, receive: t.Any, send: t.Any) -> None:
        """Serve a connection, or the lifespan, through the chain.

        :param app: the app inside.
        """
        try:
            chain = self._build(app)
        except Exception as error:
            if scope["type"] == "lifespan":
                # Unsaid, it would pass for an app that knows no lifespan, and be served.
                message = f"The middleware could not be made: {type(error).__name__}: {error}"
                await receive()
                await send({"type": "lifespan.startup.failed", "message": message})
            raise
        await chain(scope, receive, send)

    def look_at_wsgi(self, app: t.Any, environ: t.Mapping[str, t.Any]) -> None:
        """Say once, if a request over WSGI did not come past here.

        One that came over ASGI and through the bridge did.
        """
        passed = environ.get("asgi.scope", {}).get(_PASSED) is app
        if not passed and not self._told:
            self._told = True
            names = ", ".join(_name(cls) for cls, _options in self._added)
            app.logger.warning(
                f"The app was called over WSGI, where ASGI middleware has no effect ({names})."
                " Serve it with an ASGI server; in tests, use app.async_client()."
            )


def add(app: t.Any, cls: Callable[..., t.Any], options: dict[str, t.Any]) -> None:
    """Put middleware around `app`; see `Flask.add_middleware`."""
    _check(cls, options)
    if app._middleware is None:
        app._middleware = Middleware()
    app._middleware.add(cls, options)


class _Inside:
    """What the innermost middleware calls: the app's own entry, as it is by then.

    :param app: the app; it owns the chain, and so is not owned by it.
    """

    def __init__(self, app: t.Any) -> None:
        self._app = weakref.ref(app)

    async def __call__(self, scope: Scope, receive: t.Any, send: t.Any) -> None:
        app: t.Any = self._app()
        scope[_PASSED] = app
        await app.asgi_app(scope, receive, send)


def _name(cls: t.Any) -> str:
    return getattr(cls, "__qualname__", None) or repr(cls)


def _check(cls: t.Any, options: dict[str, t.Any]) -> None:
    """Find mistakes where they are made, and not at the first request.

    :raises TypeError: if `cls` cannot be called as middleware is.
    """
    if not callable(cls):
        raise TypeError(f"{cls!r} is no middleware: expected a class, called as M(app, **options).")
    missed = _mismatch(cls, None, **options)
    if missed is not None:
        raise TypeError(
            f"{_name(cls)} cannot be middleware with these options: {missed}. It is called as"
            f" {_name(cls)}(app, **options), so pass the class itself, and its options by name."
        )
    call = getattr(cls, "__call__", None) if isinstance(cls, type) else None  # noqa: B004
    if call is not None and _mismatch(call, *range(4)) and not _mismatch(call, *range(3)):
        raise TypeError(
            f"{_name(cls)} is WSGI middleware: it takes (environ, start_response). It goes around"
            f" the WSGI side, which ASGI requests pass too: app.wsgi_app = {_name(cls)}"
            "(app.wsgi_app)."
        )


def _mismatch(func: Callable[..., t.Any], /, *args: t.Any, **kwargs: t.Any) -> TypeError | None:
    """Return what calling `func` with these arguments would raise, if it can be known."""
    try:
        inspect.signature(func).bind(*args, **kwargs)
    except ValueError:  # made in C, mostly
        return None
    except TypeError as error:
        return error
    return None
