"""Tasks that stand on their own.

An anyio task group must be left by the task that entered it, in the reverse order of entering.
A client cannot promise that: a pytest fixture is often set up in one task and torn down in
another, and responses are closed in any order. So what the client runs, the app's lifespan and
each request, runs in a task that belongs to the event loop; cancel scopes stay inside it, and the
client promises to have ended each one before it is closed.
"""

from __future__ import annotations

import asyncio
import sys
import typing as t
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context

import anyio

#: Keeps running tasks alive: asyncio itself refers to them weakly.
_running: set[DetachedTask] = set()


class DetachedTask:
    """Runs `func` in a task of the event loop, starting at once, in a copy of this context.

    :param func: what to run. An exception that it raises is kept in `error`.
    :param name: the task's name, for debuggers.
    """

    def __init__(self, func: Callable[[], Awaitable[None]], name: str) -> None:
        self.error: BaseException | None = None
        self._func = func
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        _running.add(self)
        _spawn(self._run, name)

    @property
    def ended(self) -> bool:
        """Whether the task is over."""
        return self._ended.is_set()

    def failure(self) -> BaseException | None:
        """Return what the task raised, once it is over; in words, if others cancelled it."""
        if not isinstance(self.error, anyio.get_cancelled_exc_class()):
            return self.error
        cancelled = RuntimeError("The app was cancelled, and not by this client.")
        cancelled.__cause__ = self.error
        return cancelled

    async def _run(self) -> None:
        try:
            with self._scope:
                await self._func()
        except anyio.get_cancelled_exc_class() as error:
            self.error = error  # not by `stop`: the event loop is shutting down
            raise
        except BaseException as error:
            self.error = error
        finally:
            _running.discard(self)
            self._ended.set()

    async def wait(self) -> None:
        """Wait until the task is over."""
        await self._ended.wait()

    def cancel(self) -> None:
        """Cancel the task, without waiting for its end."""
        self._scope.cancel()

    async def stop(self, grace: float = 0) -> None:
        """End the task and wait until it is over, even if the caller is being cancelled.

        :param grace: seconds that it gets to end by itself before it is cancelled.
        """
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(grace):
                await self.wait()
            self._scope.cancel()
            await self.wait()


def _spawn(func: Callable[[], Coroutine[t.Any, t.Any, None]], name: str) -> None:
    trio = sys.modules.get("trio")  # if it is not imported, it is not what runs us
    if trio is not None and trio.lowlevel.in_trio_task():
        trio.lowlevel.spawn_system_task(func, name=name, context=copy_context())
    else:
        asyncio.get_running_loop().create_task(func(), name=name)
