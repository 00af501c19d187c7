"""The shortest way: a request in whose response nobody but its view has a say.

No callback is registered, nothing is overridden, nobody listens, the request has no body and no
session, and the matcher knows the view. Then a plain value that the view returns is the response.
Nothing is done here that an `Exchange` would not do; what it would find to be nothing is left out.
Whatever turns out otherwise on the way is the exchange's to go on with: it gets what the view
returned or raised.
PERF: 4 us a request, where all the steps of the pipeline take 9.
"""

from __future__ import annotations

import typing as t
from contextvars import Context, copy_context
from functools import partial

from .. import _current
from ..ctx import AppContext
from ..dispatch import pipeline
from ..dispatch.plan import has_only_views
from ..dispatch.returns import Plain, as_plain
from ..dispatch.teardown import has_end
from ..drivers import LoopDriver, is_async, is_awaitable, wait_for
from ..workers import Lane, carry_over
from ..wrappers.scope import NOTABLE, is_plain_host
from .http import Exchange, Message, Receive, Send, open_context, send_all
from .isolation import begun_in

#: The view, the rule that matched, and its arguments.
Found = tuple[t.Callable[..., t.Any], t.Any, dict[str, t.Any]]

#: Methods that are answered with more or less than what the view returns.
_SPECIAL = frozenset({"HEAD", "OPTIONS"})


def find(app: t.Any, scope: Message) -> Found | None:
    """Return the view of a request that may take the shortcut, with its rule and arguments."""
    if scope.get("root_path") or not has_only_views(app):
        return None
    host = None
    for name, value in scope["headers"]:
        if name in NOTABLE:
            if name != b"host" or host is not None:
                return None
            host = value
    if host is not None and not is_plain_host(host):
        return None
    found = app._find_rule(scope["path"], scope["method"])
    if found is None or scope["method"] in _SPECIAL:
        return None
    rule, args = found
    view = app.view_functions.get(rule.endpoint)
    return None if view is None else (view, rule, args)


async def serve(app: t.Any, scope: Message, receive: Receive, send: Send, found: Found) -> None:
    """Handle a request that `find` has found a view for, and send its response."""
    view, rule, args = found
    entered = copy_context()
    ctx = open_context(app, scope, receive, entered, {})
    ctx.matched, ctx.request.url_rule, ctx.request.view_args = True, rule, args
    way = _Way(app, scope, receive, send, entered, ctx, view)
    lane: Lane | None = None
    token = _current.context.set(ctx)
    try:
        if is_async(view):
            value = await view(**args)
            plain = _plain(ctx, value)
        else:
            pool = app._pool()
            pool.admit()
            lane = ctx._lane = Lane(pool)
            job = lane.start(_call, way, lane)
            value = plain = await job.outcome()
            if lane.held:
                carry_over(job.context)
        known: Known | None = None if type(plain) is Plain else partial(_same, value)
    except BaseException as error:
        known = partial(_raise, error)
    finally:
        _current.context.reset(token)
    if known is None:
        await _send_plain(way, t.cast("Plain", plain))
    else:
        await _LongExchange(way, lane, known).serve()


class _Way(t.NamedTuple):
    """A request on the shortcut: what an exchange has to know to go on from there."""

    app: t.Any
    scope: Message
    receive: Receive
    send: Send
    entered: Context
    ctx: AppContext
    view: t.Callable[..., t.Any]


def _plain(ctx: AppContext, value: t.Any) -> Plain | None:
    """Return what to send if that is all there is to do for a view's value."""
    try:
        return None if has_end(ctx) else as_plain(ctx, value)
    except Exception:  # JSON that is none: the pipeline meets it again, and knows what to do
        return None


def _call(way: _Way, lane: Lane) -> t.Any:
    """Call the view and do all that follows; in the lane's thread."""
    try:
        value = way.view(**way.ctx.request.view_args or {})
        if is_awaitable(value):
            value = way.app.async_to_sync(wait_for)(value)
    except BaseException as error:
        known: Known = partial(_raise, error)
    else:
        plain = _plain(way.ctx, value)
        if plain is not None:
            return plain
        known = partial(_same, value)
    return _LongExchange(way, lane, known).drive(pipeline.complete, known)


async def _send_plain(way: _Way, plain: Plain) -> None:
    headers = [
        (b"content-type", plain.content_type),
        (b"content-length", b"%d" % len(plain.body)),
    ]
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    body = {"type": "http.response.body", "body": plain.body}
    rest = begun_in(way.entered, send_all(way.send, (start, body)))
    if rest is not None:
        await rest


class _LongExchange(Exchange):
    """A request that came to the end of the shortcut before its own.

    :param way: the request.
    :param lane: where its sync code runs, if the view ran there.
    :param known: gives or raises what the view did; where that was in a thread, what became of it
        there.
    """

    def __init__(self, way: _Way, lane: Lane | None, known: Known) -> None:
        super().__init__(*way[:6])
        self._known: Known | None = known
        if lane is not None:
            self.in_thread = True
            self._driver = LoopDriver(self.app, lane)

    async def handle(self) -> t.Any:
        """Return the response to what is known."""
        known, self._known = t.cast("Known", self._known), None  # an error refers to this frame
        if self.in_thread:
            return known()
        return await pipeline.complete(self.ctx, self.driver, known)


Known = t.Callable[[], t.Any]


def _raise(error: BaseException) -> t.NoReturn:
    raise error


def _same(value: t.Any) -> t.Any:
    return value
