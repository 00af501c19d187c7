"""The server's `receive` and `send`, run in the server's own context variables.

Servers do more in these calls than they seem to: uvicorn starts the next pipelined request from
within the last `send`, and registers the socket's reader anew from within `receive`; both take the
context variables that are set there along, and the next request on the connection would begin
with what a handler of this one had set. So each step of such a call runs in the context as it was
when the connection's call began, which keeps what an outer middleware or a tracer has set.
"""

from __future__ import annotations

import typing as t
from contextvars import Context
from types import CoroutineType, coroutine


class InContext:
    """A coroutine function that runs in a given context, whatever is current where it is awaited.

    PERF: 0.4 us a call that does not suspend; no task is made.
    """

    __slots__ = ("_context", "_func")

    def __init__(self, func: t.Callable[..., t.Awaitable[t.Any]], context: Context) -> None:
        self._func, self._context = func, context

    def __call__(self, *args: t.Any) -> t.Any:
        """Return the awaitable of one call."""
        return called_in(self._context, self._func, *args)


def begun_in(context: Context, coroutine: t.Coroutine[t.Any, t.Any, None]) -> Rest | None:
    """Take a coroutine's first step in a context; return what is left to be awaited, if anything.

    PERF: most servers' calls never suspend; so begun, a call costs 0.3 us, and awaited with
    `called_in` 0.8 us.
    """
    try:
        waits_for = context.run(coroutine.send, None)
    except StopIteration:
        return None
    return Rest(context, coroutine, waits_for)


#: Instead of what a call waits for, if it is over: ``context.run(next, put_into(...), OVER)``.
OVER: t.Any = object()


@coroutine
def put_into(got: list[t.Any], func: t.Callable[[], t.Awaitable[t.Any]]) -> t.Any:
    """Call a coroutine function, and put what it gives into a list, besides returning it.

    PERF: who finds it there has no `StopIteration` to catch, which takes 1,400 instructions.
    """
    call = func()
    steps: t.Any = call if type(call) is CoroutineType else call.__await__()
    given = yield from steps
    got.append(given)
    return given


class Rest:
    """The awaitable steps of a coroutine behind its first one, in a context."""

    __slots__ = ("_args",)

    def __init__(self, context: Context, coroutine: t.Any, waits_for: t.Any) -> None:
        self._args = context.run, coroutine, waits_for

    def __await__(self) -> t.Generator[t.Any, t.Any, t.Any]:
        return _the_rest(*self._args)


class Begun:
    """A coroutine that has taken its first step: over by then, or to be awaited.

    It may have entered a cancel scope by then, so that none may be entered around the rest alone.

    :param coroutine: the coroutine.
    """

    __slots__ = ("_coroutine", "_waits_for", "over", "result")

    def __init__(self, coroutine: t.Coroutine[t.Any, t.Any, t.Any]) -> None:
        self._coroutine = coroutine
        self.over, self.result, self._waits_for = False, None, None
        try:
            self._waits_for = coroutine.send(None)
        except StopIteration as stop:
            self.over, self.result = True, stop.value

    @property
    def waits(self) -> bool:
        """Whether it waits for something, and not only for its next turn on the loop."""
        waits_for = self._waits_for  # asyncio's futures have the one, trio's traps the other
        return hasattr(waits_for, "_asyncio_future_blocking") or hasattr(waits_for, "abort_func")

    def __await__(self) -> t.Generator[t.Any, t.Any, t.Any]:
        return _the_rest(_run_here, self._coroutine, self._waits_for)


def _run_here(func: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
    return func(*args)


class called_in:
    """The awaitable ``func(*args)``, run in a context whatever is current where it is awaited.

    Its steps are entered and left one by one, so that two may wait side by side.

    :param context: the context variables.
    :param func: a coroutine function.
    """

    __slots__ = ("_args", "_context", "_func")

    def __init__(
        self,
        context: Context,
        func: t.Callable[..., t.Awaitable[t.Any]],
        *args: t.Any,
    ) -> None:
        self._context, self._func, self._args = context, func, args

    def __await__(self) -> t.Generator[t.Any, t.Any, t.Any]:
        run = self._context.run
        steps: t.Any = run(self._func, *self._args).__await__()
        try:  # PERF: most calls never suspend; these cost 0.5 us
            waits_for = run(next, steps)
        except StopIteration as stop:
            return stop.value
        return (yield from _the_rest(run, steps, waits_for))


def _the_rest(
    run: t.Callable[..., t.Any], steps: t.Any, waits_for: t.Any
) -> t.Generator[t.Any, t.Any, t.Any]:
    """Take the steps behind the first one, which waits."""
    while True:
        error: BaseException | None = None
        given: t.Any = None
        try:
            given = yield waits_for
        except GeneratorExit:
            run(steps.close)
            raise
        except BaseException as raised:
            error = raised
        try:
            waits_for = run(steps.send, given) if error is None else run(steps.throw, error)
        except StopIteration as stop:
            return stop.value
        finally:  # NOTE: this frame is in an error's traceback, and trio gives errors: a circle
            del error, given
