"""The ASGI entry: which module drives a connection."""

from __future__ import annotations

import typing as t

from ..signals import forget_unheard, heard
from . import lifespan, mounts
from .bridge import serve_wsgi
from .http import Exchange, Message, Receive, Send
from .websocket import SocketExchange


def serve(app: t.Any, scope: Message, receive: Receive, send: Send) -> t.Awaitable[None]:
    """Return what drives one connection, or the lifespan, from its scope to its end.

    :raises RuntimeError: if the connection is of a kind that is not known.
    """
    kind = scope["type"]
    if heard:
        forget_unheard()
    if app._mounts is not None and kind != "lifespan":
        mounted = mounts.serve(app, scope, receive, send)
        if mounted is not None:
            return mounted
    if kind == "http":
        if app._wraps_wsgi:
            return serve_wsgi(app, app, scope, receive, send)
        return Exchange(app, scope, receive, send).serve()
    if kind == "lifespan":
        return lifespan.serve(app, scope, receive, send)
    if kind == "websocket":
        return SocketExchange(app, scope, receive, send).serve()
    raise RuntimeError(
        f"The server opened a connection of the type {kind!r}; asyncflask serves 'http',"
        " 'websocket' and 'lifespan'."
    )
