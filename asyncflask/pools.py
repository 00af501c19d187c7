"""The worker threads of one event loop, and how their results come back to it.

A thread that has nothing to do sleeps on a stack: the one that slept last is woken first, so that
few threads are busy and the others, idle for long enough, end. The results that are there when the
loop looks are settled in one wake-up, a few in each of its turns.
PERF: one ``call_soon_threadsafe`` per burst, 2 to 4 us a call with 32 in flight against 40 to 59
us for `anyio.to_thread.run_sync`.
"""

from __future__ import annotations

import threading
import time
import typing as t
from collections import deque

from .exceptions import QueueFull
from .loops import Loop
from .wakeups import Wakeup, make_wakeup

#: Seconds an idle worker thread waits for work before it ends. Long enough to bridge the gaps of
#: a busy server, short enough that a burst does not leave its threads behind.
IDLE_SECONDS = 5.0

#: Seconds that work may wait behind other work before it gets a thread of its own. Bursts of short
#: calls are over by then and need no second thread; a blocking call never delays others longer.
PATIENCE = 0.001

#: Pieces of work that are handed over at once, after a round of the loop that brought only one.
#: PERF: to wait for the round's end costs a piece that is alone 3.5 us, so that it is seldom done.
ALONE = 32

#: Results that are handed over in one turn of the loop. Each has a task go on that mostly sends a
#: response, 40 us of work over uvicorn: a thousand of them would keep all others waiting for 40 ms.
#: PERF: with 4, the others wait no less, and the server is asked for smaller batches afterwards: 5
#: us more a request with 32 connections.
SETTLED = 16

#: Turns of the loop for which work that comes in several pieces may wait while each brings more.
#: PERF: over uvicorn with 32 connections a thread is woken for 4.9 pieces at once, not 3.5, which
#: saves 4 us of 64 a request.
LINGER = 4

#: Seconds after which a client that was told 503 may try again. A full queue drains in about that.
RETRY_SECONDS = 1

#: Seconds that `Pool.close` waits for threads that are still at work. By then the server has given
#: requests its own time to finish, and cancelled the rest. They are daemons: what hangs longer ends
#: with the process.
JOIN_SECONDS = 0.5

#: Into how many waits that time is cut. A machine that stops the process for longer stops the
#: threads too: it takes one of the waits, and not all the time that they had.
JOINS = 10


class Metrics(t.NamedTuple):
    """What the worker threads of one event loop do at one moment.

    For a health view: ``app.sync_metrics``.
    """

    #: Threads that exist.
    threads: int
    #: Those that run sync code just now.
    in_use: int
    #: Those that requests keep for themselves while they wait for async code or for their client.
    held: int
    #: Requests that wait for a thread.
    waiting: int
    #: Requests that were answered with 503 because too many waited, since the start.
    rejected: int
    #: `SYNC_WORKERS`.
    limit: int
    #: `SYNC_QUEUE_LIMIT`.
    queue_limit: int


class Work(t.Protocol):
    """What a thread does."""

    def perform(self) -> None:
        """Do it; raises nothing."""


class Overdue(t.Protocol):
    """Work that was cancelled and goes on."""

    def abandon(self) -> None:
        """Let nobody wait for it any more."""


