"""One background task: how it is run, run again, and ended.

States: waiting (to be started) -> running -> ended; or, with a restart policy, running -> pausing
-> running. Whatever it raises is signalled and handed to `Flask.handle_background_exception`.
"""

from __future__ import annotations

import time
import typing as t
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from functools import partial

import anyio

from . import _current, budgets, workers
from .dispatch.outside import Outside
from .dispatch.steps import notify
from .drivers import LoopDriver, is_awaitable, stays_on_loop
from .exceptions import LoopCancelled
from .loops import Loop, is_being_cancelled
from .signals import got_background_exception

Restart = t.Literal["never", "on-error", "always"]
Status = t.Literal["waiting", "running", "pausing", "ended"]

_this: ContextVar[BackgroundTask] = ContextVar("asyncflask.background_task")


def detached_context() -> Context:
    """Return a copy of the context variables for a task that goes on by itself.

    It belongs to no request, and no thread waits for it.
    """
    context = copy_context()
    context.run(_detach)
    return context


def _detach() -> None:
    workers.leave_lane()
    _current.context.set(None)


class BackgroundTask:
    """One background task, as `Flask.background_tasks` shows it.

    :param app: the app.
    :param func: the function, ``def`` or ``async def``, that takes no arguments any more.
    :param name: what the log and health views call it.
    :param restart: when it is run again after it has ended; None for a task that has an end.
    """

    def __init__(
        self, app: t.Any, func: Callable[[], t.Any], name: str, restart: Restart | None = None
    ) -> None:
        self._app, self._func = app, func
        self.name, self.restart = name, restart
        #: What it does: "waiting" to be started, "running", "pausing" before it is run again, or
        #: it has "ended".
        self.status: Status = "waiting"
        #: How often it was run again.
        self.restarts = 0
        #: What it has raised last, as text; None if it has not.
        self.last_error: str | None = None
        self.dropped = False  # it is told to end before its own end
        self.key: t.Any = None  # of the event loop that it runs on
        self.ended: anyio.Event | None = None  # set at its end, if anybody waits for that
        self._cancel: Callable[[], t.Any] | None = None
        self._job: workers.Job | None = None  # its function, while a thread runs it

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.status}>"

    @property
    def is_lasting(self) -> bool:
        """Whether it goes on for as long as the app is served."""
        return self.restart is not None

    def start(self, loop: Loop, context: Context, done: Callable[[BackgroundTask], None]) -> None:
        """Run it; on the loop.

        :param context: the context variables that it begins with.
        :param done: called on the loop when it has ended.
        """
        if self.dropped:
            self._end(done, None, None)
            return
        self.status = "running"
        self._cancel = loop.spawn(self._run, context, partial(self._end, done))

    def drop(self) -> None:
        """Cancel it; on its loop."""
        self.dropped = True
        if self._cancel is not None:
            self._cancel()

    def abandon(self) -> None:
        """Wait no longer for the thread that runs its function; on its loop."""
        if self._job is not None:
            self._job.abandon()

    def _end(
        self, done: Callable[[BackgroundTask], None], result: t.Any, error: BaseException | None
    ) -> None:
        self.status = "ended"
        if error is not None and not self.dropped:  # its event loop ends, and with it all its tasks
            self._app.logger.error(f"The background task {self.name!r} was dropped: {error}")
        if self.ended is not None:
            self.ended.set()
        done(self)

    async def _run(self) -> None:
        _this.set(self)
        config = self._app.config
        first, longest = config["BACKGROUND_RESTART_DELAY"], config["BACKGROUND_RESTART_MAX_DELAY"]
        delay = first
        while True:
            began = time.monotonic()
            failed = await self._run_once()
            if self.dropped or not self._goes_on(failed):
                return
            if not failed or time.monotonic() - began > longest:
                delay = first
            if failed:
                self._app.logger.warning(
                    f"The background task {self.name!r} is run again in {delay:g} s."
                )
            self.status = "pausing"
            await anyio.sleep(delay)
            delay = min(2 * delay, longest) if failed else first
            self.restarts += 1
            self.status = "running"

    def _goes_on(self, failed: bool) -> bool:
        return self.restart == "always" or (self.restart == "on-error" and failed)

    async def _run_once(self) -> bool:
        """Run the function in a context of the app; return whether it has failed."""
        block = Outside(self._app, budgets.BACKGROUND)
        failed = False
        try:
            async with block as driver:
                try:
                    await self._call(driver)
                except BaseException as error:
                    if self._is_over(error):
                        raise
                    failed = True
                    block.error = error
                    await self._report(driver, block, error)
        except BaseException as error:
            if self._is_over(error):
                raise
            failed = True
            self._app.logger.error(
                f"The end of the background task {self.name!r} failed.", exc_info=error
            )
        return failed

    def _is_over(self, error: BaseException) -> bool:
        """Whether it was made to end, by us or by who ends the event loop."""
        cancelled = isinstance(error, (anyio.get_cancelled_exc_class(), LoopCancelled))
        return cancelled and (self.dropped or is_being_cancelled())

    async def _call(self, driver: LoopDriver) -> None:
        if stays_on_loop(self._func):
            await driver.call(self._func)
            return
        self._job = driver.open_lane().start(self._func)
        try:
            result = await self._job.outcome()
        finally:
            self._job = None
        if is_awaitable(result):
            await result

    async def _report(self, driver: LoopDriver, block: Outside, error: BaseException) -> None:
        self.last_error = f"{type(error).__name__}: {error}"
        try:
            await notify(got_background_exception, block.ctx, driver, exception=error)
        finally:
            handle = self._app.handle_background_exception
            await driver.call_handling(error, handle, error)


def current_name() -> str | None:
    """Return the name of the background task that runs here."""
    task = _this.get(None)
    return None if task is None else task.name
