"""Worker threads and lanes: how sync and async code of one request meet.

- A `Pool` belongs to one event loop. It owns the threads, started when work waits for them and
  ended when they have been idle.
- A `Lane` belongs to one request: whatever sync code the request runs, runs in the lane's one
  thread. A *held* lane keeps its thread between two pieces of work; one that is not held gives
  it back after the first piece.
- The way back: code in a lane's thread has a coroutine run on the loop with `Lane.call_async`
  and, while it waits, does the sync work that this coroutine asks for. So no
  nesting needs a second thread, and none can wait for ever.

How results cross: a thread appends a callback to a deque and wakes the loop once; everything that
is finished by the time the loop looks is settled in that one wake-up.
PERF: one ``call_soon_threadsafe`` per burst, 1 to 3 us a call with 16 to 64 in flight against
40 to 59 us for `anyio.to_thread.run_sync`.
"""

from __future__ import annotations

import asyncio
import threading
import time
import typing as t
from collections import deque
from contextlib import contextmanager
from contextvars import Context, copy_context
from functools import partial
from queue import Empty, SimpleQueue

from .exceptions import LoopCancelled, QueueFull
from .loops import Loop

#: Seconds an idle worker thread waits for work before it ends. Long enough to bridge the gaps of
#: a busy server, short enough that a burst does not leave its threads behind.
IDLE_SECONDS = 5.0

#: Seconds that work may wait for a busy thread before another one is started. Bursts of short
#: calls are over by then and need no second thread; a blocking call never delays others longer.
PATIENCE = 0.001

#: Seconds after which a client that was told 503 may try again. A full queue drains in about that.
RETRY_SECONDS = 1

#: Seconds that `Pool.close` waits for threads that are still at work. They are daemons: what hangs
#: longer ends with the process. No figure stands behind it but that users wait for a shutdown.
JOIN_SECONDS = 10.0

_missing: t.Any = object()
_thread = threading.local()


def carry_over(source: Context) -> None:
    """Make the context variables set in `source` current here."""
    for var, value in source.items():
        if var.get(_missing) is not value:
            var.set(value)


