"""The way from sync code to an event loop: the server's, or one of the process's own.

The process's own is started when it is first needed and ended when the process ends. It lives in a
thread; a forked child has none of its parent's threads, and starts its own.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import typing as t

from . import greenlets, workers
from .loops import Loop
from .pools import Pool
from .workers import Lane

#: Seconds that the end of the process waits for coroutines which it cancelled. What does not heed
#: that within a second or two never will, and whoever stops a process has some patience.
END_SECONDS = 5.0


class _Background:
    """An event loop of the process's own, for async code called where no server's loop is."""

    pool: Pool
    _loop: asyncio.AbstractEventLoop
    _over: asyncio.Event
    _error: BaseException | None = None

    def __init__(self) -> None:
        # Real locks: under gevent, no other greenlet gets to see this before it is complete.
        make_lock = greenlets.original("_thread", "allocate_lock")
        self._starting, self._running = make_lock(), make_lock()
        self._starting.acquire()
        self._running.acquire()
        self.thread = 0
        greenlets.start_thread(self._main, "asyncflask-loop")
        self._starting.acquire()
        if self._error is not None:
            raise self._error

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
            if self.thread == 0:  # it did not get as far as that: too many open files, say
                self._starting.release()
        finally:
            self._running.release()

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self.pool, self.thread = Pool(Loop(), prepare=workers.prepare_thread), threading.get_ident()
        self._starting.release()
        await self._over.wait()
        for drain in [*_drains]:
            await drain()

    def end(self) -> None:
        """Await what is to be awaited, cancel what still runs, and wait for the end of the loop."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._running.acquire(timeout=END_SECONDS + sum(_drains.values()))


#: What is awaited on each loop before its tasks are cancelled, and how many seconds that may take.
_drains: dict[t.Callable[[], t.Awaitable[None]], float] = {}
_backgrounds: list[_Background] = []
_abandoned: list[_Background] = []
_lock = threading.Lock()


def background_pool() -> Pool:
    """Return the pool of the process's background loop, which is started on first use.

    On that loop's own thread it is another one's: sync code there, called by a coroutine, may wait
    for async code in its turn.
    """
    with _lock:
        here = threading.get_ident()
        threads = [background.thread for background in _backgrounds]
        depth = threads.index(here) + 1 if here in threads else 0
        if depth == len(_backgrounds):
            _backgrounds.append(_Background())
            greenlets.before_joins(_end_all)
        return _backgrounds[depth].pool


def at_end(drain: t.Callable[[], t.Awaitable[None]], seconds: float) -> None:
    """Await `drain` on each of the process's own loops before what is left there is cancelled.

    :param seconds: how long the end of the process is to wait for it.
    """
    _drains[drain] = seconds


def _end_all() -> None:
    """End the loops, so that the interpreter finds no task at work when it takes itself apart."""
    while _backgrounds:
        _backgrounds.pop().end()


def _forget_all() -> None:
    """Begin anew in a forked child.

    The parent's loops are kept, unused: to be finalized, they would take their descriptors out of
    an ``epoll`` that parent and child have in common.
    """
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held it
    _abandoned.extend(_backgrounds)
    _backgrounds.clear()


def call_async(
    func: t.Callable[..., t.Awaitable[t.Any]], /, *args: t.Any, **kwargs: t.Any
) -> t.Any:
    """Run ``await func(*args, **kwargs)`` from sync code and return its result.

    In a lane's thread it runs on the lane's loop; anywhere else on the background loop.
    """
    lane = workers.current()
    if lane is not None:
        return lane.call_async(func, *args, **kwargs)
    lane = Lane(background_pool())
    with lane.adopting_thread():
        return lane.call_async(func, *args, **kwargs)


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
