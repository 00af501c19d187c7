"""How an app is called: by ASGI and WSGI servers, and by tools that put themselves in between."""

from __future__ import annotations

import typing as t
import weakref
from abc import ABCMeta
from functools import partial

from .drivers import is_async

#: Names, in the environ, the app whose class's own ``__call__`` the request is already below.
_CALLED = "asyncflask.called"


#: The apps there are, which hear of changes of their class.
apps: weakref.WeakSet[t.Any] = weakref.WeakSet()


class AppType(ABCMeta):
    """The type of app classes: keeps an app callable as ASGI whatever is put in its ``__call__``.

    Tools for Flask replace ``Flask.__call__``, and subclasses define it, with a function of two
    arguments. It is kept as the class's WSGI side, and the bridge leads ASGI requests through it.
    An ``async def`` is taken as it is.
    """

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, t.Any]) -> None:
        super().__init__(name, bases, namespace)
        if "__call__" in namespace and any(isinstance(base, AppType) for base in bases):
            del cls.__call__  # and through `__setattr__` to where it belongs
            setattr(cls, "__call__", namespace["__call__"])  # noqa: B010

    def __setattr__(cls, name: str, value: t.Any) -> None:
        if name == "__call__" and not is_async(value):
            name = "_wsgi_call"
        super().__setattr__(name, value)
        for app in [*apps]:  # what was decided by the class's attributes
            app._forget(name)


def call_app(app: t.Any, scope: t.Any, receive: t.Any, send: t.Any) -> t.Any:
    """Serve a connection with the arguments that a server calls the app with.

    :param scope: ASGI's scope, or WSGI's environ.
    :param receive: ASGI's ``receive``, or WSGI's ``start_response``.
    :param send: ASGI's ``send``; None for WSGI.
    :raises TypeError: if they are neither ASGI's nor WSGI's.
    """
    middleware = app._middleware
    if send is not None:
        serve = app.asgi_app if middleware is None else partial(middleware.serve, app)
        return serve(scope, receive, send)
    if receive is None:
        raise TypeError(
            f"The app was called with {0 if scope is None else 1} arguments. A server calls it with"
            " (scope, receive, send) for ASGI or (environ, start_response) for WSGI; it is no"
            " factory."
        )
    if middleware is not None:
        middleware.look_at_wsgi(app, scope)
    foreign = type(app)._wsgi_call
    if foreign is None or scope.get(_CALLED) is app:
        return app.wsgi_app(scope, receive)
    scope[_CALLED] = app
    return foreign(app, scope, receive)


async def serve_asgi(app: weakref.ref[t.Any], scope: t.Any, receive: t.Any, send: t.Any) -> None:
    """Call an app as an ASGI application; servers see that this is a coroutine function."""
    await t.cast("t.Any", app())(scope, receive, send)
