"""What worker threads need of an event loop, on asyncio and on trio."""

from __future__ import annotations

import asyncio
import sys
import threading
import types
import typing as t
from contextvars import Context
from functools import partial

import anyio
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from .exceptions import LoopCancelled


class Waiter:
    """The part of `asyncio.Future` that is used here, for other event loops."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._result: t.Any = None

    def done(self) -> bool:
        """Whether the outcome is known."""
        return self._event.is_set()

    def set_result(self, result: t.Any) -> None:
        """Wake who waits, with a result."""
        self._result = result
        self._event.set()

    def __await__(self) -> t.Generator[t.Any, None, t.Any]:
        yield from self._event.wait().__await__()
        return self._result


async def shielded(waiter: t.Any) -> t.Any:
    """Await a waiter through the cancellation of the scopes around, if not that of the task."""
    with anyio.CancelScope(shield=True):
        return await waiter


class Loop:
    """What a pool needs of the event loop that it belongs to."""

    def __init__(self) -> None:
        self.is_asyncio = not _on_trio()
        self._thread = threading.get_ident()
        if self.is_asyncio:
            loop = asyncio.get_running_loop()
            self.key: t.Any = loop
            self.call_soon: t.Callable[..., t.Any] = loop.call_soon_threadsafe
            self.call_next: t.Callable[..., t.Any] = loop.call_soon
            self.call_in_next_turn: t.Callable[..., t.Any] = loop.call_soon
            self.call_later: t.Callable[..., t.Any] = loop.call_later
            self.waiter: t.Callable[[], t.Any] = loop.create_future
            self._is_running: t.Callable[[], bool] = loop.is_running
            self.turn: t.Callable[[], t.Any] = _turn
        else:
            import trio

            self.key = trio.lowlevel.current_trio_token()
            self.call_soon = self.call_in_next_turn = self.key.run_sync_soon
            self.call_later = lambda seconds, func: trio.lowlevel.spawn_system_task(
                partial(_call_after, seconds, func)
            )
            self.call_next = lambda func: func()
            self.waiter = Waiter
            self._is_running = bool  # False: trio is asked anew
            self.turn = checkpoint

    def is_running_here(self) -> bool:
        """Whether this is the event loop that runs in the calling thread."""
        return threading.get_ident() == self._thread

    def is_current(self) -> bool:
        """Whether this is sure to be the event loop that runs in the calling thread."""
        return threading.get_ident() == self._thread and self._is_running()

    def runs_here(self) -> None:
        """Note that it runs in the calling thread, if it did not before."""
        self._thread = threading.get_ident()

    def spawn(
        self,
        func: t.Callable[[], t.Coroutine[t.Any, t.Any, t.Any]],
        context: Context,
        done: t.Callable[[t.Any, BaseException | None], None],
    ) -> t.Callable[[], t.Any]:
        """Run a coroutine function in a task of its own; called on the loop's thread.

        :return: what cancels the task.
        """

        def cancelled() -> LoopCancelled:
            return LoopCancelled("What this code waited for on the event loop was cancelled.")

        async def task() -> None:
            try:
                if not self.is_asyncio:  # whose tasks are not begun either, if cancelled by then
                    await checkpoint_if_cancelled()
                result = await func()
            except anyio.get_cancelled_exc_class():
                done(None, cancelled())
                raise
            except BaseException as error:
                done(None, error)
            else:
                done(result, None)

        def tell_if_cancelled(ended: asyncio.Task[None]) -> None:
            if ended.cancelled():  # NOTE: before its first step, none of `task` has run
                done(None, cancelled())

        if self.is_asyncio:
            _leave_trio(context)
            running: asyncio.Task[None] = self.key.create_task(task(), context=context)
            _running.add(running)
            # NOTE: by default a callback keeps the context of who adds it, a request's perhaps.
            running.add_done_callback(_running.discard, context=context)
            running.add_done_callback(tell_if_cancelled, context=context)
            return running.cancel
        import trio

        scope = trio.CancelScope()

        async def scoped_task() -> None:
            with scope:
                await task()

        trio.lowlevel.spawn_system_task(scoped_task, context=context)
        return scope.cancel


@types.coroutine
def _turn() -> t.Generator[None, None, None]:
    """Let the others have a turn. PERF: 0.5 us; anyio's looks for the library first, which is 2."""
    yield


