"""Background tasks: what an app goes on with when nobody waits for it.

A task is started on the event loop of whoever adds it:

================================================ =================================================
added by                                         runs
================================================ =================================================
async code of a request, a hook, another task    on its event loop
sync code of one                                 on the event loop that its thread works for
another thread, while the app is served          on the event loop that serves it
a request under a WSGI server                    on the process's background loop
anybody else: a module, a command                when the app is started, after `before_serving`
================================================ =================================================

In the end the tasks that last are cancelled, since they do not end by themselves, and the others
get `BACKGROUND_TASK_SHUTDOWN_TIMEOUT` to finish. Then they are cancelled, too. Whatever is dropped
is named in the log.
"""

from __future__ import annotations

import atexit
import os
import typing as t
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import Context
from functools import partial

import anyio

from . import _current, portal, workers
from .dispatch.outside import name_of
from .exceptions import QueueFull
from .loops import Loop, on_event_loop, running
from .tasks import BackgroundTask, Restart, detached_context

#: Seconds that a task which was cancelled gets to clean up. What does not heed a cancellation by
#: then never will, and a shutdown has to come to its end.
CANCEL_SECONDS = 1.0

#: Seconds after which a client that was told 503 may try again.
RETRY_SECONDS = 1


class Background:
    """The background tasks of one app.

    :param app: the app.
    """

    _is_registered = False  # for the end of the process

    def __init__(self, app: t.Any) -> None:
        self._app = weakref.ref(app)
        self.lasting: list[tuple[Callable[[], t.Any], str, Restart]] = []
        self._tasks: dict[BackgroundTask, None] = {}
        self._waiting: list[tuple[BackgroundTask, Context]] = []
        self._serving: dict[t.Any, Loop] = {}
        _all.add(self)

    def tasks(self) -> tuple[BackgroundTask, ...]:
        """Return the tasks that have not ended, the oldest first."""
        return (*self._tasks, *(task for task, _ in self._waiting))

    def add(self, func: Callable[[], t.Any]) -> None:
        """Start a task, or have it wait for the app's start.

        :raises QueueFull: if there are `BACKGROUND_TASK_LIMIT` tasks already.
        """
        app = t.cast("t.Any", self._app())
        limit = app.config["BACKGROUND_TASK_LIMIT"]
        if len(self._tasks) + len(self._waiting) >= limit:
            raise QueueFull(
                f"The server has more to do than it can take on (BACKGROUND_TASK_LIMIT={limit}).",
                retry_after=RETRY_SECONDS,
            )
        task, context = BackgroundTask(app, func, name_of(func)), detached_context()
        loop = self._loop()
        if loop is None:
            self._wait(task, context)
        else:
            self._start(task, context, loop)

    def _loop(self) -> Loop | None:
        """Return the event loop for a task that is added here; None if it is to wait."""
        ctx = _current.app_context()
        if on_event_loop():
            here = self._serving.get(running())
            if here is not None or ctx is not None:
                return here or Loop()
        else:
            lane = workers.current()
            if lane is not None:
                return lane.pool.loop
            if not self._serving and ctx is not None and ctx.has_request:
                portal.at_end(self.drain, self._timeout() + CANCEL_SECONDS)
                return portal.background_pool().loop
        return next(reversed(self._serving.values()), None)

    def _start(self, task: BackgroundTask, context: Context, loop: Loop) -> None:
        task.key = loop.key
        self._tasks[task] = None
        start = partial(task.start, loop, context, self._forget)
        if loop.is_running_here():
            start()
            return
        try:
            loop.call_soon(start)
        except RuntimeError:  # the loop has ended in this moment
            self._forget(task)
            t.cast("t.Any", self._app()).logger.error(
                f"The background task {task.name!r} was dropped: its event loop has ended."
            )

    def _forget(self, task: BackgroundTask) -> None:
        self._tasks.pop(task, None)

    def _wait(self, task: BackgroundTask, context: Context) -> None:
        if not self._is_registered:
            self._is_registered = True
            atexit.register(_tell_of_waiting, weakref.ref(self))
        self._waiting.append((task, context))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Take tasks while the app is started, served and shut down on this event loop."""
        loop = Loop()
        self._serving[loop.key] = loop
        try:
            async with self._draining():
                yield
        finally:
            self._serving.pop(loop.key, None)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Run the tasks that have waited for this, and those that last, around a block."""
        loop = self._serving[running()]
        waiting, self._waiting = self._waiting, []
        for task, context in waiting:
            self._start(task, context, loop)
        for func, name, restart in self.lasting:
            task = BackgroundTask(self._app(), func, name, restart)
            self._start(task, detached_context(), loop)
        async with self._draining():
            yield

    @asynccontextmanager
    async def _draining(self) -> AsyncIterator[None]:
        """End the tasks of this event loop after a block."""
        patience = 0.0
        try:
            yield
            patience = self._timeout()
        except Exception:
            patience = self._timeout()
            raise
        finally:
            with anyio.CancelScope(shield=not patience):
                await self.drain(patience)

    def _timeout(self) -> float:
        return float(t.cast("t.Any", self._app()).config["BACKGROUND_TASK_SHUTDOWN_TIMEOUT"])

    async def drain(self, patience: float | None = None) -> None:
        """Wait for the tasks of this event loop to end, and see to it that they do.

        :param patience: seconds to wait before they are cancelled; by default
            `BACKGROUND_TASK_SHUTDOWN_TIMEOUT`.
        """
        tasks = self._here()
        if not tasks:
            return
        patience = self._timeout() if patience is None else patience
        for task in tasks:
            if task.is_lasting:
                task.drop()
        try:
            await self._ends(patience)
        finally:
            if self._here():
                with anyio.CancelScope(shield=True):
                    await self._drop_all(patience)

    async def _drop_all(self, patience: float) -> None:
        log = t.cast("t.Any", self._app()).logger.error
        late = [task for task in self._here() if not task.dropped]
        if late:
            log(
                f"Background tasks are cancelled, which did not end within {patience:g} s"
                f" (BACKGROUND_TASK_SHUTDOWN_TIMEOUT): {_names(late)}."
            )
        for task in late:
            task.drop()
        await self._ends(CANCEL_SECONDS)
        stuck = self._here()
        if stuck:
            log(
                "Background tasks do not heed their cancellation, and will be cut off with the"
                f" process: {_names(stuck)}. A plain function cannot be stopped; one that may take"
                " long can look at `app.shutdown_event.is_set()`."
            )
        for task in stuck:
            task.abandon()

    async def _ends(self, seconds: float) -> None:
        """Wait until the tasks of this event loop have ended, those too that they add."""
        with anyio.move_on_after(seconds):
            while here := self._here():
                for task in here:
                    if task.status != "ended":  # while another one was waited for
                        task.ended = task.ended or anyio.Event()
                        await task.ended.wait()

    def _here(self) -> list[BackgroundTask]:
        key = running()
        return [task for task in [*self._tasks] if task.key is key]

    def forget_all(self) -> None:
        """Begin anew in a forked child, which has none of its parent's event loops."""
        self._tasks.clear()
        self._serving.clear()


def _names(tasks: list[BackgroundTask]) -> str:
    return ", ".join(repr(task.name) for task in tasks)


def _tell_of_waiting(background: weakref.ref[Background]) -> None:
    """At the end of the process: name the tasks that were never started."""
    there = background()
    if there is not None and there._waiting:
        t.cast("t.Any", there._app()).logger.warning(
            "Background tasks were never started, because the app was not served:"
            f" {_names([task for task, _ in there._waiting])}."
        )


_all: weakref.WeakSet[Background] = weakref.WeakSet()


def _forget_all() -> None:
    for background in _all:
        background.forget_all()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
