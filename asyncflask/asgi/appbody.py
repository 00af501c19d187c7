"""A body that an ASGI application sends: one that a view returned, as Starlette's responses are."""

from __future__ import annotations

import typing as t

from ..wrappers.wire import known_head, merged_head
from .arrivals import Message, Receive


async def send_by_app(
    response: t.Any, scope: Message, receive: Receive, send: t.Callable[..., t.Awaitable[None]]
) -> None:
    """Let an ASGI application send the body, under the status and headers that hooks left.

    :param response: what stood for the application while the hooks ran.
    """
    before = known_head(response.asgi_app)

    async def send_merged(message: Message) -> None:
        if message["type"] == "http.response.start":
            sent = message["status"], message["headers"]
            status, headers = merged_head(response, before, sent)
            message = {**message, "status": status, "headers": headers}
        await send(message)

    await response.asgi_app(scope, receive, send_merged)
