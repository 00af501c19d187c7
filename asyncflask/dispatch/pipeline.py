"""The pipeline: from a context to a response, and the teardown after it.

``begin -> full dispatch (preprocess -> dispatch -> errors) -> finalize (process) -> end``

A websocket goes the same way: its handler is the view, which mostly returns None, and then there is
no response. Which hooks are run is for the context's `kind` to say.

Each step is a coroutine that takes the context and a driver. A step whose method a user's
subclass or instance of the app overrides is run by calling that method; so extensions that wrap
``app.handle_user_exception`` and the like work, and what they call through to is the step again.

The order of callbacks is Flask's: the app's before the blueprints' on the way in, blueprints
innermost first on the way out, each list reversed on the way out.
"""

from __future__ import annotations

import typing as t

from werkzeug.exceptions import InternalServerError

from ..ctx import AppContext
from ..drivers import Driver
from ..signals import appcontext_pushed
from . import errors
from .guard import guarded, is_guarded
from .returns import Plain, as_plain, checked_answer, has_session_cookie, make_response
from .steps import notify, step
from .teardown import finish

#: Gives what a view returned, or raises what it raised.
Dispatched = t.Callable[[], t.Any]


async def begin(ctx: AppContext, driver: Driver) -> None:
    """Announce the context; for a request, open its session and match its URL."""
    if ctx._shared is None:
        await notify(appcontext_pushed, ctx, driver)
    if not ctx.has_request:
        return
    interface = ctx.app.session_interface
    # PERF: the signed cookie is opened on first access; the other interfaces may do I/O.
    if ctx._opened_session is None and not ctx.app._session_is_lazy:
        session = await driver.call(interface.open_session, ctx.app, ctx.request)
        ctx._session = interface.make_null_session(ctx.app) if session is None else session
    if not ctx.matched:
        ctx.match()


def needs_begin(ctx: AppContext) -> bool:
    """Whether the beginning of a request is more than matching its URL."""
    return bool(appcontext_pushed.receivers) or not ctx.app._session_is_lazy


def begins_with_view(ctx: AppContext) -> bool:
    """Whether nothing comes before the view of what was matched."""
    app, kind = ctx.app, ctx.kind
    return not (
        needs_begin(ctx)
        or kind.started.receivers
        or getattr(app, kind.before)
        or app.url_value_preprocessors
        or ctx.request.routing_exception is not None
        or is_guarded(ctx)
    )


async def respond(ctx: AppContext, driver: Driver, dispatched: Dispatched | None = None) -> t.Any:
    """Handle the request; what nothing handles becomes a 500, or is raised if it propagates.

    :param dispatched: gives what the view returned, or raises what it raised, if that is known.
    """
    try:
        if dispatched is not None:
            response = await full_dispatch(ctx, driver, dispatched)
        else:
            if needs_begin(ctx):
                await begin(ctx, driver)
            elif not ctx.matched:
                ctx.match()
            response = await step(ctx, "full_dispatch_request", full_dispatch)(ctx, driver)
    except Exception as error:
        ctx.error = error
        if ctx.answered is not None or ctx.client_left:
            raise
        response = await step(ctx, "handle_exception", handle_exception, error)(ctx, driver, error)
    return response


async def full_dispatch(
    ctx: AppContext, driver: Driver, dispatched: Dispatched | None = None
) -> t.Any:
    """Preprocess, dispatch and finalize, with errors given to their handlers."""
    app = ctx.app
    if not app._got_first_request:
        app._note_first_request()
    try:
        if dispatched is not None:
            value = dispatched()
        else:
            handle = _preprocess_and_dispatch
            guards = is_guarded(ctx)
            value = await (guarded(ctx, driver, handle) if guards else handle(ctx, driver))
        if ctx.answered is not None:
            return checked_answer(ctx, value)
        if ctx.is_finalized:
            return value
    except Exception as error:
        if ctx.answered is not None or ctx.client_left or ctx.is_finalized:
            raise  # there is nothing that could be answered any more, or a response already
        value = await step(ctx, "handle_user_exception", errors.handle_user, error)(
            ctx, driver, error
        )
    plain = as_plain(ctx, value)
    if plain is not None:
        return plain
    try:
        return await step(ctx, "finalize_request", finalize)(ctx, driver, value)
    finally:
        del value  # it may be the error in whose traceback this frame is: no circle


async def _preprocess_and_dispatch(ctx: AppContext, driver: Driver) -> t.Any:
    app = ctx.app
    started, before = ctx.kind.started, getattr(app, ctx.kind.before)
    if started.receivers:
        await notify(started, ctx, driver)
    if before or app.url_value_preprocessors or app._overridden:
        value = await step(ctx, "preprocess_request", preprocess)(ctx, driver)
        if value is not None:
            return value
    return await step(ctx, "dispatch_request", dispatch)(ctx, driver)