def _leave_trio(context: Context) -> None:
    """Say that asyncio runs what does, in the context of a thread that runs trio by `anyio.run`.

    anyio asks a context variable first.
    """
    sniffio: t.Any = sys.modules.get("sniffio")
    if sniffio is not None:
        library = sniffio.current_async_library_cvar
        if context.get(library) not in (None, "asyncio"):
            context.run(library.set, "asyncio")


async def _call_after(seconds: float, func: t.Callable[[], None]) -> None:
    await anyio.sleep(seconds)
    func()


_running: set[asyncio.Task[None]] = set()  # the loop itself keeps only weak references


def running() -> t.Any:
    """Return what identifies the running event loop."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        import trio

        return trio.lowlevel.current_trio_token()


#: Rounds of an asyncio loop after which a time is taken to be over. The loop may have been kept, or
#: its process stopped, for as long: what came meanwhile has its turn first. One would do for
#: asyncio's own loop; uvloop looks at the time before it looks at the sockets.
LAST_LOOKS = 3


class Interrupt:
    """A block that another task can end early, once.

    On asyncio the block's task is cancelled as `asyncio.Task.cancel` does it: what is awaited
    raises, and the ``finally`` clauses on the way out may await as usual. (A cancel scope would
    cancel those too.) On trio, whose code expects just that, it is a cancel scope.
    """

    _timer: asyncio.Handle | None = None

    def __init__(self) -> None:
        self.triggered = False
        self._task = None if _on_trio() else asyncio.current_task()
        self._scope = anyio.CancelScope() if self._task is None else None

    @property
    def is_ending(self) -> bool:
        """Whether the block is being ended, by this or by who cancels its task."""
        return self.triggered or (self._task is not None and self._task.cancelling() > 0)

    def trigger_after(self, seconds: float) -> None:
        """End the block in so many seconds, if it has not ended by then."""
        if self._scope is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(seconds, self._trigger_in, loop, LAST_LOOKS)
        else:
            self._scope.deadline = anyio.current_time() + seconds

    def _trigger_in(self, loop: asyncio.AbstractEventLoop, rounds: int) -> None:
        """End the block, if it has not ended after so many rounds of the loop."""
        if rounds:
            self._timer = loop.call_soon(self._trigger_in, loop, rounds - 1)
        else:
            self.trigger()

    def trigger(self) -> None:
        """End the block, if it has not ended."""
        if self.triggered:
            return  # what its code does to clean up is not interrupted again
        self.triggered = True
        if self._task is not None:
            self._task.cancel()
        elif self._scope is not None:
            self._scope.cancel()

    def __enter__(self) -> Interrupt:
        if self._scope is not None:
            self._scope.__enter__()
        return self

    def __exit__(self, kind: t.Any, error: BaseException | None, trace: t.Any) -> bool:
        if self._scope is not None:
            return self._scope.__exit__(kind, error, trace)
        if self._timer is not None:
            self._timer.cancel()
        task, self._task = self._task, None  # from here on, `trigger` does nothing
        if task is None or not self.triggered:
            return False
        task.uncancel()
        return isinstance(error, asyncio.CancelledError)


def is_being_cancelled() -> bool:
    """Whether a cancellation that was raised here was meant for the task that runs here.

    On asyncio, anybody may raise one; whoever awaits a task that was cancelled gets one, too.
    """
    task = None if _on_trio() else asyncio.current_task()
    return task is None or task.cancelling() > 0


def _on_trio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def on_event_loop() -> bool:
    """Whether the calling thread runs an event loop, which sync code must not keep waiting."""
    trio = sys.modules.get("trio")
    return not _on_trio() or (trio is not None and trio.lowlevel.in_trio_run())
