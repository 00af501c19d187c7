"""Processes that gevent has patched: there a thread is a greenlet, unless one asks for a real one.

What follows from it:

- The process's own event loop needs a real thread. In a greenlet it would be "the running loop" of
  every other greenlet of that thread, too.
- A greenlet that waits for a real thread has to let the other greenlets go on, and to be woken from
  outside. gevent's locks can do both. Its queues cannot be woken from another thread, and the
  standard library's own stop all greenlets at once.
- gevent may patch late, as in a worker process after the fork. So it is looked for at each use, not
  at import, and never imported from here.
"""

from __future__ import annotations

import importlib
import sys
import threading
import typing as t
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue

T = t.TypeVar("T")

#: Seconds for "without a limit": a hub that has not even a timer to wait for takes it that nothing
#: can happen any more, and raises.
_LONG = 3600.0


class Queue(t.Protocol[T]):
    """The part of `queue.SimpleQueue` that is used here."""

    def put(self, item: T) -> None:
        """Add an item; from any thread."""

    def get(self, *, timeout: float | None = None) -> T:
        """Wait for the next item and return it.

        :param timeout: seconds to wait at the most.
        :raises queue.Empty: if it took longer.
        """

    def qsize(self) -> int:
        """Return how many items there are."""


class GreenletQueue(t.Generic[T]):
    """A queue whose reader waits as a greenlet may, and which any thread may fill."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._count = threading.Semaphore(0)  # made of gevent's locks once those are in place

    def put(self, item: T) -> None:
        """Add an item; from any thread."""
        self._items.append(item)
        self._count.release()

    def get(self, *, timeout: float | None = None) -> T:
        """Wait for the next item and return it.

        :param timeout: seconds to wait at the most.
        :raises queue.Empty: if it took longer.
        """
        while not self._count.acquire(timeout=_LONG if timeout is None else timeout):
            if timeout is not None:
                raise Empty
        return self._items.popleft()

    def qsize(self) -> int:
        """Return how many items there are."""
        return len(self._items)


def is_patched() -> bool:
    """Whether threads are greenlets in this process."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def make_queue() -> Queue[t.Any]:
    """Return a queue between threads that suits this process."""
    return GreenletQueue() if is_patched() else SimpleQueue()


def original(module: str, name: str) -> t.Any:
    """Return what a module of the standard library has under a name, before any patching."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        return monkey.get_original(module, name)
    return getattr(importlib.import_module(module), name)


def start_thread(target: t.Callable[[], None], name: str) -> None:
    """Have a real thread call `target`; it does not keep the process from ending."""
    if is_patched():
        original("_thread", "start_new_thread")(target, ())
    else:
        threading.Thread(target=target, name=name, daemon=True).start()


def before_joins(func: t.Callable[[], None]) -> None:
    """Where threads are greenlets, call `func` at the end of the process, before any is waited for.

    `concurrent.futures` waits for the threads of its executors then. Those that the process's own
    event loop has started are greenlets of that loop's thread, whom nobody else can wake.
    """
    if is_patched():
        importlib.import_module("concurrent.futures.thread")  # whose turn comes after ours now
        with suppress(RuntimeError):  # the end has begun
            t.cast("t.Any", threading)._register_atexit(func)
