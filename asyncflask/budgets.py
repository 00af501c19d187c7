"""An app's worker threads: for each event loop that serves it, a budget for each kind of work."""

from __future__ import annotations

import os
import typing as t
import weakref

import anyio.to_thread

from .loops import Loop, running
from .pools import Pool
from .workers import prepare_thread

#: What threads are for, with the setting that says how many. A view that is slow, or waits for
#: what another request holds, never keeps a file or a teardown function from its turn; nor does a
#: background task keep a view from its own.
HANDLERS, FILES, TEARDOWN = "SYNC_WORKERS", "FILE_WORKERS", "TEARDOWN_WORKERS"
BACKGROUND = "BACKGROUND_WORKERS"


class Budgets:
    """An app's pools, by event loop and kind of work; each is made on first use."""

    def __init__(self) -> None:
        self._pools: dict[tuple[t.Any, str], Pool] = {}
        self._latest: dict[str, Pool] = {}
        _all.add(self)

    def here(self, config: t.Mapping[str, t.Any], kind: str = HANDLERS) -> Pool:
        """Return the running loop's pool for a kind of work.

        :param config: the app's configuration, which says how large it is when it is made.
        """
        # PERF: 0.4 us where one loop asks time and again, not 1: asyncio makes a system call.
        latest = self._latest.get(kind)
        if latest is not None and latest.loop.is_current():
            return latest
        key = running(), kind
        pool = self._pools.get(key)
        if pool is None:
            self._forget_closed()
            limit, queue_limit = config[kind], config["SYNC_QUEUE_LIMIT"]
            pool = self._pools[key] = Pool(Loop(), limit, queue_limit, prepare_thread)
        pool.loop.runs_here()
        self._latest[kind] = pool
        return pool

    def forget(self) -> None:
        """Drop all pools: in a forked child, which has none of its parent's threads."""
        self._pools.clear()
        self._latest.clear()

    def _forget_closed(self) -> None:
        """Drop the pools of event loops that are closed; their idle threads end by themselves."""
        for key in [*self._pools]:
            if getattr(key[0], "is_closed", bool)():
                del self._pools[key]

    async def close(self) -> None:
        """End the threads of the running loop's pools."""
        here = running()
        for key in [key for key in self._pools if key[0] is here]:
            pool = self._pools.pop(key)
            if self._latest.get(key[1]) is pool:
                del self._latest[key[1]]
            await anyio.to_thread.run_sync(pool.close)
            pool.give_up()


_all: weakref.WeakSet[Budgets] = weakref.WeakSet()


def _forget_all() -> None:
    for budgets in _all:
        budgets.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
