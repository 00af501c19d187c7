"""A body that is sent, and what watches over it meanwhile.

On asyncio it is sent alone up to its first wait: nothing can happen to a connection before the loop
has turned. PERF: one that never waits costs 80 us less. On trio, whose scopes nest, it is watched
over from its beginning.
"""

from __future__ import annotations

import typing as t
from contextvars import Context
from functools import partial

from ..handover import close_body
from ..loops import on_asyncio
from .arrivals import Message
from .beside import Beside
from .body import Send
from .ends import StreamEnd
from .outgoing import Outgoing

#: Calls the function that it is given when the client has left.
Watch = t.Callable[[t.Callable[[], t.Any]], t.Coroutine[t.Any, t.Any, t.Any]]


class Delivery:
    """The sending of one body.

    :param app: the app.
    :param entered: the context variables as the server has set them.
    :param send: the server's ``send``.
    :param watch: waits for the client to leave.
    :param keep_alive: seconds of silence and what is sent after them; None for nothing.
    :param endless: whether the app's shutdown ends the body.
    """

    _beside: Beside | None = None

    def __init__(
        self,
        app: t.Any,
        entered: Context,
        send: Send,
        watch: Watch,
        keep_alive: tuple[float, bytes] | None = None,
        endless: bool = False,
    ) -> None:
        self.end, self._watch, self._send = StreamEnd(app, endless), watch, send
        self._outgoing = Outgoing(entered, send, keep_alive, self._begin)

    @property
    def gone(self) -> bool:
        """Whether the client was seen to leave."""
        return self.end.gone

    async def deliver(
        self, chunks: t.AsyncIterable[t.Any], start: Message | None = None
    ) -> Exception | None:
        """Send a body, until its end or what comes before, and close it; return its error.

        :param start: the message that begins the response, if it has not begun.
        """
        outgoing, end = self._outgoing, self.end
        error: Exception | None = None
        try:
            with self:
                with end:
                    if not (on_asyncio() or end.stopped):
                        outgoing.begin()
                    try:
                        try:
                            if start is not None:
                                await self._send(start)
                            await outgoing.send(chunks, end)
                        finally:  # NOTE: in the scopes that it began in, and has to leave
                            if getattr(chunks, "ag_frame", self) is not None:
                                await close_body(chunks)
                    except Exception as raised:  # NOTE: raised where it is known why
                        error = raised
                if end.stopped and error is None and not end.gone:
                    await outgoing.finish()
        finally:
            outgoing.end()
        try:
            return error
        finally:
            del error  # NOTE: its traceback refers to this frame: a circle

    def _begin(self) -> None:
        """Watch over the body from here on."""
        outgoing, leave = self._outgoing, self.end.leave
        self._beside = Beside(outgoing.loop, [partial(self._watch, leave)], leave).__enter__()
        outgoing.break_silence(self._beside.run)
        self.end.begin()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: t.Any, error: BaseException | None, trace: t.Any) -> None:
        beside, self._beside = self._beside, None
        if beside is not None:
            beside.__exit__(kind, error, trace)
