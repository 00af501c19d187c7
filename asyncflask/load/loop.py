"""The event loop of a client, and errors that come out of its task groups."""

from __future__ import annotations

import importlib.util
import typing as t
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio
import click

T = t.TypeVar("T")


def run_on_loop(function: Callable[..., Awaitable[T]], *args: t.Any) -> T:
    """Run a coroutine function on uvloop where there is one (not on Windows), else on asyncio."""
    options = {"use_uvloop": importlib.util.find_spec("uvloop") is not None}
    return anyio.run(function, *args, backend="asyncio", backend_options=options)


@contextmanager
def ungrouped() -> Iterator[None]:
    """Raise what a task group has to tell the user by itself, not as one of a group."""
    try:
        yield
    except BaseExceptionGroup as group:
        for error in _members(group):
            if isinstance(error, click.ClickException):
                raise error from None
        raise


def _members(group: BaseExceptionGroup[t.Any]) -> Iterator[BaseException]:
    for error in group.exceptions:
        yield from _members(error) if isinstance(error, BaseExceptionGroup) else (error,)
