"""The shortcut of a sync view: the whole request is one hop into a worker thread.

For the same requests as `shortcut`, and as short. What differs is where the view is called; and
that none of the app's code runs on the loop, where it could set a context variable.
"""

from __future__ import annotations

import typing as t
from functools import partial

from .. import _current
from ..dispatch import pipeline
from ..drivers import ThreadDriver, drive, is_awaitable, wait_for
from ..exceptions import QueueFull
from ..hops import Hop
from ..workers import waiting
from .http import Exchange
from .served import MatchedContext
from .shortened import (
    Answer,
    Known,
    LongExchange,
    Raised,
    View,
    answer_of,
    finalized,
    handled,
    same,
)


class ViewHop(Hop):
    """A request's hop: its view, and all that follows in the thread."""

    __slots__ = ("ctx", "first", "view")

    ctx: MatchedContext | None
    first: str | None  # the view's only argument
    view: View

    def work(self) -> t.Any:
        """Return what to send if that is all there is to do, else the pipeline's response."""
        ctx, self.ctx = t.cast("MatchedContext", self.ctx), None  # it knows this lane: no circle
        app, hooks = ctx.app, ctx.hooks
        _current.context.set(ctx)
        outcome: Answer | Known
        try:
            if hooks is not None:
                outcome = drive(handled(ctx, hooks))
            else:
                args = ctx.found[1]
                if self.first is not None:
                    value = self.view(args[self.first])  # type: ignore[index]
                else:
                    value = self.view(**args) if args else self.view()
                if is_awaitable(value):
                    value = app.async_to_sync(wait_for)(value)
                outcome = (
                    partial(same, value)
                    if (app._sight or app._look()).is_busy
                    else answer_of(ctx, value) or drive(finalized(ctx, value, ThreadDriver(app)))
                )
        except BaseException as error:
            if ctx.is_over:
                raise
            outcome = Raised(error)
        if isinstance(outcome, tuple):
            return outcome
        return LongExchange(ctx, None, outcome, self).drive(pipeline.complete, outcome)


async def serve(ctx: MatchedContext, view: View, first: str | None) -> None:
    """Have a thread call the sync view that was found for a request, and send its response."""
    app, (scope, receive, send, _) = ctx.app, ctx.connection
    if waiting() is not None:  # a thread waits for this request: it may be the last one
        await Exchange(app, scope, receive, send).serve()
        return
    hop: ViewHop | None = None
    try:
        if ctx.declared:
            await ctx.body.read_small(app.config["MAX_CONTENT_LENGTH"])
        pool = app._pool()
        pool.admit()
        hop = ctx._lane = ViewHop(pool)
        hop.ctx, hop.view, hop.first = ctx, view, first
        pool.submit(hop)
        if not hop.over:  # PERF: what `outcome` does, without two coroutines
            try:
                await hop.wait()
            except BaseException:
                await hop.end_of_cancelled()
                raise
        result = hop.known()
        known: Known | None = None if type(result) is tuple else partial(same, result)
    except BaseException as error:
        if hop is None and isinstance(error, QueueFull):  # its handlers might need a thread, too
            await Exchange(app, scope, receive, send).send_page(error)
            return
        known = Raised(error)
    if known is None:
        if ctx.is_touched:  # perhaps by the long way, whose messages these may be
            ctx.body.release()
            ctx.forget_errors()
        start, end = t.cast("Answer", result)
        await send(start)
        await send(end)
    else:
        await LongExchange(ctx, hop, known).serve()
