"""What the shortcuts of async and sync views share: the plain answer, and the long way on."""

from __future__ import annotations

import typing as t

from ..dispatch import pipeline
from ..dispatch.returns import as_plain, plain_parts
from ..drivers import LoopDriver
from ..hops import Hop
from ..workers import Lane, carry_over
from .http import Exchange, Message
from .served import MatchedContext

View = t.Callable[..., t.Any]

#: The messages of a response: its start, and all of its body.
Answer = tuple[Message, Message]

#: The headers of short bodies, which are most. PERF: 0.1 us less than to make one each time.
_LENGTHS = [(b"content-length", b"%d" % length) for length in range(512)]


def answer_of(ctx: MatchedContext, value: t.Any) -> Answer | None:
    """Return the messages of the response, if that is all there is to do for a view's value."""
    app = ctx.app
    if any(app._say) or (ctx.is_touched and ctx.request.is_open):
        return None
    looks = ctx.is_touched or ctx.sends_session
    try:
        plain: t.Any = as_plain(ctx, value) if looks else plain_parts(app, value)
    except Exception:  # JSON that is none: the pipeline meets it again, and knows what to do
        return None
    if plain is None:
        return None
    body = plain[1]
    size = len(body)
    length = _LENGTHS[size] if size < 512 else (b"content-length", b"%d" % size)
    headers = [plain[0], length]
    if looks:
        headers += plain.more
    return (
        {"type": "http.response.start", "status": 200, "headers": headers},
        {"type": "http.response.body", "body": body},
    )


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
        if job is not None:
            if job.context is not None:
                carry_over(job.context)
                job.context = None
            return known()
        return await pipeline.complete(self.ctx, self.driver, known)


Known = t.Callable[[], t.Any]


def raising(error: BaseException) -> t.NoReturn:
    """Raise what the view raised."""
    raise error


def same(value: t.Any) -> t.Any:
    """Return what the view returned."""
    return value
