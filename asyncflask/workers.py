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

import os
import threading
import typing as t
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from functools import partial

from . import from_thread, greenlets
from .exceptions import LoopCancelled
from .outcomes import Outcome
from .pools import Pool

_missing: t.Any = object()

#: The lane whose work a thread does, by the thread's identity; under gevent, by the greenlet's. (A
#: `threading.local` would be one for all greenlets, where it was made before gevent's patching.)
_lanes: dict[int, Lane] = {}


def carry_over(source: Context) -> None:
    """Make the context variables set in `source` current here."""
    for var, value in source.items():
        if var.get(_missing) is not value:
            var.set(value)


class Job(Outcome):
    """One call on its way through a lane's thread and back."""

    __slots__ = ("args", "around", "context", "error", "func", "lane", "over", "result", "waiter")

    lane: Lane

    def __init__(
        self, lane: Lane, func: t.Callable[..., t.Any], args: tuple[t.Any, ...], context: Context
    ) -> None:
        self.lane, self.func, self.args, self.context = lane, func, args, context
        self.waiter: t.Any = None
        self.around = lane._cancel
        self.over = False
        self.result: t.Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Make the call; in the lane's thread."""
        func, args = self.func, self.args
        del self.func, self.args  # NOTE: an error in them may refer to this frame: a circle
        try:
            self.result = self.context.run(func, *args)
        except BaseException as error:
            self.fail(error)
        finally:
            del func, args

    def perform(self) -> None:
        """Make the call, and then whatever else the lane has to do; in a pool's thread."""
        self.lane.serve(self)


class Call:
    """A coroutine that a lane's thread waits for, doing the sync work that is asked for meanwhile.

    :param lane: the lane.
    :param jobs: where its thread gets work from while it waits.
    """

    __slots__ = ("around", "error", "jobs", "known", "lane", "open", "result")

    def __init__(self, lane: Lane, jobs: greenlets.Queue[t.Any]) -> None:
        self.lane, self.jobs = lane, jobs
        self.around: t.Callable[[], t.Any] | None = None  # what cancels the call around this one
        self.open = True  # on the loop: whether work that is started now is still done
        self.known = False  # in the thread: whether the outcome has been seen
        self.result: t.Any = None
        self.error: BaseException | None = None

    def done(self, result: t.Any, error: BaseException | None) -> None:
        """Give the thread the outcome, once, after the work begun before; on the loop."""
        if not self.open:
            return
        self.open = False
        self.lane._end_wait(self.around, error)
        self.result, self.error = result, error
        self.jobs.put(
            self
        )  # NOTE: at once: the thread may hold what the loop's next task waits for


#: The call whose coroutine runs here, or started what runs here.
_awaited: ContextVar[Call | None] = ContextVar("asyncflask.awaited", default=None)


