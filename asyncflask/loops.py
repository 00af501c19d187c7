"""What worker threads need of an event loop, on asyncio and on trio."""

from __future__ import annotations

import asyncio
import typing as t
from contextvars import Context

import anyio


class LoopCancelled(RuntimeError):
    """Raised in sync code whose awaited coroutine was cancelled, as at a server's shutdown."""


class Waiter:
    """The part of `asyncio.Future` that is used here, for other event loops."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._result: t.Any = None
        self._error: BaseException | None = None

    def done(self) -> bool:
        """Whether the outcome is known."""
        return self._event.is_set()

    def set_result(self, result: t.Any) -> None:
        """Wake who waits, with a result."""
        self._result = result
        self._event.set()

    def set_exception(self, error: BaseException) -> None:
        """Wake who waits, with an exception."""
        self._error = error
        self._event.set()

    def __await__(self) -> t.Generator[t.Any, None, t.Any]:
        with anyio.CancelScope(shield=True):  # noqa: ASYNC100 - what it shields is awaited below
            yield from self._event.wait().__await__()
        if self._error is not None:
            raise self._error
        return self._result


class Loop:
    """What a pool needs of the event loop that it belongs to."""

    def __init__(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.is_asyncio = False
        else:
            self.is_asyncio = True
        if self.is_asyncio:
            self.key: t.Any = loop
            self.call_soon: t.Callable[..., t.Any] = loop.call_soon_threadsafe
            self.call_later: t.Callable[..., t.Any] = loop.call_later
            self.waiter: t.Callable[[], t.Any] = loop.create_future
        else:
            import trio

            self.key = trio.lowlevel.current_trio_token()
            self.call_soon = self.key.run_sync_soon
            self.call_later = lambda _delay, func: func()
            self.waiter = Waiter

    def spawn(
        self,
        func: t.Callable[[], t.Coroutine[t.Any, t.Any, t.Any]],
        context: Context,
        done: t.Callable[[t.Any, BaseException | None], None],
    ) -> None:
        """Run a coroutine function in a task of its own; called on the loop's thread."""

        async def task() -> None:
            try:
                result = await func()
            except asyncio.CancelledError:
                done(None, LoopCancelled("The event loop cancelled what this code waited for."))
                raise
            except BaseException as error:
                done(None, error)
            else:
                done(result, None)

        if self.is_asyncio:
            running = self.key.create_task(task(), context=context)
            _running.add(running)
            running.add_done_callback(_running.discard)
        else:
            import trio

            trio.lowlevel.spawn_system_task(task, context=context)


_running: set[asyncio.Task[None]] = set()  # the loop itself keeps only weak references


def running() -> t.Any:
    """Return what identifies the running event loop."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        import trio

        return trio.lowlevel.current_trio_token()
