"""Steps of the pipeline that an app's subclass or instance may override."""

from __future__ import annotations

import typing as t
from functools import partial

from blinker import Signal

from ..ctx import AppContext
from ..drivers import Driver

#: The methods of `Flask` that are steps of the pipeline or decide how handlers are called.
OVERRIDABLE = frozenset(
    {
        "async_to_sync",
        "dispatch_request",
        "do_teardown_appcontext",
        "do_teardown_request",
        "ensure_sync",
        "finalize_request",
        "full_dispatch_request",
        "handle_exception",
        "handle_http_exception",
        "handle_user_exception",
        "log_exception",
        "make_default_options_response",
        "make_response",
        "preprocess_request",
        "process_response",
        "raise_routing_exception",
    }
)


def find_overridden(app: t.Any, own: t.Mapping[str, t.Any]) -> frozenset[str]:
    """Return the steps that `app` has of its own, on the instance or in its class.

    :param own: the steps' original methods, by name.
    """
    kind = type(app)
    return frozenset(
        name for name in OVERRIDABLE if name in vars(app) or getattr(kind, name) is not own[name]
    )


def step(
    ctx: AppContext,
    name: str,
    own: t.Callable[..., t.Coroutine[t.Any, t.Any, t.Any]],
    handling: BaseException | None = None,
) -> t.Callable[..., t.Coroutine[t.Any, t.Any, t.Any]]:
    """Return the step `own`, or what runs the app's method `name` where it is overridden.

    Either takes the context, the driver and the step's own arguments. Overrides are written for
    requests and responses: for a websocket the step is its own.

    :param handling: the error that the step handles, if any.
    """
    if name in ctx.app._overridden and ctx.websocket is None:
        return partial(_run_override, name, handling)
    return own


async def _run_override(
    name: str, handling: BaseException | None, ctx: AppContext, driver: Driver, *args: t.Any
) -> t.Any:
    method = getattr(ctx.app, name)
    if handling is not None:
        return await driver.call_handling(handling, method, *args)
    return await driver.call(method, *args)


async def notify(signal: Signal, ctx: AppContext, driver: Driver, **values: t.Any) -> None:
    """Send a signal, where anybody listens."""
    if signal.receivers:
        app = ctx.app
        await driver.call(signal.send, app, _async_wrapper=app.ensure_sync, **values)
