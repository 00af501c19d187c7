"""The shortcut of a sync view: the whole request is one hop into a worker thread.

For the same requests as `shortcut`, and as short. What differs is where the view is called; and
that none of the app's code runs on the loop, where it could set a context variable.
"""

from __future__ import annotations

import typing as t
from contextvars import copy_context
from functools import partial

from .. import _current
from ..dispatch import pipeline
from ..drivers import is_awaitable, wait_for
from ..hops import Hop
from ..workers import waiting
from .http import Exchange, Message, Receive, Send, open_context
from .shortcut import Found, Known, LongExchange, Way, plain_messages, plainly, raising, same


class ViewHop(Hop):
    """A request's hop: its view, and all that follows in the thread."""

    __slots__ = ("args", "view", "way")

    way: Way | None
    view: t.Callable[..., t.Any]
    args: dict[str, t.Any]

    def work(self) -> t.Any:
        """Return what to send if that is all there is to do, else the pipeline's response."""
        way, self.way = t.cast("Way", self.way), None  # its context knows this lane: no circle
        ctx, args = way[5], self.args
        _current.context.set(ctx)
        try:
            value = self.view(**args) if args else self.view()
            plain = plainly(ctx, value)
            if plain is not None:
                return plain
            if is_awaitable(value):
                value = ctx.app.async_to_sync(wait_for)(value)
        except BaseException as error:
            known: Known = partial(raising, error)
        else:
            known = partial(same, value)
        return LongExchange(way, None, known, self).drive(pipeline.complete, known)


async def serve(app: t.Any, scope: Message, receive: Receive, send: Send, found: Found) -> None:
    """Handle a request that `shortcut.find` has found a sync view for, and send its response."""
    if waiting() is not None:  # a thread waits for this request: it may be the last one
        await Exchange(app, scope, receive, send).serve()
        return
    view, rule, args = found
    entered = copy_context()
    ctx = open_context(app, scope, receive, entered, {}, send)
    request = ctx.request
    ctx.matched, request.url_rule, request.view_args = True, rule, args
    way: Way = app, scope, receive, send, entered, ctx
    hop: ViewHop | None = None
    try:
        pool = app._pool()
        pool.admit()
        hop = ctx._lane = ViewHop(pool)
        hop.way, hop.view, hop.args = way, view, args
        pool.submit(hop)
        if not hop.over:
            try:
                await hop.wait()
            except BaseException:
                await hop.end_of_cancelled()
                raise
        result = hop.known()
        known: Known | None = None if type(result) is tuple else partial(same, result)
    except BaseException as error:
        known = partial(raising, error)
    if known is None:
        start, end = plain_messages(*result)
        await send(start)
        await send(end)
    else:
        await LongExchange(way, hop, known).serve()
