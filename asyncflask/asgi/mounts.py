"""Connections to mounted apps."""

from __future__ import annotations

import typing as t
from contextvars import copy_context

from ..mounts import Mount
from ..sansio.app import App
from .bridge import serve_wsgi
from .guests import answer_failure
from .http import Message, Receive, Send
from .isolation import InContext


def serve(app: t.Any, scope: Message, receive: Receive, send: Send) -> t.Awaitable[None] | None:
    """Return what serves a connection if it is for a mounted app, or None if it is for `app`.

    What only speaks WSGI is left to the bridge if WSGI middleware is around `app`: below it, the
    WSGI entry finds the mounted app again. It takes no WebSockets.

    :param app: the app with the mounts.
    """
    mount = app._mounts.for_scope(scope)
    if mount is None:
        return None
    if "asgi" not in mount.protocols:
        if scope["type"] == "websocket" or app._wraps_wsgi:
            return None
        return serve_wsgi(app, mount.app, mount.scope(scope), receive, send, outer=scope)
    if scope["type"] == "websocket" or isinstance(mount.app, App):
        return t.cast("t.Awaitable[None]", mount.app(mount.scope(scope), receive, send))
    return _serve_http(app, mount, scope, receive, send)


async def _serve_http(
    app: t.Any, mount: Mount, scope: Message, receive: Receive, send: Send
) -> None:
    """Serve a request by a foreign ASGI app.

    What it raises is the server's to report if a response has begun, else it is answered as if a
    view had raised it. The context variables that it sets stay its own (see `isolation`).
    """
    context = copy_context()
    send_outside = InContext(send, context)
    started = False

    async def noting_send(message: Message) -> None:
        nonlocal started
        started = started or message["type"] == "http.response.start"
        await send_outside(message)

    try:
        await mount.app(mount.scope(scope), InContext(receive, context), noting_send)
    except Exception as error:
        await answer_failure(app, scope, receive, send, error, started)
