"""What the shortcuts of async and sync views share: answers, callbacks, and the long way on."""

from __future__ import annotations

import typing as t
from functools import partial

from ..dispatch import pipeline, teardown
from ..dispatch.plan import Hooks
from ..dispatch.returns import as_plain, may_block, plain_parts, to_response
from ..drivers import LoopDriver, ThreadDriver
from ..hops import Hop
from ..workers import Lane, carry_over
from ..wrappers.response import Response, text_response
from ..wrappers.wire import whole
from .http import Exchange, Message
from .served import MatchedContext

View = t.Callable[..., t.Any]

#: The messages of a response: its start, and all of its body.
Answer = tuple[Message, Message]

#: Gives or raises what there is so far, where that is not all.
Known = t.Callable[[], t.Any]

#: The headers of short bodies, which are most. PERF: 0.1 us less than to make one each time.
_LENGTHS = [(b"content-length", b"%d" % length) for length in range(512)]

#: PERF: a copy, in which all there is but the headers, takes 0.1 us less than to make it.
_START: dict[str, t.Any] = {"type": "http.response.start", "status": 200, "headers": None}


def answer_of(ctx: MatchedContext, value: t.Any) -> Answer | None:
    """Return the messages of the response, if no response object is needed for a view's value."""
    looks = ctx.sends_session
    if ctx.is_touched:
        request: t.Any = ctx._request
        # PERF: to ask for both properties takes 1,400 instructions, which few requests need.
        if request._form_is_loaded and request.is_open:
            return None
        if request._body.timed_out and request.ends_connection:
            return None
        looks = looks or not (
            ctx.allows_plain and ctx.after_functions is None and ctx._opened_session is None
        )
    try:
        plain: t.Any = as_plain(ctx, value) if looks else plain_parts(ctx.app, value)
    except Exception:  # JSON that is none: making a response meets it again
        return None
    if plain is None:
        return None
    body = plain[1]
    size = len(body)
    length = _LENGTHS[size] if size < 512 else (b"content-length", b"%d" % size)
    headers = [plain[0], length]
    if looks:
        headers += plain.more
    start = _START.copy()
    start["headers"] = headers
    return start, {"type": "http.response.body", "body": body}


async def handled(ctx: MatchedContext, hooks: Hooks) -> Answer | Known:
    """Call a request's callbacks and its view, which all run here, and finalize the response.

    As the pipeline does it where nothing fails. PERF: 5 us for two callbacks before and two after
    a view, where the pipeline, which looks for each, takes 60.
    """
    thread = hooks.thread
    for before in hooks.before:
        value = before()
        if thread is None:
            value = await value
        elif value is not None:
            value = thread.settled(value)
        if value is not None:
            break
    else:
        if ctx.is_touched:  # they may have changed what was matched
            value = await pipeline.dispatch(ctx, thread or LoopDriver(ctx.app))
        else:
            args = ctx.found[1]
            value = hooks.view(**args) if args else hooks.view()
            value = await value if thread is None else thread.settled(value)
    app = ctx.app
    sight = app._sight or app._look()
    if hooks.sight is not sight and not hooks.holds_for(sight):
        return partial(same, value)
    answer = None if hooks.after else answer_of(ctx, value)
    if answer is None:
        outcome = await finalized(ctx, value, thread, hooks.after)
        if not isinstance(outcome, tuple):
            return outcome
        answer = outcome
    if hooks.teardown:
        ctx.is_finalized = ctx.is_over = True
        await teardown.call_all(hooks.teardown, thread)
    return answer


async def finalized(
    ctx: MatchedContext,
    value: t.Any,
    thread: ThreadDriver | None,
    after: t.Iterable[t.Callable[..., t.Any]] = (),
) -> Answer | Known:
    """Make a response of a view's value.

    :param thread: calls handlers, if this is not run on the loop.
    :param after: the callbacks that have a say in it.
    :return: the messages of its response, or what the pipeline is to go on with.
    """
    if ctx.is_touched and (ctx.answered is not None or ctx.after_functions is not None):
        return partial(same, value)
    app, ctx.is_finalized = ctx.app, True
    if type(value) is str:  # PERF: 0.1 us; an app with a class of its own does not come here
        response = text_response(Response, value)
    elif may_block(value):
        response = await (thread or LoopDriver(app)).call(to_response, app, value)
    else:
        response = to_response(app, value)
    for func in after:
        made = func(response)
        if thread is None:
            response = await made
        elif made is not response:  # PERF: most return what they got: 0.2 us each
            response = thread.settled(made)
    if ctx.is_touched or ctx.sends_session:
        await pipeline.save_session(ctx, thread or LoopDriver(app), response)
    try:
        messages = None
        if not ctx.is_touched:
            messages = whole(response, ctx, False)
        elif not ctx.is_open:
            messages = whole(response, ctx, ctx.ends_connection)
    except Exception:  # it cannot be sent, which the exchange finds, too, after the teardown
        messages = None
    return messages or partial(same, response)


class LongExchange(Exchange):
    """A request that came to the end of the shortcut before its own.

    :param ctx: the request's context.
    :param job: the view's call, if that was in a thread and is over.
    :param known: gives or raises what the view did; with a job, what became of it in the thread.
    :param lane: where the request's sync code runs, for who goes on in its thread.
    """

    def __init__(
        self, ctx: MatchedContext, job: Hop | None, known: Known, lane: Lane | None = None
    ) -> None:
        super().__init__(ctx.app, *ctx.connection, ctx)
        self._known: Known | None = known
        self._job = job
        if job is not None:
            lane = job.lane
        if lane is not None:
            self.in_thread = True
            self._driver = LoopDriver(self.app, lane)

    async def handle(self) -> t.Any:
        """Return the response to what is known."""
        known, self._known = t.cast("Known", self._known), None  # an error refers to this frame
        job, self._job = self._job, None
        if job is not None and job.context is not None:
            carry_over(job.context)
            job.context = None
        if job is not None or self.ctx.is_over:
            return known()
        return await pipeline.complete(self.ctx, self.driver, known)


class Raised:
    """Raises what the view raised, once, and lets go of it: this is in frames of its traceback.

    :param error: what it raised.
    """

    __slots__ = ("_error",)

    def __init__(self, error: BaseException) -> None:
        self._error: BaseException | None = error

    def __call__(self) -> t.NoReturn:
        """Raise it."""
        error, self._error = t.cast("BaseException", self._error), None
        try:
            raise error
        finally:
            del error  # NOTE: its traceback refers to this frame: a circle


def same(value: t.Any) -> t.Any:
    """Return what the view returned."""
    return value
