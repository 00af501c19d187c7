"""What other applications raise, where they work for the app: mounted, or behind the bridge."""

from __future__ import annotations

import typing as t

from werkzeug.exceptions import HTTPException

from .. import _current
from .http import Exchange, Message, Receive, Send


async def answer_failure(
    app: t.Any, scope: Message, receive: Receive, send: Send, error: Exception, started: bool
) -> None:
    """Answer what another application raised, in the name of the app that it works for.

    :param scope: the connection's scope, as the app got it.
    :param started: whether a response has begun.
    :raises Exception: the error, where it cannot be answered any more or `PROPAGATE_EXCEPTIONS`
        asks for it.
    """
    exchange = Exchange(app, scope, receive, send)
    exchange.started = started
    token = _current.context.set(exchange.ctx)
    try:
        if isinstance(error, HTTPException) and not started:
            await exchange.send_page(error)
        else:
            await exchange.fail(error)
    finally:
        _current.context.reset(token)
        exchange.ctx.forget_errors()
