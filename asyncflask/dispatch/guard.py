"""What ends a view's work before its time: its client that leaves, or its route's `timeout`.

A coroutine is cancelled. A thread cannot be: what it waits for on the event loop is, and it is
waited for, since the teardown must not overtake it. Either way the client's leaving ends the
request, with nothing to be sent, and the timeout is an error like one that the view raised.

Where a WSGI server's thread does the work, the server's own limits hold, and these do not.
"""

from __future__ import annotations

import threading
import typing as t
from contextvars import Context
from functools import partial

import anyio
from werkzeug.exceptions import ClientDisconnected

from .. import workers
from ..ctx import AppContext
from ..drivers import Driver, LoopDriver
from ..exceptions import LoopCancelled, ViewTimeout
from ..watching import Watched
from ..workers import Lane

Work = t.Callable[[AppContext, Driver], t.Awaitable[t.Any]]
Watcher = t.Callable[[], t.Coroutine[t.Any, t.Any, None]]


def is_guarded(ctx: AppContext) -> bool:
    """Whether the route has something that may end its view's work."""
    return getattr(ctx.request.url_rule, "is_guarded", False)


async def guarded(ctx: AppContext, driver: Driver, work: Work) -> t.Any:
    """Do a request's work, as long as its route allows.

    :raises ViewTimeout: (503) if it took too long.
    :raises ClientDisconnected: if the client left; nothing is to be sent then.
    """
    if isinstance(driver, LoopDriver):
        guard: _Guard = _Guard(ctx)
        value = await _on_loop(guard, ctx, driver, work)
    else:
        lane = workers.current()
        if lane is None:
            return await work(ctx, driver)
        guard = _ThreadGuard(ctx, lane)
        value = await _in_thread(guard, ctx, driver, work)
    if guard.reason is None:
        return value
    if ctx._lane is not None:
        ctx._lane.resume()
    ctx.client_left = isinstance(guard.reason, ClientDisconnected)
    raise guard.reason


async def _on_loop(guard: _Guard, ctx: AppContext, driver: Driver, work: Work) -> t.Any:
    async with Watched() as block:
        guard.interrupt = block.end
        for watcher in guard.watchers():
            block.beside(watcher)
        return await work(ctx, driver)


async def _in_thread(guard: _ThreadGuard, ctx: AppContext, driver: Driver, work: Work) -> t.Any:
    guard.begin()
    try:
        return await work(ctx, driver)
    except LoopCancelled:
        if guard.reason is None:
            raise
    finally:
        guard.finish()


class _Guard:
    """Knows why the work on a request is to end, and ends it; on the loop.

    :param ctx: the request's context.
    """

    #: Why it ends; None as long as it does not.
    reason: Exception | None = None

    #: What ends it.
    interrupt: t.Callable[[], t.Any]

    def __init__(self, ctx: AppContext) -> None:
        self.ctx = ctx

    def watchers(self) -> t.Iterator[Watcher]:
        """Return what waits for a reason."""
        rule: t.Any = self.ctx.request.url_rule
        if rule.timeout is not None:
            yield partial(self._expire, rule.timeout)
        body = self.ctx.request.asgi_body
        if rule.cancel_on_disconnect and body is not None:
            yield partial(body.watch, partial(self.end, ClientDisconnected))

    async def _expire(self, seconds: float) -> None:
        try:
            await anyio.sleep(seconds)
        except anyio.get_cancelled_exc_class():
            return  # NOTE: nothing follows; its traceback would keep this request until a gc
        self.end(ViewTimeout)

    def end(self, kind: type[Exception]) -> None:
        """End the work, unless there is a reason already, or the response has begun."""
        if self.reason is None and self.ctx.answered is None:
            self.reason = kind()
            self.interrupt()


class _ThreadGuard(_Guard):
    """A guard of what runs in a lane's thread.

    :param lane: the lane.
    """

    def __init__(self, ctx: AppContext, lane: Lane) -> None:
        super().__init__(ctx)
        self.interrupt, self._lane = lane.interrupt, lane
        self._lock = threading.Lock()
        self._over = False
        self._cancel: t.Callable[[], t.Any] = bool

    # In the thread.

    def begin(self) -> None:
        """Have the loop watch."""
        self._lane.pool.loop.call_soon(self._spawn)

    def finish(self) -> None:
        """End nothing from here on."""
        with self._lock:
            self._over = True
        if self.reason is not None:
            self._lane.resume()
        self._lane.pool.loop.call_soon(self._stop)

    # On the loop.

    def _spawn(self) -> None:
        if not self._over:
            self._cancel = self._lane.pool.loop.spawn(self._watch, Context(), _ignore)

    async def _watch(self) -> None:
        async with anyio.create_task_group() as group:
            for watcher in self.watchers():
                group.start_soon(watcher)

    def end(self, kind: type[Exception]) -> None:
        """End the work, unless it is over."""
        with self._lock:  # NOTE: or what is interrupted would be what follows the work
            if not self._over:
                super().end(kind)

    def _stop(self) -> None:
        self._cancel()


def _ignore(result: t.Any, error: BaseException | None) -> None:
    """Take no notice of how the watching ended."""
