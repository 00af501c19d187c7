"""What becomes of a call that a worker thread makes, and how the loop waits for it."""

from __future__ import annotations

import typing as t

import anyio

from .exceptions import LoopCancelled
from .loops import shielded
from .pools import Pool


class Lane(t.Protocol):
    """What is asked of the lane that a call is made in (see `workers.Lane`)."""

    pool: Pool
    interrupted: bool
    abandoned: bool
    _pending: t.Any

    def interrupt(self, job: Outcome | None = None) -> None:
        """Cancel what its thread waits for."""


class Outcome:
    """What becomes of a call that a lane's thread makes, for who awaits it on the loop."""

    if not t.TYPE_CHECKING:  # what has an outcome has slots for all this
        __slots__ = ()

    lane: Lane
    waiter: t.Any  # what wakes who awaits it, if it is not over by then
    around: t.Callable[[], t.Any] | None  # of the coroutine that asks for it, if a thread waits
    over: bool
    result: t.Any
    error: BaseException | None

    def fail(self, error: BaseException) -> None:
        """Keep what the call raised."""
        if isinstance(error, (StopIteration, GeneratorExit)):  # a coroutine takes them for its own
            own = RuntimeError(f"A sync handler raised {type(error).__name__}.")
            own.__cause__, error = error, own
        self.error = error

    def settle(self) -> None:
        """Hand the outcome to whoever awaits it; on the loop."""
        self.over = True
        lane = self.lane
        if lane._pending is self:
            lane._pending = None
        if lane.pool.overdue:
            lane.pool.overdue.pop(self, None)
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def outcome(self) -> t.Any:
        """Wait for the call's result, through cancellation, which is raised afterwards."""
        if not self.over:
            await self.end()
        return self.known()

    def known(self) -> t.Any:
        """Return the result, or raise the error, of a call that is over."""
        error, self.error = self.error, None
        if error is None:
            return self.result
        try:
            raise error
        finally:
            del error  # NOTE: its traceback refers to this frame: a circle

    async def end(self) -> None:
        """Wait for the end of the call, through cancellation, which is raised afterwards."""
        lane = self.lane
        if lane.interrupted:
            lane.pool.overdue[self] = None
            if lane.abandoned:
                self.abandon()
                return
        self.waiter = lane.pool.loop.waiter()
        try:
            await self.waiter
        except anyio.get_cancelled_exc_class() as cancelled:
            await self.end_of_cancelled()
            raise cancelled from None

    async def end_of_cancelled(self) -> None:
        """Wait until the call, which nobody wants any more, is over, however often cancelled."""
        lane = self.lane
        lane.interrupt(self)
        pool = lane.pool
        while not self.over:
            pool.overdue[self] = None  # until it is settled
            if pool.given_up:
                self.abandon()
                return
            self.waiter = pool.loop.waiter()
            try:
                await shielded(self.waiter)
            except anyio.get_cancelled_exc_class():
                continue

    def abandon(self) -> None:
        """Let nobody wait for this any more, nor for what comes after it in its lane; on the loop.

        A thread cannot be stopped, and one that hangs is not to keep a server from its end.
        """
        self.lane.abandoned = True
        self.error = LoopCancelled("Nobody waits any more for what this code does.")
        self.settle()
