"""ASGI -> WSGI: a request served by a WSGI application, streamed both ways.

For the app itself where WSGI middleware wraps it (``app.wsgi_app = M(app.wsgi_app)``), and for any
other WSGI application. It runs in one thread of the app's pool, as under a threaded WSGI server;
async code that it calls runs on this server's loop.
"""

from __future__ import annotations

import typing as t
from contextvars import copy_context
from functools import partial

import anyio
from anyio.lowlevel import checkpoint

from .. import _current
from ..pipes import Pipe
from ..workers import Job, Lane, waiting
from ..wrappers.scope import environ_from_scope, notable_headers, refusal
from ..wrappers.wire import CLOSE
from ..wsgi.bridge import FileWrapper, WSGICall
from .body import body_of, declared_length
from .guests import answer_failure
from .http import Message, Receive, Send

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


async def serve_wsgi(
    app: t.Any,
    wsgi_app: WSGIApplication,
    scope: Message,
    receive: Receive,
    send: Send,
    outer: Message | None = None,
) -> None:
    """Serve one HTTP request with a WSGI application.

    :param app: the app that lends its threads, its limits for them, and its log.
    :param wsgi_app: the WSGI application.
    :param scope: the connection's scope; where the application is mounted at a prefix,
        ``root_path`` ends with it.
    :param receive: the connection's ``receive``.
    :param send: its ``send``.
    :param outer: the scope as the app got it, where the application is mounted in the app.
    :raises Exception: what the application raises, where it cannot be answered any more or
        `PROPAGATE_EXCEPTIONS` asks for it.
    """
    token = _current.context.set(None)  # what is current belongs to others: no `g` is shared
    bridge = _Bridge(app, wsgi_app, scope, receive, send)
    try:
        await bridge.serve()
    except Exception as error:
        await answer_failure(app, outer or scope, receive, send, error, bridge.started)
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
        # It is called for the thread, whose context is not the server's; `send` is not.
        connection = scope, receive, send, copy_context()
        length, timeout = declared_length(self.notable), app.config["BODY_TIMEOUT"]
        self.body = body_of(connection, length, timeout)
        self.started = self.gone = False

    async def serve(self) -> None:
        """Call the application and send its response.

        :raises HTTPException: if the request, or one more request, is not accepted.
        """
        refused = refusal(self.scope, self.notable)
        if refused is not None:
            raise refused
        await self.body.read_small()
        call = WSGICall(self._open_lane(), self.wsgi_app, self._environ())
        job = call.start()
        try:
            await self._answer(call, job)
        finally:
            call.let_go()

    async def _answer(self, call: WSGICall, job: Job) -> None:
        """Send the application's response, and wait for the end of its call."""
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

    def _open_lane(self) -> Lane:
        """Return where the application runs: in the thread that waits for it, if one does.

        :raises QueueFull: if it needs a thread of its own, and too many wait for one.
        """
        lane = waiting()
        if lane is None:
            pool = self.app._pool()
            pool.admit()
            lane = Lane(pool)
        return lane

    def _environ(self) -> WSGIEnvironment:
        environ = environ_from_scope(self.scope, self.body.reader)
        environ["wsgi.file_wrapper"] = FileWrapper
        if self.body.declared is None:  # RFC 9112 section 6.3: the transfer coding overrides it
            environ.pop("CONTENT_LENGTH", None)
        return environ

    async def _start(self, call: WSGICall) -> None:
        self.started = self.body.answered = True
        headers = [*call.headers]
        if self.body.timed_out and self.scope.get("http_version", "1.1")[:2] == "1.":
            headers.append(CLOSE)
        await self.send({"type": "http.response.start", "status": call.status, "headers": headers})

    async def _stream(self, call: WSGICall, pipe: Pipe) -> None:
        """Send the body as it comes, until its end or until the client leaves."""
        error: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self.body.arrivals.watch, partial(self._leave, call))
            try:
                await self._send_chunks(call, pipe)
            except Exception as raised:  # NOTE: raised below, so that no group wraps it
                error = raised
            group.cancel_scope.cancel()
        try:
            if error is not None and not (self.gone and isinstance(error, OSError)):
                raise error
        finally:
            del error  # NOTE: its traceback refers to this frame: a circle

    async def _send_chunks(self, call: WSGICall, pipe: Pipe) -> None:
        while (chunk := await pipe.read()) is not None:
            await self.send({"type": "http.response.body", "body": chunk, "more_body": True})
            await checkpoint()  # a `send` that never waits keeps others on the loop waiting
        if call.complete and not self.gone:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    def _leave(self, call: WSGICall) -> None:
        self.gone = True
        call.abandon()
