"""What becomes of an exception: Flask's lookup of handlers."""

from __future__ import annotations

import typing as t

from werkzeug.exceptions import BadRequestKeyError, HTTPException
from werkzeug.routing import RoutingException

from ..ctx import AppContext
from ..drivers import Driver
from ..exceptions import WebSocketDisconnect
from .steps import step


async def handle_http(ctx: AppContext, driver: Driver, error: HTTPException) -> t.Any:
    """Call the handler of an HTTP error, or let it be its own response."""
    # A proxy exception carries a response, and a routing one is how matching redirects.
    if error.code is None or isinstance(error, RoutingException):
        return error
    handler = ctx.app._find_error_handler(error, ctx.request.blueprints)
    if handler is None:
        return error
    return await driver.call_handling(error, handler, error)


async def handle_user(ctx: AppContext, driver: Driver, error: Exception) -> t.Any:
    """Call the handler of any exception raised while a request is dispatched.

    :raises Exception: `error` itself, if there is no handler.
    """
    app = ctx.app
    if isinstance(error, BadRequestKeyError) and (
        app.debug or app.config["TRAP_BAD_REQUEST_ERRORS"]
    ):
        error.show_exception = True
    if isinstance(error, HTTPException) and not app.trap_http_exception(error):
        return await step(ctx, "handle_http_exception", handle_http, error)(ctx, driver, error)
    handler = app._find_error_handler(error, ctx.request.blueprints)
    if handler is None:
        if isinstance(error, WebSocketDisconnect) and ctx.websocket is not None:
            return None  # the client left: that is how a websocket ends
        try:
            raise error
        finally:
            del error  # this frame is in its traceback: no circle
    return await driver.call_handling(error, handler, error)


def propagates(app: t.Any) -> bool:
    """Whether unhandled exceptions leave the app: `PROPAGATE_EXCEPTIONS`, or testing or debug."""
    configured = app.config["PROPAGATE_EXCEPTIONS"]
    return bool(app.testing or app.debug if configured is None else configured)
