"""Callbacks that sync code needs the result of at once, though they may be ``async def``.

`url_for` calls ``url_defaults`` functions, `render_template` calls template filters: where they are
called from, nothing can be awaited. What happens to an ``async def`` there:

================================== ============================================================
called from                        it runs
================================== ============================================================
a plain handler (worker thread)    on the server's event loop, while the thread waits
no request, or one over WSGI       on the process's background loop, while the caller waits
the event loop, in a request       on the spot; if it has to wait for anything, that is an error
================================== ============================================================
"""

from __future__ import annotations

import typing as t

from . import _current
from .drivers import SyncHost, is_async, is_awaitable, wait_for
from .loops import on_event_loop


def on_servers_loop() -> bool:
    """Whether the caller handles an ASGI request on its event loop, which must not be kept."""
    ctx = _current.request_context()
    return ctx is not None and ctx.request.scope is not None and on_event_loop()


def call_at_once(
    app: SyncHost, func: t.Callable[..., t.Any], /, *args: t.Any, **kwargs: t.Any
) -> t.Any:
    """Call a callback of either kind and return its result.

    :raises RuntimeError: if it has to wait and cannot.
    """
    here = is_async(func) and on_servers_loop()
    result = (func if here else app.ensure_sync(func))(*args, **kwargs)
    return finish_at_once(app, func, result) if is_awaitable(result) else result


def finish_at_once(app: SyncHost, func: t.Any, awaitable: t.Awaitable[t.Any]) -> t.Any:
    """Return what an awaitable gives.

    :param func: what it came from, for the message.
    :raises RuntimeError: if it has to wait and cannot.
    """
    if not on_servers_loop():
        return app.async_to_sync(wait_for)(awaitable)
    coroutine = wait_for(awaitable)
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    name = getattr(func, "__qualname__", None) or repr(func)
    raise RuntimeError(
        f"{name} had to wait, but plain code called it on the event loop, where nothing can wait"
        " for it. If a template calls it, use `await render_template_async(...)`. Else make it a"
        " plain function, or the view that needs it: a `def` view runs in a thread, which can wait."
    )
