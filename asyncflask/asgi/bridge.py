"""ASGI -> WSGI: a request served by a WSGI application, streamed both ways.

For the app itself where WSGI middleware wraps it (``app.wsgi_app = M(app.wsgi_app)``), and for any
other WSGI application. It runs in one thread of the app's pool, as under a threaded WSGI server;
async code that it calls runs on this server's loop.
"""

from __future__ import annotations

import typing as t
from contextvars import copy_context

import anyio
from anyio.lowlevel import checkpoint
from werkzeug.exceptions import HTTPException

from .. import _current
from ..pipes import Pipe
from ..workers import Lane
from ..wrappers.scope import environ_from_scope, notable_headers, refusal
from ..wsgi.bridge import FileWrapper, WSGICall
from .arrivals import Arrivals
from .body import SMALL_BYTES, RequestBody
from .http import Exchange, Message, Receive, Send

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


async def serve_wsgi(
    app: t.Any, wsgi_app: WSGIApplication, scope: Message, receive: Receive, send: Send
) -> None:
    """Serve one HTTP request with a WSGI application.

    :param app: the app that lends its threads, its limits for them, and its log.
    :param wsgi_app: the WSGI application.
    :param scope: the connection's scope; where the application is mounted at a prefix,
        ``root_path`` ends with it.
    :param receive: the connection's ``receive``.
    :param send: its ``send``.
    :raises Exception: what the application raises, where it cannot be answered any more or
        `PROPAGATE_EXCEPTIONS` asks for it.
    """
    token = _current.context.set(None)  # what is current belongs to others: no `g` is shared
    bridge = _Bridge(app, wsgi_app, scope, receive, send)
    try:
        await bridge.serve()
    except Exception as error:
        await bridge.fail(error)
    finally:
        _current.context.reset(token)
        bridge.body.release()


class _Bridge:
    """One request on its way through a WSGI application."""

    def __init__(
        self, app: t.Any, wsgi_app: WSGIApplication, scope: Message, receive: Receive, send: Send
    ) -> None:
        self.app, self.wsgi_app, self.scope = app, wsgi_app, scope
        self.receive, self.send = receive, send
        self.notable = notable_headers(scope["headers"])
        self.arrivals = Arrivals(receive)
        # It is called for the thread, whose context is not the server's; `send` is not.
        self.body = RequestBody(self.notable, self.arrivals, copy_context())
        self.started = self.gone = False

    async def serve(self) -> None:
        """Call the application and send its response.

        :raises HTTPException: if the request, or one more request, is not accepted.
        """
        refused = refusal(self.scope, self.notable)
        if refused is not None:
            raise refused
        await self._read_small_body()
        pool = self.app._pool()
        pool.admit()
        lane = Lane(pool)
        call = WSGICall(lane, self.wsgi_app, self._environ())
        job = lane.start(call.run)
        try:
            await call.begun
            if call.body is not None:
                await self._start(call)
                await self.send({"type": "http.response.body", "body": call.body})
            elif call.pipe is not None:
                await self._start(call)
                await self._stream(call, call.pipe)
        except BaseException:
            call.abandon()
            with anyio.CancelScope(shield=True):
                await job.outcome()
            raise
        await job.outcome()

    async def _read_small_body(self) -> None:
        """Read a body that is declared to be small, so that a slow client occupies no thread."""
        if self.body.declared and self.body.declared <= SMALL_BYTES:
            await self.body.read_ahead(SMALL_BYTES)

    def _environ(self) -> WSGIEnvironment:
        environ = environ_from_scope(self.scope, self.body.reader)
        environ["wsgi.file_wrapper"] = FileWrapper
        if self.body.declared is None:  # RFC 9112 section 6.3: the transfer coding overrides it
            environ.pop("CONTENT_LENGTH", None)
        return environ

    async def _start(self, call: WSGICall) -> None:
        self.started = True
        await self.send(
            {"type": "http.response.start", "status": call.status, "headers": call.headers}
        )

    async def _stream(self, call: WSGICall, pipe: Pipe) -> None:
        """Send the body as it comes, until its end or until the client leaves."""
        error: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._abandon_when_gone, call)
            try:
                await self._send_chunks(call, pipe)
            except Exception as raised:  # NOTE: raised below, so that no group wraps it
                error = raised
            group.cancel_scope.cancel()
        if error is not None and not (self.gone and isinstance(error, OSError)):
            raise error

    async def _send_chunks(self, call: WSGICall, pipe: Pipe) -> None:
        while (chunk := await pipe.read()) is not None:
            await self.send({"type": "http.response.body", "body": chunk, "more_body": True})
            await checkpoint()  # a `send` that never waits keeps others on the loop waiting
        if call.complete and not self.gone:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _abandon_when_gone(self, call: WSGICall) -> None:
        await self.arrivals.departure()
        self.gone = True
        call.abandon()

    async def fail(self, error: Exception) -> None:
        """Answer an error, if nothing of a response has been sent; else raise it."""
        answer = Exchange(self.app, self.scope, self.receive, self.send)
        answer.started = self.started
        if isinstance(error, HTTPException) and not self.started:
            await answer.send_page(error)
            return
        token = _current.context.set(answer.ctx)
        try:
            await answer.fail(error)
        finally:
            _current.context.reset(token)
            answer.ctx.forget_errors()


class BridgedExchange:
    """The app's own requests, through the WSGI middleware around it."""

    def __init__(self, app: t.Any, scope: Message, receive: Receive, send: Send) -> None:
        self._args = app, app, scope, receive, send

    async def serve(self) -> None:
        """Handle the request; its context is made below the middleware, by the WSGI entry."""
        await serve_wsgi(*self._args)
