"""The shutdown of an app: how it is noticed, and who is told.

A server asks the app to shut down (``lifespan.shutdown``) when all of its connections have ended.
A stream without an end would never hear of it, so the signal is noticed that the server stops on.

What one event loop knows, by what happens in its lifespan:

======== ==================== ====== =================================
phase    begins with          is set when `calling` calls
======== ==================== ====== =================================
idle     the loop             no     never
serving  the lifespan's start no     when the shutdown begins
stopping the shutdown         yes    at once
over     the lifespan's end   yes    never, unless it is started again
======== ==================== ====== =================================
"""

from __future__ import annotations

import enum
import signal
import threading
import typing as t
import weakref
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType, TracebackType

import anyio

from . import workers
from .loops import Loop, on_event_loop, running

#: What servers stop on; Windows has Ctrl-Break.
SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGBREAK") if hasattr(signal, name)
)

Call = t.Callable[[], object]


class Phase(enum.Enum):
    """How far an app is on one event loop."""

    IDLE = "idle"
    SERVING = "serving"
    STOPPING = "stopping"
    OVER = "over"


class _Place:
    """One event loop on which the app works."""

    __slots__ = ("__weakref__", "calls", "lifespans", "loop", "phase")

    def __init__(self) -> None:
        self.phase = Phase.IDLE
        self.lifespans = 0
        #: Set while there is a lifespan; it refers to what `Shutdown` knows this place by.
        self.loop: Loop | None = None
        self.calls: dict[Calling, None] = {}

    @property
    def stopped(self) -> bool:
        return self.phase is Phase.STOPPING or self.phase is Phase.OVER

    def stop(self) -> None:
        """Begin the shutdown, if there is one to begin; on the loop."""
        if self.phase is not Phase.SERVING:
            return
        self.phase = Phase.STOPPING
        for call in [*self.calls]:
            if call in self.calls:  # one that was called before it may have ended this one's block
                call.func()

    def stop_soon(self) -> None:
        """Begin the shutdown; from any thread, and from a signal's handler."""
        loop = self.loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has ended: so has all that could be told
                loop.call_soon(self.stop)


class Calling:
    """A block in which a function is called when the shutdown begins; see `Shutdown.calling`.

    PERF: 1.2 us and 93 bytes for each block; thousands of sockets have one.
    """

    __slots__ = ("_place", "func")

    def __init__(self, place: _Place, func: Call) -> None:
        self._place, self.func = place, func

    def __enter__(self) -> None:
        self._place.calls[self] = None
        if self._place.phase is Phase.STOPPING:
            self.func()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._place.calls.pop(self, None)


class Shutdown:
    """An app's shutdown; `Flask.shutdown_event`.

    Each event loop that serves the app has its own. In a thread of the app's it is that of the
    loop which the thread works for; in any other thread it has begun when it has on every loop.
    """

    _was_stopped = False  # for threads that outlive their event loop

    def __init__(self) -> None:
        self._places: weakref.WeakKeyDictionary[t.Any, _Place] = weakref.WeakKeyDictionary()

    def is_set(self) -> bool:
        """Whether the shutdown has begun; False again when the app is started again."""
        key = _loop_here()
        if key is not None:
            place = self._places.get(key)
            return place is not None and place.stopped
        known = [place for place in self._all() if place.phase is not Phase.IDLE]
        return all(place.stopped for place in known) if known else self._was_stopped

    async def wait(self) -> None:
        """Wait until the shutdown has begun."""
        if not self.is_set():
            event = anyio.Event()
            with self.calling(event.set):
                await event.wait()

    def set(self) -> None:
        """Begin the shutdown; from any thread.

        For who hosts the app in a way of its own: a server in a thread gets no signals, so that
        nobody tells the streams to end before the server waits for them.
        """
        for place in self._all():
            if place.loop is not None and place.loop.is_running_here():
                place.stop()
            else:
                place.stop_soon()

    def calling(self, func: Call) -> Calling:
        """Call a function when the shutdown begins inside of a ``with`` block, or has begun.

        :param func: a plain function; called on the event loop that runs here.
        """
        return Calling(self._here(), func)

    def begin(self) -> None:
        """Begin the shutdown on this event loop, unless the app has another lifespan on it."""
        place = self._here()
        if place.lifespans <= 1:
            place.stop()

    @contextmanager
    def serving(self) -> t.Iterator[None]:
        """Know of a lifespan on this event loop while a block runs, and notice signals."""
        place = self._here()
        place.lifespans += 1
        if place.lifespans == 1:
            place.phase, place.loop = Phase.SERVING, Loop()
            self._was_stopped = False
        try:
            with noticing(place.stop_soon):
                yield
        finally:
            place.lifespans -= 1
            if not place.lifespans:
                place.stop()
                place.phase, place.loop = Phase.OVER, None
                self._was_stopped = True

    def _here(self) -> _Place:
        key = running()
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = _Place()
        return place

    def _all(self) -> list[_Place]:
        return [*self._places.values()]


def _loop_here() -> t.Any:
    """Return what identifies the event loop that the calling thread runs, or works for."""
    lane = workers.current()
    if lane is not None:
        return lane.pool.loop.key
    return running() if on_event_loop() else None


class _Chained:
    """A signal's handler that tells somebody before it does what the one before it does.

    :param note: called in a signal's handler.
    :param number: the signal.
    """

    def __init__(self, note: Call, number: int) -> None:
        self._note: Call | None = note
        self._number = number
        self._previous: t.Any = signal.getsignal(number)

    def __call__(self, number: int, frame: FrameType | None) -> t.Any:
        if self._note is not None:
            self._note()
        return self._previous(number, frame)

    def __enter__(self) -> None:
        if callable(self._previous):  # what ends the process, or is ignored, goes on to do so
            signal.signal(self._number, self)

    def __exit__(self, *raised: object) -> None:
        self._note = None  # who was put before this one goes on calling it
        if signal.getsignal(self._number) is self:
            signal.signal(self._number, self._previous)


@contextmanager
def noticing(note: Call) -> t.Iterator[None]:
    """Call a function when a signal comes that stops the server, while a block runs.

    What else happens on the signal is left to whoever handles it. Only in the main thread can
    signals be handled; elsewhere nothing is noticed.

    :param note: called in the signal's handler, and again with each further signal.
    """
    with ExitStack() as chained:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                chained.enter_context(_Chained(note, number))
        yield
