"""The way from sync code to an event loop: the server's, or one of the process's own."""

from __future__ import annotations

import asyncio
import os
import threading
import typing as t

from . import _current, workers
from .loops import Loop
from .workers import Lane, Pool


class _Background:
    """The process's own event loop, for async code called where no server's loop is."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        ready = threading.Event()
        threading.Thread(
            target=self._main, args=(ready,), name="asyncflask-loop", daemon=True
        ).start()
        ready.wait()

    def _main(self, ready: threading.Event) -> None:
        async def main() -> None:
            self.pool = Pool(Loop())
            ready.set()
            await asyncio.get_running_loop().create_future()

        asyncio.run(main())


_background: _Background | None = None
_background_lock = threading.Lock()


def background_pool() -> Pool:
    """Return the pool of the process's background loop, which is started on first use."""
    global _background
    with _background_lock:
        if _background is None or _background.pid != os.getpid():
            _background = _Background()
    return _background.pool


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
