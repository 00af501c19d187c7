"""The body of a streamed response on its way to the server, chunk by chunk."""

from __future__ import annotations

import math
import typing as t
from collections.abc import AsyncIterable
from contextvars import Context
from time import monotonic

from ..encoders import AsyncEncoded
from ..keepalive import KeepAlive
from ..loops import Loop
from ..wrappers.response import encode
from .arrivals import Message
from .body import Send
from .ends import StreamEnd
from .isolation import called_in

#: Pieces in a row after which it is seen to that others get their turn: 0.1 ms of them. PERF: with
#: 16, a server wrote 100 small pieces in seven calls to the system, with 64 in two.
PER_TURN = 64

#: Seconds between two pieces after which that is done at once: the second may have been work.
LONG = 0.005


class Outgoing:
    """Sends the body of one response.

    Its pieces are sent in the context of who makes them: a server begins nothing that outlives a
    response before its end, which is sent in the server's own context (see `isolation`). PERF: 0.4
    of 12 us a piece.

    :param entered: the context that the end is sent in.
    :param send: the server's ``send``.
    :param keep_alive: seconds of silence and what is sent after them; None for nothing.
    """

    def __init__(
        self, entered: Context, send: Send, keep_alive: tuple[float, bytes] | None = None
    ) -> None:
        self._entered, self._send = entered, send
        self.beat: KeepAlive[Message] | None = None
        if keep_alive is not None:
            self.beat = KeepAlive(send, keep_alive[0], _message(keep_alive[1]))
        self.loop = Loop()
        self._alarm: t.Any = None
        self._turned = True  # whether others have had their turn since it was last looked at

    async def send(self, chunks: AsyncIterable[t.Any], end: StreamEnd) -> None:
        """Send all of a body, unless something else ends it.

        PERF: 0.6 us a piece of bytes, where a function that encodes it and one that notes its time
        would double that.
        """
        if end.stopped:
            return
        send, beat, left, now = self._send, self.beat, PER_TURN, -math.inf
        own = True
        made: t.Callable[[t.Any], bytes] = encode
        if isinstance(chunks, AsyncEncoded):
            own, made, chunks = False, chunks.encode, chunks.items()
        async for chunk in chunks:
            if end.gone or end.stopped:
                return
            if body := chunk if own and type(chunk) is bytes else made(chunk):
                message = {"type": "http.response.body", "body": body, "more_body": True}
                before = now
                if beat is None:
                    await send(message)
                    now = monotonic()
                else:
                    while beat.busy:
                        await beat.wait()
                    beat.busy = True
                    try:
                        await send(message)
                    finally:
                        now = beat.done()
                if now - before > LONG:
                    left = 1
            left -= 1
            if not left:
                left = PER_TURN
                await self._let_others()
        end.complete = True
        await self.finish()
        end.told = True

    async def _let_others(self) -> None:
        """Give others their turn, if they had none: neither a body nor a server's `send` need wait.

        PERF: where a body waits, as most do, they had it, and one more would break up what the body
        has ready. So the loop says itself that it has turned.
        """
        if not self._turned:
            await self.loop.turn()
        self._turned = False
        self.loop.call_in_next_turn(self._note_turn)

    def _note_turn(self) -> None:
        self._turned = True

    async def finish(self) -> None:
        """Tell the server that this was all."""
        while self.beat is not None and self.beat.busy:
            await self.beat.wait()
        self.end()
        await called_in(self._entered, self._send, _message(b"", more=False))

    def break_silence(self, run: t.Callable[[t.Any], t.Any]) -> None:
        """See to it that silence is broken, once others have had their turn.

        :param run: runs a coroutine function beside the body.
        """
        if self.beat is not None:
            self.loop.call_in_next_turn(self._look, self.beat, run)

    def _look(self, beat: KeepAlive[Message], run: t.Callable[[t.Any], t.Any]) -> None:
        """Have silence broken, or look again when it may have lasted long enough.

        PERF: a stream that is never silent costs a timer, which takes 2 us, and no task, 27. It
        is no request's own: what is cancelled would keep its context until it is due.
        """
        if beat.over:
            return
        left = beat.left()
        if left > 0 and self.loop.is_asyncio:
            self._alarm = Context().run(self.loop.call_later, left, self._look, beat, run)
        else:
            run(beat.run)

    def end(self) -> None:
        """Send nothing more in silence."""
        if self.beat is not None:
            self.beat.over = True
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            alarm.cancel()


def _message(body: bytes, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}