class Pool:
    """The worker threads of one event loop.

    :param loop: the loop, seen from here.
    :param limit: how many threads may be at work (`SYNC_WORKERS`). One that is kept by a request
        while the loop works for it, or while it waits for its client, is not at work.
    :param queue_limit: how many requests may wait for a thread or keep one without using it
        (`SYNC_QUEUE_LIMIT`).
    :param prepare: called in each thread at its start.
    """

    def __init__(
        self,
        loop: Loop,
        limit: int = 40,
        queue_limit: int = 1000,
        prepare: t.Callable[[], None] | None = None,
    ) -> None:
        self.loop, self.limit, self.queue_limit = loop, limit, queue_limit
        self._prepare = prepare
        self.rejected = 0
        self.closed = False
        self.overdue: dict[Overdue, None] = {}
        self.given_up = False  # the threads that are left are not waited for
        self._queue: deque[Work] = deque()
        self._idle: list[Wakeup] = []
        self._threads: set[threading.Thread] = set()
        self._finished: deque[t.Callable[[], None]] = deque()
        self._awake = self._watching = self._waking = self._settling = False
        self._held = self._alone = self._lingered = 0
        self._submitted = self._watched = self._last_round = 0
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """How much work waits for a thread."""
        return len(self._queue)

    @property
    def metrics(self) -> Metrics:
        """What the threads do at this moment."""
        threads, held = len(self._threads), self._held
        in_use = max(0, threads - held - len(self._idle))
        return Metrics(
            threads, in_use, held, self.waiting, self.rejected, self.limit, self.queue_limit
        )

    def admit(self) -> None:
        """Let one more request in that needs a thread.

        :raises QueueFull: if `queue_limit` of them wait for a thread, or keep one waiting.
        """
        if len(self._queue) + self._held >= self.queue_limit:
            self.rejected += 1
            raise QueueFull(
                "The server has more to do than it can take on"
                f" (SYNC_QUEUE_LIMIT={self.queue_limit}, SYNC_WORKERS={self.limit}).",
                retry_after=RETRY_SECONDS,
            )

    def submit(self, work: Work) -> None:
        """Have any thread do `work`; on the loop.

        PERF: where several pieces come in one round of the loop, a thread is woken at its end, once
        for all. Woken for each, it would take turns with the loop: 20 us a request with 32 in
        flight, not 12. Whether they do is what the last round that was waited for has shown.
        """
        self._queue.append(work)
        self._submitted += 1
        if self._waking:
            return
        if self._alone:
            self._alone -= 1
            self._wake()
        else:
            self._waking, self._last_round = True, self._submitted
            self.loop.call_next(self._end_round)

    def _end_round(self) -> None:
        """Have the work of one round of the loop done, or wait for that of the next one, too."""
        brought_more, self._last_round = self._submitted != self._last_round, self._submitted
        if brought_more and self._lingered < LINGER:
            self._lingered += 1
            self.loop.call_next(self._end_round)
            return
        self._alone = 0 if brought_more or self._lingered else ALONE
        self._waking, self._lingered = False, 0
        self._wake()

    def _wake(self) -> None:
        """Wake a thread; it takes all that waits, if that is quick. If not, `_relieve` comes.

        PERF: on a single core, or if it gets the interpreter's lock first, the thread is done when
        it has been woken. Its results are taken at once then: 15 us a request, where one more round
        of the loop made it 22.
        """
        waiting = len(self._queue)
        if not waiting:
            return
        self._awake = True  # who posts now need not wake the loop
        woken = self._wake_one()
        self._settle()
        woken = woken or (not self._threads and self._start_one())
        if self._queue and (waiting > 1 or not woken):
            self._watch()

    def _wake_one(self) -> bool:
        try:
            wakeup = self._idle.pop()
        except IndexError:
            return False
        wakeup.wake()
        return True

    def _start_one(self) -> bool:
        if len(self._threads) - self._held >= self.limit:
            return False
        thread = threading.Thread(target=self._live, name="asyncflask-worker", daemon=True)
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # the system gives no more threads; those there are must do
            self._threads.discard(thread)
            return False
        return True

    def _watch(self) -> None:
        """Come back for what waits now."""
        if not self._watching:
            self._watching = True
            self._watched = self._submitted
            self.loop.call_later(PATIENCE, self._relieve)

    def _relieve(self) -> None:
        """Find threads for what has waited since `_watch`."""
        self._watching = False
        waiting = len(self._queue)
        taken = self._submitted - waiting
        for _ in range(self._watched - taken):
            if not (self._wake_one() or self._start_one()):
                if not self._threads:  # the system gave none; it may later
                    break
                return
        if waiting:
            self._watch()

    def _live(self) -> None:
        """The life of one worker thread."""
        wakeup = make_wakeup()
        try:
            if self._prepare is not None:
                self._prepare()
            queue = self._queue
            while queue or self._rest(wakeup):
                try:
                    work = queue.popleft()
                except IndexError:  # another thread has just taken the last of it
                    continue
                work.perform()
                del work  # an idle thread keeps no request alive
        finally:
            wakeup.close()
            self._threads.discard(threading.current_thread())
            if self._queue:  # it came when this was counted as a thread, and would not be one
                self.post(self._watch)

    def _rest(self, wakeup: Wakeup) -> bool:
        """Sleep until there may be work; False at the end of the thread's life."""
        if self.closed:
            return False
        self._idle.append(wakeup)
        if (self._queue or self.closed) and self._withdraw(wakeup):
            return True
        if not wakeup.sleep(IDLE_SECONDS):
            if self._withdraw(wakeup):
                return False
            wakeup.sleep()  # it was taken from the stack in the last moment
        return True

    def _withdraw(self, wakeup: Wakeup) -> bool:
        """Take a thread off the stack of idle ones; False if somebody wakes it already."""
        try:
            self._idle.remove(wakeup)
        except ValueError:
            return False
        return True

    def post(self, callback: t.Callable[[], None]) -> None:
        """Have `callback` called on the loop soon, in one wake-up with others; from any thread."""
        self._finished.append(callback)
        if not self._awake:
            self._awake = True
            try:
                self.loop.call_soon(self._settle)
            except RuntimeError:  # the loop is closed: nobody is left to be told
                self._finished.clear()

    def ask(self, callback: t.Callable[[], None]) -> None:
        """`post` what a thread is going to wait for.

        :raises RuntimeError: if the loop is closed.
        """
        if not self.loop.is_asyncio:
            self.loop.call_soon(callback)
            return
        if self.loop.key.is_closed():
            raise RuntimeError("The event loop is closed.")
        self.post(callback)

    def _settle(self) -> None:
        """Hand over the results that are there: of many, the first now."""
        finished = self._finished
        if len(finished) > SETTLED:
            self._settle_some()
            return
        self._awake = False  # NOTE: before popping, so that a late append wakes the loop again
        while finished:
            finished.popleft()()

    def _settle_some(self) -> None:
        finished = self._finished
        try:
            for _ in range(SETTLED):
                if finished:  # who gets a result may submit work, and so come here
                    finished.popleft()()
        finally:
            self._awake = True
            if not self._settling:
                self._settling = True
                self.loop.call_in_next_turn(self._settle_more)

    def _settle_more(self) -> None:
        self._settling = False
        self._settle()

    def hold(self, change: int) -> None:
        """Count threads that requests keep without using them; from any thread."""
        with self._lock:
            self._held += change
        if change > 0 and self._queue:
            self.post(self._watch)

    def close(self) -> None:
        """Have the threads end when they have nothing more to do; from a thread that may block."""
        self.closed = True
        while self._wake_one():
            pass
        for _ in range(JOINS):
            deadline = time.monotonic() + JOIN_SECONDS / JOINS
            for thread in [*self._threads]:
                thread.join(max(0.0, deadline - time.monotonic()))

    def give_up(self) -> None:
        """Let nobody wait for the threads that have not ended when it was closed; on the loop."""
        self.given_up = bool(self._threads)
        for work in [*self.overdue] if self.given_up else ():
            work.abandon()
