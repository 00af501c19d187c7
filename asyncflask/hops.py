"""Hops: whole requests that are one call in a worker thread."""

from __future__ import annotations

import threading
import typing as t
from abc import abstractmethod
from contextvars import Context, copy_context

from . import greenlets
from .outcomes import Outcome
from .pools import Pool
from .workers import Lane, _lanes


class Hop(Outcome, Lane):
    """A lane and its first call in one; to be started with `Pool.submit`, once.

    It keeps a copy of the context variables that are set where it is made.
    PERF: with 32 in flight, 17,000 instructions between loop and thread, where a `Lane` and a
    `workers.Job` in it took 26,000: one object instead of two, and three calls instead of seven.

    :param pool: whose threads to use.
    """

    __slots__ = ("context", "error", "over", "result", "waiter")

    #: The context variables of its work, which may refer to it: let go of as soon as possible.
    context: Context | None

    around = None  # no thread waits for the coroutine that makes it

    def __init__(self, pool: Pool) -> None:
        self.pool = pool  # NOTE: all of what `Lane.__init__` sets is set here, without a call
        self.held = self.interrupted = self.abandoned = self._shielded = self.over = False
        self._jobs = self._cancel = self._pending = self._sent = None
        self._depth = 0
        self.waiter = self.result = self.error = None
        self.context = copy_context()

    @property
    def lane(self) -> Lane:  # type: ignore[override]
        """The lane: itself, and no attribute, which would be a circle."""
        return self

    @abstractmethod
    def work(self) -> t.Any:
        """Make the call; in the thread."""

    def perform(self) -> None:
        """Make the call, and then whatever else there is to do; in the thread."""
        here = threading.get_ident()
        _lanes[here] = self
        try:
            self.result = self.context.run(self.work)  # type: ignore[union-attr]
        except BaseException as error:
            self.fail(error)
        if self.held:  # the queue for the next job stands before this outcome is known
            jobs = self._jobs = greenlets.make_queue()
            self.pool.post(self.settle)  # NOTE: from here on, `release` may have let go of it
            self.serve(self._next(jobs))
            return
        self.context = None
        self.pool.post(self.settle)
        del _lanes[here]

    def settle(self) -> None:
        """Hand the outcome to whoever awaits it; on the loop."""
        if self.interrupted or self.pool.overdue:
            super().settle()
            return
        self.over = True
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def wait(self) -> t.Any:
        """Return what to await for the end, if it is not over; `end_of_cancelled` if that fails."""
        self.waiter = waiter = self.pool.loop.waiter()
        return waiter
