"""Our app as a WSGI application (PEP 3333): the whole request in the server's thread."""

from __future__ import annotations

import typing as t
from contextvars import Context, copy_context

from ..ctx import AppContext
from ..dispatch import pipeline, teardown
from ..drivers import ThreadDriver, drive
from .collect import collected

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

#: Where the test client asks for the context, to push it again for its ``with`` block.
PRESERVE = "werkzeug.debug.preserve_context"


def serve(app: t.Any, environ: WSGIEnvironment, start_response: StartResponse) -> t.Iterable[bytes]:
    """Handle one request; async handlers run on the process's background loop.

    A streamed body's context lives until the body is exhausted or closed.
    """
    ctx: AppContext = app.request_context(environ)
    driver = ThreadDriver(app)
    error: BaseException | None = None
    streamed = False
    ctx._enter()
    try:
        response = collected(drive(pipeline.respond(ctx, driver)), environ)
        body: t.Iterable[bytes] = response(environ, start_response)
        error, streamed = ctx.error, pipeline.holds_context(response)
        return _StreamedBody(ctx, driver, body, copy_context()) if streamed else body
    except BaseException as raised:
        error = raised
        raise
    finally:
        if PRESERVE in environ:
            environ[PRESERVE](ctx)
        try:
            if not streamed:
                drive(teardown.finish(ctx, driver, error))
        finally:
            ctx._leave()


class _StreamedBody:
    """A streamed body together with the context that it needs.

    Every step runs in one copy of the context variables, so the caller's stay as they are.
    """

    def __init__(
        self, ctx: AppContext, driver: ThreadDriver, body: t.Iterable[bytes], context: Context
    ) -> None:
        self._ctx, self._driver, self._context = ctx, driver, context
        self._body = body
        self._chunks = iter(body)
        self._open = True

    def __iter__(self) -> t.Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return self._context.run(next, self._chunks)
        except StopIteration:
            self._finish(self._ctx.error)
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
            self._finish(self._ctx.error)

    def _finish(self, error: BaseException | None) -> None:
        if self._open:
            self._open = False
            self._context.run(drive, teardown.finish(self._ctx, self._driver, error))

    def __del__(self) -> None:
        if self._open:  # a test client's response that nobody read or closed
            self.close()
