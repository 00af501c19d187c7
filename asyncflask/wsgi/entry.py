"""Our app as a WSGI application (PEP 3333): the whole request in the server's thread.

Async handlers, and bodies that are made on an event loop, run on the process's background loop
(`portal`), while the thread waits for them and does the sync work that they ask for.
"""

from __future__ import annotations

import typing as t
from contextvars import Context, copy_context

from werkzeug.exceptions import ClientDisconnected

from .. import from_thread, portal
from ..ctx import AppContext
from ..dispatch import pipeline, teardown
from ..drivers import ThreadDriver, drive
from ..mounts import Mount
from . import asgi
from .body import put_body

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

#: Where the test client asks for the context, to push it again for its ``with`` block.
PRESERVE = "werkzeug.debug.preserve_context"


def serve(app: t.Any, environ: WSGIEnvironment, start_response: StartResponse) -> t.Iterable[bytes]:
    """Handle one request; async handlers run on the process's background loop.

    A streamed body's context lives until the body is exhausted or closed.
    """
    mount = None if app._mounts is None else app._mounts.for_environ(environ)
    if mount is not None:
        return _serve_mounted(app, mount, environ, start_response)
    with from_thread.lent(portal.call_async):
        return _Exchange(app, environ).serve(start_response)


def _serve_mounted(
    app: t.Any, mount: Mount, environ: WSGIEnvironment, start_response: StartResponse
) -> t.Iterable[bytes]:
    """Hand a request to a mounted app; what that raises before it answers is a 500 of ours."""
    below, start = mount.environ(environ), _Start(start_response)
    try:
        if "wsgi" in mount.protocols:
            return t.cast("t.Iterable[bytes]", mount.app(below, start))
        return asgi.call(mount.app, below, start)
    except Exception as error:
        with app.request_context(environ):
            answer = app.handle_exception(error)
            return t.cast("t.Iterable[bytes]", answer(environ, start.again(error)))


class _Start:
    """A `start_response` that can be called once more where the first answer failed (PEP 3333).

    :param start_response: the server's.
    """

    def __init__(self, start_response: StartResponse) -> None:
        self._start_response = start_response
        self._called = False

    def __call__(self, *args: t.Any) -> t.Any:
        """Start the response."""
        self._called = True
        return self._start_response(*args)

    def again(self, error: Exception) -> StartResponse:
        """Return what starts another response in its place, because of `error`."""
        if not self._called:
            return self._start_response
        failure: t.Any = (type(error), error, error.__traceback__)
        return lambda status, headers, *rest: self._start_response(status, headers, failure)


class _Exchange:
    """One request, from its environ to the body that the server sends.

    :param app: the app.
    :param environ: the request.
    """

    def __init__(self, app: t.Any, environ: WSGIEnvironment) -> None:
        self.app, self.environ = app, environ
        self.input = put_body(environ)
        self.ctx: AppContext = app.request_context(environ)
        self.driver = ThreadDriver(app)

    def serve(self, start_response: StartResponse) -> t.Iterable[bytes]:
        """Handle the request, and tear it down unless its body is still to be made."""
        ctx, response = self.ctx, None
        error: BaseException | None = None
        streamed = False
        ctx._enter()
        ctx.start_response = start_response
        try:
            response = drive(pipeline.respond(ctx, self.driver))
            if ctx.answered is not None:  # and sent
                response.close()
                return ()
            response = self._begun(response)
            if response.status_code == 204:  # of a body that is not there; PEP 3333's validator
                response.headers.pop("Content-Type", None)
            body: t.Iterable[bytes] = response(self.environ, start_response)
            error, streamed = ctx.error, pipeline.holds_context(response)
            return _StreamedBody(self, response, body, copy_context()) if streamed else body
        except BaseException as raised:
            error = raised
            if ctx.client_left and isinstance(raised, (OSError, ClientDisconnected)):
                if ctx.answered is None:  # nobody will see it, but there has to be one
                    start_response("400 BAD REQUEST", [("Content-Length", "0")])
                return ()
            if response is not None:
                response.close()
            raise
        finally:
            if PRESERVE in self.environ:
                self.environ[PRESERVE](ctx)
            try:
                if not streamed:
                    self.finish(error)
            finally:
                ctx._leave()

    def _begun(self, response: t.Any) -> t.Any:
        """Have an ASGI application begin to answer, if the view returned one."""
        if getattr(response, "asgi_app", None) is not None:
            try:
                asgi.fill(response, self.environ)
            except Exception as error:
                self.ctx.error = error
                response = self._begun(self.app.handle_exception(error))
        return response

    def finish(self, error: BaseException | None) -> None:
        """Tear the context down."""
        try:
            drive(teardown.finish(self.ctx, self.driver, error))
        finally:
            if self.input is not None:
                self.input.release()
            if PRESERVE not in self.environ:
                self.ctx.forget_errors()


class _StreamedBody:
    """A streamed body together with the context that it needs.

    Every step runs in one copy of the context variables, so the caller's stay as they are.
    """

    def __init__(
        self, exchange: _Exchange, response: t.Any, body: t.Iterable[bytes], context: Context
    ) -> None:
        self._exchange, self._context = exchange, context
        self._source = response.response
        self._body = body
        self._chunks = iter(body)
        self._open = True

    def __iter__(self) -> t.Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return self._context.run(next, self._chunks)
        except StopIteration:
            if getattr(self._source, "is_over", True):  # else it works on, and `close` waits for it
                self._finish(self._exchange.ctx.error)
            raise
        except BaseException as error:
            self._finish(error)
            raise

    def close(self) -> None:
        """Close the body and tear the context down; the WSGI server calls it in the end."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                self._context.run(close)
        finally:
            self._finish(self._exchange.ctx.error)

    def _finish(self, error: BaseException | None) -> None:
        if self._open:
            self._open = False
            self._context.run(self._exchange.finish, error)

    def __del__(self) -> None:
        if self._open:  # a test client's response that nobody read or closed
            self.close()
