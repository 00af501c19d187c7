"""What ends a body before its own end: the client leaves, or the app shuts down."""

from __future__ import annotations

import typing as t

from ..loops import Interrupt


class StreamEnd:
    """The block in which a body is streamed; whatever ends it, ends the block.

    Nothing can come before the event loop turns, so that a block need not be one before it first
    waits: see `begin`.

    :param app: the app.
    :param endless: whether its shutdown ends the body.
    """

    #: Whether nothing more of the body is wanted.
    over = False
    #: Whether the client was seen to leave.
    gone = False
    #: Whether the shutdown has come before the body's end, which the client is to see all the same.
    stopped = False
    #: Whether the body has come to its end.
    complete = False
    #: Whether the client was told so: it may leave then, and the body is closed undisturbed.
    told = False

    _interrupt: Interrupt | None = None

    def __init__(self, app: t.Any, endless: bool) -> None:
        self._calling = app._shutdown.calling(self.stop) if endless else None

    def leave(self) -> None:
        """End the body: the client has left."""
        self.gone = self.over = True
        if not self.told:
            self._trigger()

    def stop(self) -> None:
        """End the body as its own end would; the client may then come back to another server."""
        interrupt = self._interrupt
        if not (self.complete or (interrupt is not None and interrupt.is_ending)):
            self.stopped = self.over = True
            self._trigger()

    def _trigger(self) -> None:
        if self._interrupt is not None:
            self._interrupt.trigger()

    def __enter__(self) -> t.Self:
        if self._calling is not None:
            self._calling.__enter__()  # which may `stop` at once, with nothing to interrupt
        return self

    def begin(self) -> None:
        """Have the block ended from here on; on trio, before another scope is entered in it."""
        self._interrupt = Interrupt().__enter__()
        if self.over:  # the body itself has begun the shutdown, and now it waits
            self._trigger()

    def __exit__(self, kind: t.Any, error: BaseException | None, trace: t.Any) -> bool:
        calling, self._calling = self._calling, None  # it refers to `stop`: a circle
        if calling is not None:
            calling.__exit__(kind, error, trace)
        interrupt, self._interrupt = self._interrupt, None
        return interrupt is not None and interrupt.__exit__(kind, error, trace)
