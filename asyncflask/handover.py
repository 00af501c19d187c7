"""Chunks that a coroutine makes on the event loop, for a thread that takes them one by one.

So bodies made on a loop are sent by a WSGI server's thread. The coroutine runs in *one* task from
its beginning to its end, whoever takes the chunks and however: an ``async with``, a timeout or a
task group may stand around a ``yield``. Sync code that it needs is run by the thread, whenever that
waits for the next chunk.

States, as the taker sees them:

======== ========================= ==========================================
state    what `__next__` does      what `close` does
======== ========================= ==========================================
new      starts the coroutine      nothing more than to say so
running  waits for chunks          cancels it, waits for its end
ended    what is left, then stops  waits for its end
over     what is left, then stops  nothing
======== ========================= ==========================================
"""

from __future__ import annotations

import typing as t
from abc import ABC, abstractmethod
from collections import deque
from contextvars import Context, copy_context

import anyio
from anyio.lowlevel import checkpoint

from . import greenlets, portal, workers
from .exceptions import LoopCancelled, PipeClosed
from .workers import Call, Lane

#: Bytes that may wait for the thread; the coroutine waits beyond. What a server writes at once.
LIMIT = 65_536


class HandOver(ABC):
    """An iterator over the chunks that `produce`, which a subclass defines, puts.

    Made and used in one thread at a time, which may be another one for each step.
    """

    #: Whether the taker has seen that there are news; set by the lane.
    known = False

    #: Whether the coroutine makes no more chunks. It may have other things to do.
    ended = False

    #: Whether nobody takes chunks any more; as the thread knows it, and as the loop does.
    closed = deserted = False

    _lane: Lane | None = None
    _told = _left = False
    _given = _taken = 0
    _room: t.Any = None
    _cancel: t.Callable[[], t.Any] | None = None

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._failure: BaseException | None = None
        self._call: Call | None = None

    @abstractmethod
    async def produce(self) -> None:
        """Make the chunks, with `put`; runs on the loop."""

    # In the thread.

    def __iter__(self) -> t.Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.closed:
            raise StopIteration
        self.wait_until(self._has_news)
        chunks = []
        while self._chunks:
            chunks.append(self._chunks.popleft())
        if not chunks:
            self._raise_failure()
            raise StopIteration
        chunk = b"".join(chunks)
        self._taken += len(chunk)
        if self._room is not None and self._lane is not None:
            self._lane.pool.post(self._make_room)
        return chunk

    def close(self) -> None:
        """Take no more chunks, and wait for the end of the coroutine.

        :raises BaseException: what it raised, unless `excuses` has it otherwise.
        """
        first, self.closed = not self.closed, True
        if first and self._lane is not None and not self._left:
            self._lane.pool.post(self.leave)
            self.wait_until(lambda: self.is_over)
        if self._failure is None or not self.excuses(self._failure):
            self._raise_failure()

    @property
    def is_new(self) -> bool:
        """Whether the coroutine was never started."""
        return self._lane is None

    @property
    def is_over(self) -> bool:
        """Whether the coroutine has ended."""
        return self._call is not None and not self._call.open

    def wait_until(self, reached: t.Callable[[], bool]) -> None:
        """Start the coroutine, and do the sync work that it asks for until a state is reached."""
        lane = self._start() if self._lane is None else self._lane
        if self._left:
            return
        with lane.adopting_thread():
            while not reached() and not self.is_over:
                self._look(lane)
            if self.is_over:
                self._leave_lane(lane)

    def _look(self, lane: Lane) -> None:
        """Do a piece of the lane's work, or note that there are news."""
        if not self.known:  # another one that waits in this thread may have taken the word
            lane._take(self._jobs.get())
        if self.known:
            self.known = self._told = False  # and now look: what comes later tells again

    def _has_news(self) -> bool:
        return bool(self._chunks) or self.ended

    def _start(self) -> Lane:
        lane = self._lane = workers.current() or Lane(portal.background_pool())
        self._outer, self._depth = lane._jobs, lane._depth
        self._jobs = greenlets.make_queue() if lane._jobs is None else lane._jobs
        lane._jobs = self._jobs  # also between two steps, when no thread is there
        lane._depth += 1
        self._call = call = Call(lane, self._jobs)
        context = copy_context()
        context.run(workers._awaited.set, call)
        lane.pool.loop.call_soon(self._spawn, lane, call, context)
        return lane

    def _leave_lane(self, lane: Lane) -> None:
        """Do what is left of the lane's work, and give the lane back as it was found."""
        call = t.cast("Call", self._call)
        while self._told or not call.known:
            self._look(lane)
        self._left = True
        lane._depth -= 1
        if lane._depth == self._depth:  # none that began later is still at it
            lane._jobs = self._outer
        self._failure, call.error = call.error, None

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # this frame is in its traceback: no circle

    # On the loop.

    def _spawn(self, lane: Lane, call: Call, context: Context) -> None:
        lane._spawn(call, self._run, context)
        if call.open:
            self._cancel = lane._cancel
        if self.closed:  # before it began
            self.leave()

    async def _run(self) -> None:
        try:
            await self.produce()
        except PipeClosed:
            if not self.deserted:
                raise

    async def put(self, chunk: bytes) -> None:
        """Hand a chunk over; waits while the taker is behind.

        :raises PipeClosed: if nobody takes it.
        """
        if chunk:
            self._chunks.append(chunk)
            self._given += len(chunk)
            self.tell()
        # The others on the loop get their turn, however willingly the chunks are taken.
        await checkpoint()
        while self._given - self._taken >= LIMIT and not self.deserted:
            await self._wait_for_room()
        # NOTE: not `closed`, or the cancellation would come later and hit the clean-up.
        if self.deserted:
            raise PipeClosed

    async def _wait_for_room(self) -> None:
        self._room = t.cast("Lane", self._lane).pool.loop.waiter()
        try:
            if self._given - self._taken >= LIMIT:  # none was taken meanwhile
                await self._room
        finally:
            self._room = None

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def tell(self) -> None:
        """Have the taker look again."""
        if not self._told:
            self._told = True
            self._jobs.put(self)

    def end(self) -> None:
        """Say that there are no more chunks."""
        self.ended = True
        self.tell()

    def excuses(self, failure: BaseException) -> bool:
        """Whether a failure that `close` finds says no more than that nobody takes chunks."""
        return isinstance(failure, LoopCancelled)

    def leave(self) -> None:
        """Notice that nobody takes chunks any more."""
        self.deserted = True
        self._make_room()
        self.end_early()

    def end_early(self) -> None:
        """Have the coroutine end, since nobody takes chunks: cancel it, unless it made them all."""
        if self._cancel is not None and not self.ended:
            self._cancel()


class AsyncBody(HandOver):
    """An async iterable as a body that a thread sends.

    :param body: what to iterate over; closed in the end, also if nobody took anything.
    """

    def __init__(self, body: t.AsyncIterable[str | bytes]) -> None:
        super().__init__()
        self._body: t.Any = body

    async def produce(self) -> None:
        """Put what the iterable gives."""
        chunks = aiter(self._body)
        try:
            async for chunk in chunks:
                await self.put(chunk.encode() if isinstance(chunk, str) else chunk)
        finally:
            # NOTE: in no cancel scope of ours, inside which it could not leave its own.
            await close_body(chunks)

    def close(self) -> None:
        """Close the iterable, wherever it is."""
        if self.is_new and not self.closed and hasattr(self._body, "aclose"):
            portal.call_async(close_body, self._body)
        super().close()


async def close_body(chunks: t.Any) -> None:
    """Close an async body, if it can be closed; be called in no cancel scope that is newer."""
    aclose = getattr(chunks, "aclose", None)
    if aclose is None:
        return
    try:
        await aclose()
    except BaseExceptionGroup as group:  # a task group around the `yield` wraps the word to end
        expected = (GeneratorExit, anyio.get_cancelled_exc_class())
        if group.split(expected)[1] is not None:
            raise
