"""One websocket over ASGI.

Order of events: the handshake is looked at -> the pipeline runs as for a request, with the handler
in the view's place, which accepts the websocket and lives as long as it does -> the teardown -> the
websocket is closed, if it is still open. A response that the pipeline ends with denies a handshake
that was not accepted.

An exchange does it all: to it, the handshake is a ``GET`` (RFC 6455 section 4.1) without a body.
Where the handler is the first of the app's code to run, it is called before the pipeline, which
goes on with what it returned or raised.
"""

from __future__ import annotations

import typing as t
from contextvars import copy_context
from functools import partial

import anyio
from anyio.lowlevel import checkpoint
from werkzeug.exceptions import Forbidden, HTTPException, ServiceUnavailable
from werkzeug.http import HTTP_STATUS_CODES

from .. import _current, origins
from ..connections import WEBSOCKET
from ..dispatch import pipeline
from ..dispatch.plan import Way, way_of
from ..wrappers.scope import notable_headers, refusal
from ..wrappers.websocket import State
from .http import Exchange, Message, Receive, Send
from .served import ServedContext
from .shortened import Known, Raised, same

#: What a websocket is closed with when its server ends: the client may come again, after a while
#: (IANA's register for RFC 6455). uvicorn says the same to those that are left.
SERVICE_RESTART = 1012

#: Headers of a body, which a handshake has none of, whatever it says.
_OF_BODIES = (b"content-length", b"transfer-encoding")

#: How a websocket is closed for which there is a response, an error's mostly: RFC 6455 section
#: 7.4.1 and IANA's register have few codes, of which these come nearest.
_CLOSE_CODES = {400: 1007, 413: 1009, 503: 1013}
_BY_CLASS = {1: 1000, 2: 1000, 3: 1000, 4: 1008, 5: 1011}


class Handshake:
    """The HTTP side of a websocket's connection: sends a response in the place of an acceptance.

    The response goes out in one piece, as some servers take the first for the whole.

    :param scope: the connection's scope.
    :param receive: its ``receive``.
    :param send: its ``send``.
    """

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self._can_answer = "websocket.http.response" in (scope.get("extensions") or ())
        self._receive, self._send = receive, send
        self._start: Message = {}
        self._pieces: list[bytes] = []

    async def receive(self) -> Message:
        """Receive a message, as of an HTTP connection."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        """Send a message of an HTTP response."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._pieces.append(message.get("body", b""))
        if message.get("more_body", False):
            return
        if not self._can_answer:  # closed before it is accepted: the client gets 403
            await self._send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        await self._send({**self._start, "type": "websocket.http.response.start"})
        await self._send({"type": "websocket.http.response.body", "body": b"".join(self._pieces)})
        await checkpoint()  # NOTE: uvicorn takes a websocket for unanswered until a turn later


