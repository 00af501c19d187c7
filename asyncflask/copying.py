"""Taking the current context along: to a thread, a greenlet, or a task."""

from __future__ import annotations

import typing as t
from functools import update_wrapper

from . import _current, drivers

F = t.TypeVar("F", bound=t.Callable[..., t.Any])


def copy_current_request_context(f: F) -> F:
    """Return `f` wrapped so that it runs in a copy of the current request's context.

    Use it for functions handed to threads, greenlets or tasks. The copy is made here; it shares
    the request, the session and the websocket. An ``async def`` stays one.

    :raises RuntimeError: if no request is being handled.
    """
    ctx = requested("copy_current_request_context").copy()

    if drivers.is_async(f):

        async def task(*args: t.Any, **kwargs: t.Any) -> t.Any:
            async with ctx.copy():
                return await f(*args, **kwargs)

        return t.cast("F", update_wrapper(task, f))

    def wrapper(*args: t.Any, **kwargs: t.Any) -> t.Any:
        with ctx.copy() as own:
            return own.app.ensure_sync(f)(*args, **kwargs)

    return t.cast("F", update_wrapper(wrapper, f))


def copy_current_websocket_context(f: F) -> F:
    """Do the same in a websocket's handler, and nowhere else.

    :raises RuntimeError: if no websocket is being served.
    """
    _current.require_websocket_context()
    return copy_current_request_context(f)


def requested(name: str) -> t.Any:
    """Return the current request's context, for the function of this name.

    :raises RuntimeError: if no request is being handled.
    """
    ctx = _current.request_context()
    if ctx is None:
        raise RuntimeError(
            f"{name!r} can only be used when a request context is active, such as in a view"
            " function."
        )
    return ctx
