"""The lifespan protocol: start-up and shutdown of the app in one server process."""

from __future__ import annotations

import typing as t

Message = t.MutableMapping[str, t.Any]


async def serve(
    app: t.Any,
    receive: t.Callable[[], t.Awaitable[Message]],
    send: t.Callable[[Message], t.Awaitable[None]],
) -> None:
    """Answer the server's lifespan messages; at shutdown, end the worker threads."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await app._pools.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
