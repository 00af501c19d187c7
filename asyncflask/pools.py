"""An app's worker threads: a pool for each event loop that serves it."""

from __future__ import annotations

import os
import typing as t

import anyio.to_thread

from .loops import Loop, running
from .workers import Pool


class Pools:
    """An app's pools, one for each event loop that serves it."""

    def __init__(self) -> None:
        self._pools: dict[t.Any, Pool] = {}
        self._pid = os.getpid()

    def here(self, limit: int, queue_limit: int) -> Pool:
        """Return the running loop's pool, made on first use."""
        if self._pid != os.getpid():  # a forked child has none of its parent's threads
            self.__init__()  # type: ignore[misc]
        key = running()
        pool = self._pools.get(key)
        if pool is None:
            self._forget_closed()
            pool = self._pools[key] = Pool(Loop(), limit, queue_limit)
        return pool

    def _forget_closed(self) -> None:
        """Drop the pools of event loops that are closed; their idle threads end by themselves."""
        for key in [*self._pools]:
            if getattr(key, "is_closed", bool)():
                del self._pools[key]

    async def close(self) -> None:
        """End the threads of the running loop's pool."""
        pool = self._pools.pop(running(), None)
        if pool is not None:
            await anyio.to_thread.run_sync(pool.close)
