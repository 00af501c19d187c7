"""Running a coroutine to its end from synchronous command code."""

from __future__ import annotations

import functools
import threading
import typing as t
from collections.abc import Awaitable, Callable
from contextvars import copy_context

import anyio
import click

R = t.TypeVar("R")


async def _wait_for(awaitable: Awaitable[R]) -> R:
    return await awaitable


def complete(awaitable: Awaitable[R]) -> R:
    """Run `awaitable` to its end and return its result.

    It runs on an event loop of its own, in this thread, so that Ctrl+C cancels it and its
    ``finally`` blocks run. Where this thread's loop is running already (a CLI runner in an async
    test), it runs in another thread, with the same context variables.
    """
    run = functools.partial(anyio.run, _wait_for, awaitable)
    try:
        anyio.get_cancelled_exc_class()
    except RuntimeError:  # no loop runs in this thread, of whatever library
        return run()
    return _in_thread(run)


def _in_thread(call: Callable[[], R]) -> R:
    outcome: list[R] = []
    failure: list[BaseException] = []
    command = click.get_current_context(silent=True)  # a thread-local: carry it over

    def work() -> None:
        try:
            if command is None:
                outcome.append(call())
            else:
                with command.scope(cleanup=False):
                    outcome.append(call())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=copy_context().run, args=(work,))
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def completing(f: Callable[..., t.Any]) -> Callable[..., t.Any]:
    """Wrap `f` so that an awaitable which it returns is run to its end."""

    @functools.wraps(f)
    def call(*args: t.Any, **kwargs: t.Any) -> t.Any:
        result = f(*args, **kwargs)
        return complete(result) if isinstance(result, Awaitable) else result

    return call
