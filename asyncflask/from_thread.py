"""`anyio.from_thread` in threads that anyio did not start.

anyio finds the way from a thread to its event loop in a token that it puts into thread-local
storage. Ours leads through the lane: so what is awaited has the same context variables as with
`Flask.async_to_sync`, and may call sync code again, for which the waiting thread is there.
"""

from __future__ import annotations

import typing as t
from contextlib import contextmanager

from anyio import from_thread

T = t.TypeVar("T")


class Token(t.NamedTuple):
    """What anyio looks for: where a call from this thread goes.

    It stands for anyio's token and for its back end at once, of which only these methods are used
    from a thread.

    :param call_async: awaits ``func(*args)`` on the loop and returns its result.
    :param check: raises what says that nobody wants the work of this thread any more.
    """

    call_async: t.Callable[..., t.Any]
    check: t.Callable[[], None]
    native_token: None = None  # it is ours to know

    @property
    def backend_class(self) -> Token:
        """The back end."""
        return self

    def run_async_from_thread(
        self,
        func: t.Callable[..., t.Awaitable[T]],
        args: tuple[t.Any, ...],
        token: object = None,
    ) -> T:
        """Behind `anyio.from_thread.run`."""
        return t.cast("T", self.call_async(func, *args))

    def run_sync_from_thread(
        self, func: t.Callable[..., T], args: tuple[t.Any, ...], token: object = None
    ) -> T:
        """Behind `anyio.from_thread.run_sync`."""

        async def call() -> T:
            return func(*args)

        return t.cast("T", self.call_async(call))

    def check_cancelled(self) -> None:
        """Behind `anyio.from_thread.check_cancelled`."""
        self.check()


def enable(call_async: t.Callable[..., t.Any], check: t.Callable[[], None]) -> None:
    """Make `anyio.from_thread` work in the calling thread, for the rest of its life.

    :param call_async: see `Token`.
    :param check: see `Token`.
    """
    found: t.Any = from_thread
    found.threadlocals.current_token = token = Token(call_async, check)
    found.threadlocals.current_async_backend = token  # before anyio 4.11


@contextmanager
def lent(call_async: t.Callable[..., t.Any]) -> t.Iterator[None]:
    """Make `anyio.from_thread` work in the calling thread for the time of a block.

    A thread that has a way to an event loop already, such as one of anyio's own, keeps it.

    :param call_async: see `Token`.
    """
    found: t.Any = from_thread
    local = found.threadlocals
    if hasattr(local, "current_token"):
        yield
        return
    enable(call_async, _nothing)
    try:
        yield
    finally:
        for name in ("current_token", "current_async_backend"):
            vars(local).pop(name, None)  # under gevent, another greenlet may have been quicker


def _nothing() -> None:
    pass