async def handle_exception(ctx: AppContext, driver: Driver, error: Exception) -> t.Any:
    """Answer what nothing handled: raised again if it propagates, else logged and a 500.

    The handler of 500, if any, gets an `InternalServerError` with `original_exception`.

    :raises Exception: `error` itself, where `PROPAGATE_EXCEPTIONS` holds.
    """
    app = ctx.app
    await notify(ctx.kind.failed, ctx, driver, exception=error)
    if errors.propagates(app):
        raise error
    info = (type(error), error, error.__traceback__)
    await step(ctx, "log_exception", _log, error)(ctx, driver, info)
    server_error: t.Any = InternalServerError(original_exception=error)
    handler = app._find_error_handler(server_error, ctx.request.blueprints)
    if handler is not None:
        server_error = await driver.call_handling(error, handler, server_error)
    return await step(ctx, "finalize_request", finalize)(ctx, driver, server_error, True)


async def _log(ctx: AppContext, driver: Driver, info: t.Any) -> None:
    ctx.app.log_exception(info)


async def preprocess(ctx: AppContext, driver: Driver) -> t.Any:
    """Run the URL value preprocessors and the before-request functions.

    :return: the first value that such a function returns, which ends the preprocessing.
    """
    app, request = ctx.app, ctx.request
    processors, before = app.url_value_preprocessors, getattr(app, ctx.kind.before)
    names = (None, *reversed(request.blueprints))
    if processors:
        for name in names:
            for func in processors.get(name, ()):
                await driver.call(func, request.endpoint, request.view_args)
    if before:
        for name in names:
            for func in before.get(name, ()):
                value = await driver.call(func)
                if value is not None:
                    return value
    return None


async def dispatch(ctx: AppContext, driver: Driver) -> t.Any:
    """Call the view, or answer OPTIONS, or raise what matching raised."""
    app, request = ctx.app, ctx.request
    if request.routing_exception is not None:
        app.raise_routing_exception(request)
    rule = request.url_rule
    if request.method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
        return app.make_default_options_response()
    return await driver.call(app.view_functions[rule.endpoint], **request.view_args)  # type: ignore[union-attr,arg-type]


async def finalize(
    ctx: AppContext, driver: Driver, value: t.Any, from_error_handler: bool = False
) -> t.Any:
    """Make a response of a view's value and process it.

    :param from_error_handler: log errors of the processing instead of raising them.
    """
    response = value
    if value is not None or ctx.websocket is None:
        response = await step(ctx, "make_response", make_response)(ctx, driver, value)
    try:
        response = await step(ctx, "process_response", process)(ctx, driver, response)
        finished = ctx.kind.finished
        if finished.receivers:
            await notify(finished, ctx, driver, response=response)
    except Exception:
        if not from_error_handler:
            raise
        ctx.app.logger.exception(
            "An after-request function failed while the response to an error was processed."
        )
    return response


async def process(ctx: AppContext, driver: Driver, response: t.Any) -> t.Any:
    """Run the after-request functions, then save the session.

    :param response: None where a websocket's handler is done.
    """
    registered = getattr(ctx.app, ctx.kind.after)
    for func in ctx.after_functions or ():
        response = await driver.call(func, response)
    if registered:
        for name in (*ctx.request.blueprints, None):
            for func in reversed(registered.get(name, ())):
                response = await driver.call(func, response)
    if response is not None:
        await save_session(ctx, driver, response)
    return response


async def save_session(ctx: AppContext, driver: Driver, response: t.Any) -> None:
    """Save the session, unless nothing can have changed."""
    app = ctx.app
    interface = app.session_interface
    if app._session_is_lazy:
        if ctx._opened_session is None and not has_session_cookie(ctx):
            return  # never asked for, and there is none to refresh
        if not interface.is_null_session(ctx._session):
            interface.save_session(app, ctx._session, response)
    elif not interface.is_null_session(ctx._session):
        await driver.call(interface.save_session, app, ctx._session, response)


def holds_context(response: t.Any) -> bool:
    """Whether the response's body is still to be made, so that the context must live on.

    A file that is passed through needs no context: like a finished body, it is sent after the
    teardown, as under WSGI.
    """
    if response is None or type(response) is Plain:
        return False
    if getattr(response, "asgi_app", None) is not None:
        return True
    return response.is_streamed and not response.direct_passthrough


async def complete(ctx: AppContext, driver: Driver, dispatched: Dispatched | None = None) -> t.Any:
    """Handle the request and, unless its response is streamed, tear its context down.

    :param dispatched: as for `respond`.
    :return: the response; or, if the server's side allows for it, a `returns.Plain` one.
    """
    try:
        response = await respond(ctx, driver, dispatched)
    except BaseException as error:
        await finish(ctx, driver, error)
        raise
    if not holds_context(response):
        await finish(ctx, driver, ctx.error)
    return response