class Job:
    """One call on its way through a lane's thread and back."""

    __slots__ = ("args", "context", "error", "func", "lane", "over", "result", "waiter")

    def __init__(
        self, lane: Lane, func: t.Callable[..., t.Any], args: tuple[t.Any, ...], context: Context
    ) -> None:
        self.lane, self.func, self.args, self.context = lane, func, args, context
        self.waiter = lane.pool.loop.waiter()
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

    __slots__ = ("_cancel", "_interrupted", "_interruptible", "_jobs", "_nested", "held", "pool")

    def __init__(self, pool: Pool, *, held: bool = False) -> None:
        self.pool = pool
        self.held = held
        self._jobs: SimpleQueue[Job | None] | None = None
        self._nested = 0
        self._cancel: t.Callable[[], t.Any] | None = None
        self._interruptible = self._interrupted = False

    def hold(self) -> None:
        """Keep the thread after the piece of work that calls this."""
        self.held = True

    def start(self, func: t.Callable[..., t.Any], *args: t.Any) -> Job:
        """Have ``func(*args)`` called in the lane's thread, in a copy of this context.

        :raises QueueFull: if too much work waits already.
        """
        job = Job(self, func, args, copy_context())
        if self._jobs is not None:
            self._jobs.put(job)
        else:
            self.pool.submit(job)
        return job

    async def run(self, func: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
        """Call ``func(*args)`` in the lane's thread and return its result.

        Context variables that it sets are set here afterwards. A cancelled caller still waits for
        the call to end: a thread cannot be interrupted, and its teardown must not overtake it.

        :raises QueueFull: if too much work waits already.
        """
        job = self.start(func, *args)
        try:
            return await job.outcome()
        finally:
            carry_over(job.context)

    def serve(self, job: Job | None) -> None:
        """Do this lane's work in the calling thread until it is released."""
        with self.adopting_thread():
            while job is not None:
                self._do(job)
                jobs = self._jobs
                job = None if jobs is None else self._parked(jobs)

    @contextmanager
    def adopting_thread(self) -> t.Iterator[None]:
        """Make the calling thread this lane's for the time of a block."""
        previous, _thread.lane = current(), self
        try:
            yield
        finally:
            _thread.lane = previous

    def _parked(self, jobs: SimpleQueue[Job | None]) -> Job | None:
        self.pool.park(1)
        try:
            return jobs.get()
        finally:
            self.pool.park(-1)

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
        with self.pool.lock:
            interrupted = self._interrupted
            if not interrupted:
                try:
                    self._cancel = self.pool.loop.spawn(call, context, done)
                except BaseException as error:  # or the thread would wait for ever
                    done(None, error)
        if interrupted:
            done(None, LoopCancelled("What this code would wait for is not wanted any more."))

    @contextmanager
    def interruptible(self) -> t.Iterator[None]:
        """Let `interrupt` end what the lane's thread waits for inside this block, and only there.

        What cleans up after the block may wait undisturbed.
        """
        self._interruptible = True
        try:
            yield
        finally:
            with self.pool.lock:
                self._interruptible = self._interrupted = False

    def interrupt(self) -> None:
        """Cancel the coroutine that the lane's thread waits for, or will; on the loop."""
        with self.pool.lock:
            if self._interruptible:
                self._interrupted = True
                if self._cancel is not None:
                    self._cancel()


class Pool:
    """The worker threads of one event loop.

    :param loop: the loop, seen from here.
    :param limit: how many threads at the most (`SYNC_WORKERS`); threads that a held lane keeps
        while the loop works for it do not count, so that slow async code starves nobody.
    :param queue_limit: how many calls may wait for a thread (`SYNC_QUEUE_LIMIT`).
    """

    def __init__(self, loop: Loop, limit: int = 40, queue_limit: int = 1000) -> None:
        self.loop, self.limit, self.queue_limit = loop, limit, queue_limit
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._threads: set[threading.Thread] = set()
        self._finished: deque[t.Callable[[], None]] = deque()
        self._awake = False
        self._watching = self._closing = False
        self._parked = 0
        self.lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread."""
        return self._queue.qsize()

    def submit(self, job: Job) -> None:
        """Queue a job for any thread.

        A held lane's job is taken in any case: its request was let in, and has to be ended.

        :raises QueueFull: if `queue_limit` jobs wait already.
        """
        if not job.lane.held:
            self.admit()
        self._queue.put(job)
        self._closing = False
        if not self._threads:
            self._start_thread()
        if not self._watching:
            self._watching = True
            self.loop.call_later(PATIENCE, self._relieve)

    def admit(self) -> None:
        """Let one more request in that needs a thread.

        :raises QueueFull: if `queue_limit` jobs wait already.
        """
        if self._queue.qsize() >= self.queue_limit:
            raise QueueFull(
                "The server has more to do than it can take on"
                f" (SYNC_QUEUE_LIMIT={self.queue_limit}, SYNC_WORKERS={self.limit}).",
                retry_after=RETRY_SECONDS,
            )

    def _relieve(self) -> None:
        """Start threads for what still waits."""
        if self._closing:  # what waits is the word to end
            self._watching = False
            return
        waiting = self._queue.qsize()
        room = self.limit + self._parked - len(self._threads)
        for _ in range(min(waiting, room)):
            self._start_thread()
        self._watching = False
        if waiting > room > 0:
            self._watching = True
            self.loop.call_later(PATIENCE, self._relieve)

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name="asyncflask-worker", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _work(self) -> None:
        """The life of one worker thread."""
        try:
            while (job := self._queue.get(timeout=IDLE_SECONDS)) is not None:
                job.lane.serve(job)
                del job  # an idle thread keeps no request alive
        except Empty:
            pass
        finally:
            self._threads.discard(threading.current_thread())

    def post(self, callback: t.Callable[[], None]) -> None:
        """Have `callback` called on the loop soon, in one wake-up with others; from any thread."""
        self._finished.append(callback)
        if not self._awake:
            self._awake = True
            try:
                self.loop.call_soon(self._settle)
            except RuntimeError:  # the loop is closed: nobody is left to be told
                self._finished.clear()

    def _settle(self) -> None:
        self._awake = False  # NOTE: before popping, so that a late append wakes the loop again
        finished = self._finished
        while finished:
            finished.popleft()()

    def park(self, change: int) -> None:
        """Count threads that a held lane keeps while the loop works; from any thread."""
        with self.lock:
            self._parked += change
        if change > 0 and self._queue.qsize():
            self.post(self._relieve)

    def close(self) -> None:
        """Tell idle threads to end, and wait for them; from a thread that may block."""
        self._closing = True
        threads = [*self._threads]
        for _ in threads:
            self._queue.put(None)
        deadline = time.monotonic() + JOIN_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._queue = SimpleQueue()  # without the words that nobody took


def current() -> Lane | None:
    """Return the lane whose work the calling thread does, or None."""
    return getattr(_thread, "lane", None)
