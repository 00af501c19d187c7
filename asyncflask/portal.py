"""The way from sync code to an event loop: the server's, or one of the process's own."""

from __future__ import annotations

import asyncio
import os
import threading
import typing as t

from . import _current, workers
from .loops import Loop
from .pools import Pool
from .workers import Lane


class _Background:
    """An event loop of the process's own, for async code called where no server's loop is."""

    def __init__(self) -> None:
        ready = threading.Event()
        self.thread = threading.Thread(
            target=self._main, args=(ready,), name="asyncflask-loop", daemon=True
        )
        self.thread.start()
        ready.wait()

    def _main(self, ready: threading.Event) -> None:
        async def main() -> None:
            self.pool = Pool(Loop())
            ready.set()
            await asyncio.get_running_loop().create_future()

        asyncio.run(main())


_backgrounds: list[_Background] = []
_pid = os.getpid()
_lock = threading.Lock()


def background_pool() -> Pool:
    """Return the pool of the process's background loop, which is started on first use.

    On that loop's own thread it is another one's: sync code there, called by a coroutine, may wait
    for async code in its turn.
    """
    global _pid
    with _lock:
        if _pid != os.getpid():  # a forked child has none of its parent's threads
            _backgrounds.clear()
            _pid = os.getpid()
        here = threading.current_thread()
        threads = [background.thread for background in _backgrounds]
        depth = threads.index(here) + 1 if here in threads else 0
        if depth == len(_backgrounds):
            _backgrounds.append(_Background())
        return _backgrounds[depth].pool


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
    ctx = _current.context.get(None)
    if ctx is not None and ctx._lane is None:
        ctx._lane = lane  # so that sync code of what is awaited comes back to this thread
    with lane.adopting_thread():
        try:
            return lane.call_async(func, *args, **kwargs)
        finally:
            if ctx is not None and ctx._lane is lane:
                ctx._lane = None
