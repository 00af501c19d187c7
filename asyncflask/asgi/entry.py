"""The ASGI entry: which module drives a connection."""

from __future__ import annotations

import typing as t

from . import lifespan
from .bridge import BridgedExchange
from .http import Exchange

Message = t.MutableMapping[str, t.Any]
Receive = t.Callable[[], t.Awaitable[Message]]
Send = t.Callable[[Message], t.Awaitable[None]]


async def serve(app: t.Any, scope: Message, receive: Receive, send: Send) -> None:
    """Drive one connection, or the lifespan, from its scope to its end."""
    kind = scope["type"]
    if kind == "http":
        exchange = BridgedExchange if app._wraps_wsgi else Exchange
        await exchange(app, scope, receive, send).serve()
    elif kind == "lifespan":
        await lifespan.serve(app, receive, send)
    elif kind == "websocket":
        # NOTE: closed before it is accepted: the client gets 403 (ASGI websocket spec).
        await send({"type": "websocket.close", "code": 1000, "reason": ""})
    else:
        raise RuntimeError(
            f"The server opened a connection of the type {kind!r}; asyncflask serves 'http',"
            " 'websocket' and 'lifespan'."
        )
