"""Lanes: how sync and async code of one request meet.

- A `Lane` belongs to one request: whatever sync code the request runs, runs in the lane's one
  thread, which comes from a `pools.Pool`. A *held* lane keeps its thread between two pieces of
  work; one that is not held gives it back after the first piece.
- The way back: code in a lane's thread has a coroutine run on the loop with `Lane.call_async`
  and, while it waits, does the sync work that this coroutine asks for. So no
  nesting needs a second thread, and none can wait for ever.
- What the thread waits for can be interrupted, until its request is being torn down.
"""

from __future__ import annotations

import asyncio
import threading
import typing as t
from contextlib import contextmanager
from contextvars import Context, copy_context
from functools import partial
from queue import SimpleQueue

from .exceptions import LoopCancelled
from .pools import Pool

_missing: t.Any = object()
_thread = threading.local()


def carry_over(source: Context) -> None:
    """Make the context variables set in `source` current here."""
    for var, value in source.items():
        if var.get(_missing) is not value:
            var.set(value)


class Job:
    """One call on its way through a lane's thread and back."""

    __slots__ = ("args", "context", "error", "func", "lane", "nested", "over", "result", "waiter")

    def __init__(
        self, lane: Lane, func: t.Callable[..., t.Any], args: tuple[t.Any, ...], context: Context
    ) -> None:
        self.lane, self.func, self.args, self.context = lane, func, args, context
        self.waiter = lane.pool.loop.waiter()
        self.nested = lane._nested > 0
        self.over = False
        self.result: t.Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Make the call; in the lane's thread."""
        try:
            self.result = self.context.run(self.func, *self.args)
        except (StopIteration, GeneratorExit) as stop:  # to a coroutine they mean something else
            self.error = RuntimeError(f"A sync handler raised {type(stop).__name__}.")
            self.error.__cause__ = stop
        except BaseException as error:
            self.error = error

    def perform(self) -> None:
        """Make the call, and then whatever else the lane has to do; in a pool's thread."""
        self.lane.serve(self)

    def settle(self) -> None:
        """Hand the outcome to whoever awaits it; on the loop."""
        self.over = True
        waiter, error = self.waiter, self.error
        if waiter.done():
            return
        if error is None:
            waiter.set_result(self.result)
        else:
            waiter.set_exception(error)

    async def outcome(self) -> t.Any:
        """Wait for the call's result, through cancellation, which is raised afterwards."""
        cancelled: asyncio.CancelledError | None = None
        while True:
            waiter = self.waiter
            try:
                result = await waiter
            except asyncio.CancelledError as error:
                if not waiter.cancelled():
                    raise
                if cancelled is None:
                    self.lane.interrupt(once=self.nested)
                cancelled = error
                self.waiter = self.lane.pool.loop.waiter()
                if self.over:
                    self.settle()
            else:
                if cancelled is not None:
                    raise cancelled
                return result


class Lane:
    """Where the sync code of one request runs: one thread, one piece after another.

    :param pool: whose threads to use.
    :param held: keep the thread until `release`; a piece of work may also ask for it with
        `hold` while it runs.
    """

    __slots__ = ("_cancel", "_interrupted", "_jobs", "_nested", "_shielded", "held", "pool")

    def __init__(self, pool: Pool, *, held: bool = False) -> None:
        self.pool = pool
        self.held = held
        self._jobs: SimpleQueue[Job | None] | None = None
        self._nested = 0
        self._cancel: t.Callable[[], t.Any] | None = None
        self._interrupted = self._shielded = False

    def hold(self) -> None:
        """Keep the thread after the piece of work that calls this."""
        self.held = True

    def start(self, func: t.Callable[..., t.Any], *args: t.Any) -> Job:
        """Have ``func(*args)`` called in the lane's thread, in a copy of this context."""
        job = Job(self, func, args, copy_context())
        if self._jobs is not None:
            self._jobs.put(job)
        else:
            self.pool.submit(job)
        return job

    async def run(self, func: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
        """Call ``func(*args)`` in the lane's thread and return its result.

        Context variables that it sets are set here afterwards. A cancelled caller still waits for
        the call to end: a thread cannot be stopped, and the teardown must not overtake it. What
        it waits for on the loop is cancelled.
        """
        job = self.start(func, *args)
        try:
            return await job.outcome()
        finally:
            carry_over(job.context)

    def serve(self, job: Job | None) -> None:
        """Do this lane's work in the calling thread until it is released."""
        _thread.lane = self
        while job is not None:
            self._do(job)
            jobs = self._jobs
            job = None if jobs is None else self._parked(jobs)
        _thread.lane = None

    @contextmanager
    def adopting_thread(self) -> t.Iterator[None]:
        """Make the calling thread this lane's for the time of a block."""
        previous, _thread.lane = current(), self
        try:
            yield
        finally:
            _thread.lane = previous

    def _parked(self, jobs: SimpleQueue[Job | None]) -> Job | None:
        self.pool.hold(1)
        try:
            return jobs.get()
        finally:
            self.pool.hold(-1)

    def _do(self, job: Job) -> None:
        job.run()
        if not self._nested:  # the queue for the next job stands before this outcome is known
            self._jobs = (self._jobs or SimpleQueue()) if self.held else None
        self.pool.post(job.settle)

    def release(self) -> None:
        """Let the thread go; the lane starts anew if it is used again."""
        self.held = False
        jobs, self._jobs = self._jobs, None
        if jobs is not None:
            jobs.put(None)

    def call_async(
        self, func: t.Callable[..., t.Awaitable[t.Any]], /, *args: t.Any, **kwargs: t.Any
    ) -> t.Any:
        """Run ``await func(*args, **kwargs)`` on the loop; called in the lane's thread.

        :raises LoopCancelled: if the loop cancels it.
        """
        outer, self._jobs = self._jobs, SimpleQueue()
        jobs, outcome, context = self._jobs, [None, None], copy_context()

        async def call() -> t.Any:
            return await func(*args, **kwargs)

        def done(result: t.Any, error: BaseException | None) -> None:
            outcome[:] = [result, error]  # type: ignore[list-item]
            jobs.put(None)

        before = self._cancel
        self._nested += 1
        try:
            self.pool.loop.call_soon(partial(self._spawn, call, context, done))
            while (job := jobs.get()) is not None:
                self._do(job)
        finally:
            self._nested -= 1
            self._jobs, self._cancel = outer, before
        carry_over(context)
        result, error = outcome
        if error is not None:
            raise t.cast("BaseException", error)
        return result

    def _spawn(self, call: t.Any, context: Context, done: t.Any) -> None:
        """Start what the lane's thread waits for; on the loop."""
        if self._interrupted and not self._shielded:
            done(None, LoopCancelled("What this code would wait for is not wanted any more."))
            return
        try:
            self._cancel = self.pool.loop.spawn(call, context, done)
        except BaseException as error:  # or the thread would wait for ever
            done(None, error)

    def interrupt(self, once: bool = False) -> None:
        """Cancel the coroutine that the lane's thread waits for; on the loop.

        :param once: only what it waits for now. Otherwise whatever it will wait for, too, up to
            its `shield`.
        """
        self._interrupted = self._interrupted or not once
        if self._cancel is not None and not self._shielded:
            self._cancel()

    def shield(self) -> None:
        """Let nothing be interrupted from here on: the request is being torn down."""
        self._shielded = True


def current() -> Lane | None:
    """Return the lane whose work the calling thread does, or None."""
    return getattr(_thread, "lane", None)