class SocketExchange(Exchange):
    """One websocket, from its handshake to its end.

    :param app: the app.
    :param scope: the connection's scope.
    :param receive: its ``receive``.
    :param send: its ``send``.
    """

    #: Set when the websocket has been ended because of a shutdown; None as long as there is none.
    _ended: anyio.Event | None = None

    #: Gives or raises what the handler did, once it is done, if nothing came before it.
    _known: Known | None = None

    def __init__(self, app: t.Any, scope: Message, receive: Receive, send: Send) -> None:
        scope = {**scope, "method": "GET"}
        handshake = Handshake(scope, receive, send)
        entered, notable = copy_context(), notable_headers(scope["headers"])
        for name in _OF_BODIES:
            notable.pop(name, None)
        ctx = ServedContext(app, (scope, handshake.receive, handshake.send, entered), notable)
        ctx.allows_plain, ctx.kind = False, WEBSOCKET
        super().__init__(app, scope, handshake.receive, handshake.send, entered, ctx)
        self._receive_first = receive
        self.websocket = ctx.websocket = app.websocket_class(
            app, ctx.request, receive, send, self.deny
        )

    async def serve(self) -> None:
        """Handle the websocket."""
        try:
            await self._receive_first()  # that the client wants to connect is known
            with self.app._shutdown.calling(self._shut_down):
                token = _current.context.set(self.ctx)
                try:
                    handling = self._begin()
                    if handling is not None:
                        self._known = partial(same, await handling)
                except BaseException as error:
                    self._known = Raised(error)
                finally:
                    _current.context.reset(token)
                await super().serve()
            if self._ended is not None:
                await self._ended.wait()
        finally:
            self.websocket.release()

    def _begin(self) -> t.Coroutine[t.Any, t.Any, t.Any] | None:
        """Call the handler, if nothing comes before it; return what is to be awaited.

        PERF: whatever wakes it comes through seven coroutines less: 4 % of what a message costs.
        """
        if (
            self._refusal() is not None
            or way_of(self.ctx) is not Way.LOOP
            or not pipeline.begins_with_view(self.ctx)
        ):
            return None
        if not self.app._got_first_request:
            self.app._note_first_request()
        request: t.Any = self.request
        view = self.app.view_functions[request.url_rule.endpoint]
        return self.driver.call(view, **request.view_args)

    def _shut_down(self) -> None:
        """End the websocket, since the server is about to end."""
        self._ended = anyio.Event()
        self.app._pool().loop.spawn(self._end, copy_context(), self._note_end)

    async def _end(self) -> None:
        if self.websocket.state is State.CONNECTING:
            await self._refuse(ServiceUnavailable("The server is about to end."))
        else:
            await self.websocket.close(SERVICE_RESTART, "Service Restart")

    async def _refuse(self, error: HTTPException) -> None:
        """Answer the handshake with an error's own page."""
        self.websocket.state = State.CLOSED
        await self.send_page(error)

    def _note_end(self, result: None, error: BaseException | None) -> None:
        t.cast("anyio.Event", self._ended).set()
        if error is not None:
            self.app.logger.error("A websocket could not be closed.", exc_info=error)

    async def handle(self) -> t.Any:
        """Run the pipeline and return the response that denies the handshake, if there is one."""
        known, self._known = self._known, None  # an error refers to this frame
        if known is None:
            refused = self._refusal()
            if refused is not None:
                await self._refuse(refused)
                return None
            if way_of(self.ctx) is not Way.LOOP:
                self.app._pool().admit()
                if not self.ctx.matched:  # that takes code of the app's own
                    await self.driver_call(self.ctx.match)
        return await pipeline.complete(self.ctx, self.driver, known)

    def _refusal(self) -> HTTPException | None:
        """Return why the handshake is refused before any of the app's code runs, or None."""
        return refusal(self.scope, self.request.notable) or self._foreign_origin()

    def _foreign_origin(self) -> HTTPException | None:
        """Return why a page of another origin is refused, or None."""
        sent = [value for name, value in self.scope["headers"] if name == b"origin"]
        if not sent:
            return None
        origin, host = b",".join(sent).decode("latin-1"), self.request.host
        if origins.is_allowed(origin, host, self.app.config["WEBSOCKET_ALLOWED_ORIGINS"]):
            return None
        return Forbidden(
            f"Pages of the origin {origin!r} may not open websockets here. Those that may are"
            " named in the setting WEBSOCKET_ALLOWED_ORIGINS."
        )

    async def deny(self, response: t.Any) -> None:
        """Answer the handshake with a response."""
        self.websocket.state = State.CLOSED
        await super().deliver(response)

    async def deliver(self, response: t.Any) -> None:
        """Close the websocket, or deny it if it was not accepted and there is a response."""
        if response is None:
            await self.websocket.close()
        elif self.websocket.state is State.CONNECTING:
            await self.deny(response)
        else:
            code = _CLOSE_CODES.get(response.status_code) or _BY_CLASS[response.status_code // 100]
            await self.websocket.close(code, HTTP_STATUS_CODES.get(response.status_code, ""))
            await self.close(response)

    async def fail(self, error: Exception) -> None:
        """Close the websocket because of what escaped the pipeline, or deny it."""
        if self.websocket.state is State.CONNECTING:
            await super().fail(error)
            return
        await self.websocket.close(1011, "Internal Server Error")
        if self.raises:
            raise error
        self.app.log_exception((type(error), error, error.__traceback__))
