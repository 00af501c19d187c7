"""The steps of request handling as methods of the app, for subclasses and extensions to override.

Each runs the pipeline's step of the same name for the current request, in the calling thread. Where
one is overridden, on the class or on the instance, the pipeline calls the override in the step's
place (`dispatch.steps`), and what the override calls through to is the step again.
"""

from __future__ import annotations

import sys
import typing as t
from functools import partial

from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, RequestRedirect

from . import _current, portal
from . import typing as ft
from .asgi.body import read_for_loop
from .at_once import call_at_once, finish_at_once, on_servers_loop
from .debughelpers import FormDataRoutingRedirect
from .dispatch import errors, pipeline, returns, teardown
from .drivers import ThreadDriver, drive, is_async, is_awaitable, wait_for
from .sansio.app import App
from .wrappers import Request, Response

_unset: t.Any = object()


class OverridableSteps(App):
    """An app's request handling, step by step."""

    response_class: type[Response] = Response

    def ensure_sync(self, func: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        """Return `func` so that sync code can call it: itself, or wrapped by `async_to_sync`."""
        return self.async_to_sync(func) if is_async(func) else func

    def async_to_sync(
        self, func: t.Callable[..., t.Coroutine[t.Any, t.Any, t.Any]]
    ) -> t.Callable[..., t.Any]:
        """Return a plain function that runs `func` on the server's event loop and waits for it.

        Where no server's loop is waiting (a WSGI server, a script), one loop of the process's own
        is used. Context variables go both ways.
        """
        return partial(portal.call_async, _with_body, func)

    def _call_at_once(
        self, func: t.Callable[..., t.Any], /, *args: t.Any, **kwargs: t.Any
    ) -> t.Any:
        return call_at_once(self, func, *args, **kwargs)

    def _finish_at_once(self, func: t.Any, awaitable: t.Awaitable[t.Any]) -> t.Any:
        return finish_at_once(self, func, awaitable)

    def raise_routing_exception(self, request: Request) -> t.NoReturn:
        """Raise what matching the request's URL raised.

        In debug mode, a redirect that would lose a form's data is raised as an explanation.
        """
        error = request.routing_exception
        loses_form = (
            self.debug
            and isinstance(error, RequestRedirect)
            and error.code not in (307, 308)
            and request.method not in ("GET", "HEAD", "OPTIONS")
        )
        raise FormDataRoutingRedirect(request) if loses_form else t.cast("HTTPException", error)

    def handle_http_exception(self, e: HTTPException) -> HTTPException | ft.ResponseReturnValue:
        """Return what the handler registered for an HTTP error returns, or the error itself."""
        return t.cast("ft.ResponseReturnValue", self._step(errors.handle_http, e))

    def handle_user_exception(self, e: Exception) -> HTTPException | ft.ResponseReturnValue:
        """Return what the handler registered for an exception returns.

        :raises Exception: `e` itself, if there is no handler.
        """
        return t.cast("ft.ResponseReturnValue", self._step(errors.handle_user, e))

    def handle_exception(self, e: Exception) -> Response:
        """Answer an exception that nothing handled: log it and return a 500.

        :raises Exception: `e` itself, where `PROPAGATE_EXCEPTIONS` holds.
        """
        return t.cast("Response", self._step(pipeline.handle_exception, e))

    def dispatch_request(self) -> ft.ResponseReturnValue:
        """Call the view of the current request and return what it returns."""
        return t.cast("ft.ResponseReturnValue", self._step(pipeline.dispatch))

    def full_dispatch_request(self) -> Response:
        """Preprocess, dispatch and finalize the current request."""
        return t.cast("Response", self._step(pipeline.full_dispatch))

    def finalize_request(
        self, rv: ft.ResponseReturnValue | HTTPException, from_error_handler: bool = False
    ) -> Response:
        """Make a response of a view's value and process it.

        :param rv: the value.
        :param from_error_handler: log errors of the processing instead of raising them.
        """
        return t.cast("Response", self._step(pipeline.finalize, rv, from_error_handler))

    def make_default_options_response(self) -> Response:
        """Return the answer to an OPTIONS request whose rule leaves that to the app."""
        response = self.response_class()
        adapter = t.cast("MapAdapter", _current.request_ctx.url_adapter)
        response.allow.update(adapter.allowed_methods())
        return response

    def make_response(self, rv: ft.ResponseReturnValue) -> Response:
        """Make a response of what a view may return.

        str, bytes, a dict or list (JSON), a generator or async generator, a response of any
        class, a WSGI or ASGI application; or a tuple of one of these with a status, with headers,
        or with both.

        :raises TypeError: for anything else.
        """
        return t.cast("Response", returns.to_response(self, self._awaited(rv)))

    def _awaited(self, value: t.Any) -> t.Any:
        """Return a view's value with its body awaited, where this thread may wait for that.

        Extensions' decorators call `make_response` with what an ``async def`` view returned.
        """
        if isinstance(value, tuple) and value:
            return (self._awaited(value[0]), *value[1:])
        if not is_awaitable(value):
            return value
        if on_servers_loop():
            getattr(value, "close", str)()
            raise TypeError(
                f"make_response() was given a {type(value).__name__} on the event loop, where it"
                " cannot wait for it: pass what it gives, `make_response(await ...)`."
            )
        return self.async_to_sync(wait_for)(value)

    def preprocess_request(self) -> ft.ResponseReturnValue | None:
        """Run the URL value preprocessors and the before-request functions.

        :return: the first value that one of the latter returns.
        """
        return t.cast("ft.ResponseReturnValue | None", self._step(pipeline.preprocess))

    def process_response(self, response: Response) -> Response:
        """Run the after-request functions and save the session."""
        return t.cast("Response", self._step(pipeline.process, response))

    def do_teardown_request(self, exc: BaseException | None = _unset) -> None:
        """Run the functions registered with `teardown_request`.

        :param exc: the exception that ended the request; by default the one being handled.
        """
        self._step(teardown.teardown_request, _handled(exc))

    def do_teardown_appcontext(self, exc: BaseException | None = _unset) -> None:
        """Run the functions registered with `teardown_appcontext`.

        :param exc: the exception that ended the work; by default the one being handled.
        """
        ctx = _current.require_app_context()
        drive(teardown.teardown_appcontext(ctx, ThreadDriver(self), _handled(exc)))

    def _step(self, step: t.Callable[..., t.Coroutine[t.Any, t.Any, t.Any]], *args: t.Any) -> t.Any:
        """Run a step of the pipeline for the current request, in this thread."""
        ctx = _current.require_request_context()
        return drive(step(ctx, ThreadDriver(self), *args))


async def _with_body(
    func: t.Callable[..., t.Awaitable[t.Any]], /, *args: t.Any, **kwargs: t.Any
) -> t.Any:
    """Await ``func(...)`` once the body of the current request can be read without waiting."""
    ctx = _current.request_context()
    if ctx is not None:
        request = ctx.request
        rest = read_for_loop(request.asgi_body, request.url_rule, ctx.app.config)
        if rest is not None:
            await rest
    return await func(*args, **kwargs)


def _handled(exc: BaseException | None) -> BaseException | None:
    return sys.exc_info()[1] if exc is _unset else exc
