"""Drivers: how the one pipeline calls a handler, on the event loop or in a worker thread.

The pipeline is written once, as coroutines, and says ``await driver.call(handler, ...)``:

- `LoopDriver`, on the event loop: an ``async def`` is awaited, a plain function goes to the
  request's lane.
- `ThreadDriver`, in a worker's, a WSGI server's or a test's thread: a plain function is simply
  called, an ``async def`` goes through the portal to a loop. Nothing it awaits ever suspends, so
  the pipeline is run by `drive` and needs no loop of its own.
"""

from __future__ import annotations

import inspect
import types
import typing as t
from functools import partial

from . import _current, budgets, pools, workers

T = t.TypeVar("T")


class SyncHost(t.Protocol):
    """What the thread driver needs of the app."""

    def ensure_sync(self, func: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        """Make a handler of either kind callable from sync code."""

    def async_to_sync(
        self, func: t.Callable[..., t.Coroutine[t.Any, t.Any, t.Any]]
    ) -> t.Callable[..., t.Any]:
        """Make a coroutine function callable from sync code."""


class PoolHost(t.Protocol):
    """What the loop driver needs of the app."""

    def _pool(self, kind: str = budgets.HANDLERS) -> pools.Pool: ...


class Driver(t.Protocol):
    """Calls handlers."""

    def call(
        self, func: t.Callable[..., t.Any], /, *args: t.Any, **kwargs: t.Any
    ) -> t.Coroutine[t.Any, t.Any, t.Any]:
        """Return what, awaited, calls a handler of either kind and awaits its awaitable result.

        To be awaited at once: a handler that is a coroutine function may have been called by then.
        """

    async def call_handling(
        self, error: BaseException, func: t.Callable[..., t.Any], /, *args: t.Any
    ) -> t.Any:
        """`call`, where the handler must find `error` in `sys.exc_info`."""

    def shield(self, shielded: bool) -> bool:
        """Say whether all that is called now is called to its end; return what held before."""


def is_async(func: t.Any) -> bool:
    """Whether calling `func` gives a coroutine.

    ``async def`` does, also under `functools.partial`, as a method, or as an object's ``__call__``.
    """
    # PERF: the flag of a plain function decides in 60 ns, where `inspect` takes 600.
    if type(func) is types.FunctionType:
        return bool(
            func.__code__.co_flags & _COROUTINE
            or "_is_coroutine_marker" in func.__dict__  # inspect.markcoroutinefunction
        )
    if inspect.iscoroutinefunction(func):
        return True
    if isinstance(func, partial):
        return is_async(func.func)
    if isinstance(func, (types.FunctionType, types.MethodType, type)):
        return False
    return inspect.iscoroutinefunction(getattr(func, "__call__", None))  # noqa: B004


def stays_on_loop(func: t.Any) -> bool:
    """Whether the loop may call `func` itself: it is ``async def``, or an async generator."""
    if type(func) is types.FunctionType:
        return bool(func.__code__.co_flags & _ON_LOOP or "_is_coroutine_marker" in func.__dict__)
    return is_async(func) or inspect.isasyncgenfunction(func)


_COROUTINE = inspect.CO_COROUTINE
_ON_LOOP = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


#: What views mostly return, and what nobody can await.
_PLAIN = frozenset({str, bytes, dict, list, type(None)})


def is_awaitable(value: t.Any) -> bool:
    """Whether a handler's result has to be awaited."""
    kind = type(value)
    if kind in _PLAIN:  # PERF: 40 ns for what views mostly return, where the rest takes 150
        return False
    return hasattr(kind, "__await__") or (
        kind is types.GeneratorType and (inspect.isawaitable(value))
    )


async def wait_for(value: t.Awaitable[T]) -> T:
    """Await a value: the coroutine that a portal needs."""
    return await value


def drive(pipeline: t.Coroutine[t.Any, t.Any, T]) -> T:
    """Run a pipeline whose driver is a `ThreadDriver` to its end, and return its result.

    :raises RuntimeError: if it suspended, which says that some part of it needs a loop.
    """
    try:
        pipeline.send(None)
    except StopIteration as stop:
        return t.cast("T", stop.value)
    pipeline.close()
    raise RuntimeError(
        f"{pipeline!r} waited for an event loop, but it was run in a thread that has none. Await"
        " it, or run the code that needs it with `app.async_to_sync(...)`."
    )


class ThreadDriver:
    """Calls plain functions here and sends coroutines to a loop."""

    __slots__ = ("_asks", "host")

    def __init__(self, host: SyncHost) -> None:
        self.host = host
        #: Whether the host has a way of its own with functions.
        self._asks = "ensure_sync" in getattr(host, "_overridden", ("ensure_sync",))

    async def call(self, func: t.Callable[..., t.Any], /, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Call `func` in this thread; what it gives to await is awaited on a loop meanwhile.

        PERF: 0.4 us a handler that is a plain function, which nobody is asked about.
        """
        if self._asks or type(func) is not types.FunctionType or is_async(func):
            func = self.host.ensure_sync(func)
        return self.settled(func(*args, **kwargs))

    def settled(self, result: t.Any) -> t.Any:
        """Return what a plain function returned; what is to be awaited is, on a loop."""
        if type(result) in _PLAIN or not is_awaitable(result):
            return result
        return self.host.async_to_sync(wait_for)(result)

    async def call_handling(
        self, error: BaseException, func: t.Callable[..., t.Any], /, *args: t.Any
    ) -> t.Any:
        """`call`: this thread is handling `error` already."""
        return await self.call(func, *args)

    def shield(self, shielded: bool) -> bool:
        """Let nothing interrupt what is called now; return what held before."""
        lane = workers.current()
        return False if lane is None else lane.shield(shielded)


class LoopDriver:
    """Awaits coroutines here and sends plain functions to the request's lane.

    :param host: the app.
    :param lane: the lane; made when the first plain function needs it. `close` it in the end.
    """

    budget = budgets.HANDLERS

    def __init__(self, host: PoolHost, lane: workers.Lane | None = None) -> None:
        self.host = host
        self.lane = lane

    def open_lane(self, held: bool = True) -> workers.Lane:
        """Return the lane, which the context then knows too.

        :param held: whether a lane that is made now keeps its thread until `close`.
        """
        if self.lane is None:
            waiting = workers.waiting()
            if waiting is not None:
                return waiting  # NOTE: not kept: it lends its thread while it waits, no longer
            self.lane = workers.Lane(self.host._pool(self.budget), held=held)
            ctx = _current.context.get(None)
            if ctx is not None:
                ctx._lane = self.lane
        return self.lane

    def call(
        self, func: t.Callable[..., t.Any], /, *args: t.Any, **kwargs: t.Any
    ) -> t.Coroutine[t.Any, t.Any, t.Any]:
        """Return the coroutine of `func`, or one that has the lane call it.

        PERF: 0.4 us a handler, as no coroutine of our own is around an ``async def`` one.
        """
        if type(func) is types.FunctionType and func.__code__.co_flags & _COROUTINE:
            return t.cast("t.Coroutine[t.Any, t.Any, t.Any]", func(*args, **kwargs))
        return self._call(func, *args, **kwargs)

    async def _call(self, func: t.Callable[..., t.Any], /, *args: t.Any, **kwargs: t.Any) -> t.Any:
        if stays_on_loop(func):
            result = func(*args, **kwargs)
            if type(result) is types.CoroutineType:
                return await result
        else:
            result = await self.open_lane().run(partial(func, *args, **kwargs))
        if is_awaitable(result):
            result = await result
        return result

    async def call_handling(
        self, error: BaseException, func: t.Callable[..., t.Any], /, *args: t.Any
    ) -> t.Any:
        """`call`, and raise `error` around `func` where that is another thread's work."""
        if stays_on_loop(func):
            return await self.call(func, *args)
        return await self.call(_call_handling, error, func, *args)

    def shield(self, shielded: bool) -> bool:
        """Let nothing interrupt what is called now, and no slow view delay it."""
        self.budget = budgets.TEARDOWN if shielded else budgets.HANDLERS
        return False if self.lane is None else self.lane.shield(shielded)

    def close(self) -> None:
        """Let the lane's thread go."""
        if self.lane is not None:
            self.lane.release()


def _call_handling(error: BaseException, func: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
    try:
        raise error
    except BaseException:
        return func(*args)
    finally:
        del error, args  # NOTE: the error's traceback refers to this frame: a circle