class Lane:
    """Where the sync code of one request runs: one thread, one piece after another.

    :param pool: whose threads to use.
    :param held: keep the thread until `release`; a piece of work may also ask for it with
        `hold` while it runs.
    """

    __slots__ = (
        "_cancel",
        "_depth",
        "_jobs",
        "_pending",
        "_sent",
        "_shielded",
        "abandoned",
        "held",
        "interrupted",
        "pool",
    )

    def __init__(self, pool: Pool, *, held: bool = False) -> None:
        self.pool = pool
        self.held = held
        self.interrupted = False  # whether nobody wants its work any more
        self.abandoned = False  # whether nobody waits for its end either
        self._jobs: greenlets.Queue[t.Any] | None = None
        self._depth = 0
        self._cancel: t.Callable[[], t.Any] | None = None
        self._pending: Outcome | Lane | None = None  # whose next wait is interrupted
        self._sent: tuple[t.Any, Outcome | Lane] | None = None  # what was cancelled, and for whom
        self._shielded = False

    def hold(self) -> None:
        """Keep the thread after the piece of work that calls this."""
        self.held = True

    def start(self, func: t.Callable[..., t.Any], *args: t.Any) -> Job:
        """Have ``func(*args)`` called in the lane's thread, in a copy of this context.

        :raises LoopCancelled: if the thread hangs, and nobody waits for it any more.
        """
        if self.abandoned:
            raise LoopCancelled("What this code would wait for hangs in a thread.")
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
        here = threading.get_ident()
        _lanes[here] = self
        while job is not None:
            jobs = self._do(job)
            job = None if jobs is None else self._next(jobs)
        del _lanes[here]

    @contextmanager
    def adopting_thread(self) -> t.Iterator[None]:
        """Make the calling thread this lane's for the time of a block."""
        here, previous = threading.get_ident(), current()
        _lanes[here] = self
        try:
            yield
        finally:
            if previous is None:
                del _lanes[here]
            else:
                _lanes[here] = previous

    def _next(self, jobs: greenlets.Queue[t.Any]) -> Job | None:
        """Wait for the next job; None for the word to let the thread go."""
        self.pool.hold(1)
        try:
            return t.cast("Job | None", jobs.get())
        finally:
            self.pool.hold(-1)

    def _do(self, job: Job) -> greenlets.Queue[t.Any] | None:
        """Do a job; return where the next one comes from, if this thread is kept for it."""
        job.run()
        if not self._depth:  # the queue for the next job stands before this outcome is known
            self._jobs = (self._jobs or greenlets.make_queue()) if self.held else None
        jobs = self._jobs  # once the outcome is known, the lane may be released, and begin anew
        self.pool.post(job.settle)
        return jobs

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
        outer, around = self._jobs, _awaited.get()
        jobs = self._jobs = greenlets.make_queue() if outer is None else outer
        call, context = Call(self, jobs), copy_context()
        context.run(_awaited.set, call)
        self._depth += 1
        try:
            coroutine = partial(_await, func, args, kwargs)
            self.pool.ask(partial(self._spawn, call, coroutine, context))
            while not call.known:
                self._take(jobs.get())
        finally:
            self._depth -= 1
            self._jobs = outer
        carry_over(context)
        _awaited.set(around)
        if call.error is not None:
            try:
                raise call.error
            finally:
                call.error = None  # this frame is in its traceback: no circle
        return call.result

    def _take(self, item: Job | Call | None) -> None:
        """Do a piece of work, or note that a call is over: this depth's, or one further out."""
        if isinstance(item, Job):
            self._do(item)
        elif item is not None:
            item.known = True

    def _spawn(self, call: Call, coroutine: t.Any, context: Context) -> None:
        """Start what the lane's thread waits for; on the loop."""
        call.around = self._cancel
        if self._pending is not None and not self._shielded:
            self._pending = None
            call.done(None, LoopCancelled("What this code would wait for is not wanted any more."))
            return
        try:
            self._cancel = self.pool.loop.spawn(coroutine, context, call.done)
        except BaseException as error:  # or the thread would wait for ever
            call.done(None, error)

    def interrupt(self, job: Outcome | None = None) -> None:
        """Cancel the coroutine that the lane's thread waits for, or the next one; on the loop.

        It is done once, as with a task: code that cleans up afterwards may wait again.

        :param job: whose work is not wanted any more; by default all of it.
        """
        around = None if job is None else job.around
        self.interrupted = self.interrupted or around is None
        if self._cancel is None or self._cancel is around:
            self._pending = job or self
        elif not self._shielded:
            self._sent = self._cancel, job or self
            self._cancel()

    def _end_wait(self, around: t.Any, error: BaseException | None) -> None:
        """Note that a wait has ended, and how; on the loop.

        On trio, what is cancelled goes on to its next checkpoint, and may end without one: then the
        thread gets what came of it, and its next wait is interrupted instead. (On asyncio it is
        cancelled where it waits, also if what it waits for has come.)
        """
        ended, self._cancel = self._cancel, around
        if self._sent is not None and ended is not around and self._sent[0] is ended:
            (_, job), self._sent = self._sent, None
            if not (self.pool.loop.is_asyncio or isinstance(error, LoopCancelled)):
                self._pending = job

    def resume(self) -> None:
        """Let the next waits be; called in the thread, when the interrupted work is over."""
        self.interrupted, self._pending = False, None

    def shield(self, shielded: bool = True) -> bool:
        """Let nothing be interrupted from here on: the request is being torn down.

        :return: whether that held before.
        """
        before, self._shielded = self._shielded, shielded
        return before


async def _await(
    func: t.Callable[..., t.Awaitable[t.Any]], args: tuple[t.Any, ...], kwargs: dict[str, t.Any]
) -> t.Any:
    return await func(*args, **kwargs)


def current() -> Lane | None:
    """Return the lane whose work the calling thread does, or None."""
    return _lanes.get(threading.get_ident())


def waiting() -> Lane | None:
    """Return the lane whose thread waits for the coroutine that runs here, or None.

    Sync code that the coroutine needs belongs there: any other thread might never be free, if those
    that could be wait like this one. A task that the coroutine leaves behind has to look elsewhere.
    """
    call = _awaited.get()
    if call is None or not call.open:
        return None
    lane = call.lane
    return lane if lane.pool.loop.is_running_here() or current() is lane else None


def leave_lane() -> None:
    """Say that nobody waits for what this coroutine does and starts: its sync code runs elsewhere.

    For a coroutine that starts what outlives the call which some thread waits for.
    """
    _awaited.set(None)


def prepare_thread() -> None:
    """Make `anyio.from_thread` work in the calling thread, one of a pool's, through its lanes."""
    from_thread.enable(_call_async, _check_cancelled)


def _call_async(func: t.Callable[..., t.Awaitable[t.Any]], *args: t.Any) -> t.Any:
    return t.cast("Lane", current()).call_async(func, *args)


def _check_cancelled() -> None:
    if t.cast("Lane", current()).interrupted:
        raise LoopCancelled("Nobody waits any more for what this code does.")


if hasattr(os, "register_at_fork"):  # a child's one thread waits for no loop of its parent's
    os.register_at_fork(after_in_child=_lanes.clear)
