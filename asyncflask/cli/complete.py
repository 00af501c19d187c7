"""Running a coroutine to its end from synchronous command code."""

from __future__ import annotations

import functools
import typing as t
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

import anyio
import anyio.from_thread
import click

from ..loops import on_event_loop

R = t.TypeVar("R")


async def _wait_for(awaitable: Awaitable[R], command: click.Context | None) -> R:
    # click finds the current command by thread, which may be another one here.
    with nullcontext() if command is None else command.scope(cleanup=False):
        return await awaitable


def complete(awaitable: Awaitable[R]) -> R:
    """Run `awaitable` to its end and return its result.

    It runs on an event loop of its own, in this thread, so that Ctrl+C cancels it and its
    ``finally`` blocks run. Where this thread's loop is running already (a CLI runner in an async
    test), it runs in another thread. Context variables are seen in both.
    """
    command = click.get_current_context(silent=True)
    if not on_event_loop():
        return anyio.run(_wait_for, awaitable, command)
    with anyio.from_thread.start_blocking_portal() as portal:
        return portal.call(_wait_for, awaitable, command)


def completing(f: Callable[..., t.Any]) -> Callable[..., t.Any]:
    """Wrap `f` so that an awaitable which it returns is run to its end."""

    @functools.wraps(f)
    def call(*args: t.Any, **kwargs: t.Any) -> t.Any:
        result = f(*args, **kwargs)
        return complete(result) if isinstance(result, Awaitable) else result

    return call
