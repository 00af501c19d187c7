"""Calls in ``async def`` handlers that keep the event loop."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from types import FunctionType

from .finding import Finding, is_foreign, is_library, place_of
from .handlers import Handler, handlers
from .reading import Call, calls_of
from .waits import Wait, wait_of


def check_blocking_calls(app: t.Any) -> Iterator[Finding]:
    """Find calls that wait, in async handlers and in the app's functions that these call."""
    seen: set[FunctionType] = set()
    for handler in handlers(app):
        func = handler.coroutine_function()
        if func is not None:
            yield from _read(handler, func, seen)


def _read(handler: Handler, entry: FunctionType, seen: set[FunctionType]) -> Iterator[Finding]:
    waiting = [entry]
    while waiting:
        func = waiting.pop()
        if func in seen:
            continue
        seen.add(func)
        found: set[Wait] = set()
        for call in calls_of(func):
            wait = None if call.awaited else wait_of(call.callee.names)
            if wait is not None and wait not in found:
                found.add(wait)
                yield _finding(handler, entry, func, call, wait)
            if isinstance(call.callee.value, FunctionType) and _is_users(call.callee.value):
                waiting.append(call.callee.value)


def _finding(
    handler: Handler, entry: FunctionType, func: FunctionType, call: Call, wait: Wait
) -> Finding:
    via = "" if func is entry else f"{func.__qualname__}(), called by "
    what = f"{call.text}() in {via}the async {handler.role} {wait.why}."
    place = place_of(func.__code__, call.line)
    return Finding(wait.level, place, what, f"{wait.instead}.")


def _is_users(func: FunctionType) -> bool:
    """Whether a function is the app's own, and no library's."""
    path = func.__code__.co_filename
    return is_foreign(path) and not is_library(path)
