"""The websocket that a handler works with (RFC 6455, over the ASGI websocket protocol 2.x).

What may happen in which state, and the state after it:

=========== ================ ================= ============== =================== ==============
state       ``accept``       ``reject``        ``send``       ``receive``         ``close``
=========== ================ ================= ============== =================== ==============
connecting  open             closed            accepts first  accepts first       closed (403)
open        error            error             open           open, or closed     closed
closed      disconnect       disconnect        disconnect     disconnect          nothing
=========== ================ ================= ============== =================== ==============

*error* is a `RuntimeError`, a mistake in the handler. *disconnect* is a `WebSocketDisconnect`: what
a handler meets that goes on when the client has left, whichever of its tasks finds out.
"""

from __future__ import annotations

import enum
import typing as t
from contextlib import asynccontextmanager, suppress
from operator import attrgetter

import anyio
from anyio.lowlevel import checkpoint
from werkzeug.datastructures import Headers, MultiDict
from werkzeug.routing import Rule

from ..blocking import sends_in_threads, waits_in_threads
from ..exceptions import InvalidMessage, WebSocketDisconnect
from ..pace import Pace
from ..streams import aclose_both
from .request import Request
from .socket_wire import (
    HeadersValue,
    Message,
    accept_message,
    check_close,
    data_message,
    pairs,
    size,
)

Receive = t.Callable[[], t.Awaitable[Message]]
Send = t.Callable[[Message], t.Awaitable[None]]

#: Messages sent in a row after which others get their turn. A server's `send` need not wait for
#: anything, not even when the client has left: it learns of that in a turn of the loop.
_PER_TURN = 16


class State(enum.Enum):
    """How far a websocket has come."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSED = "closed"


#: PERF: looked up in the class, a member takes 0.1 us.
_OPEN = State.OPEN


def _of_request(name: str) -> t.Any:
    """Make an attribute that is the request's."""
    return property(attrgetter(f"request.{name}"), doc=f"The handshake's `Request.{name}`.")


class Websocket:
    """One websocket, under the name `asyncflask.websocket`.

    In an ``async def`` handler its methods are awaited. In a plain ``def`` one, which runs in a
    worker thread, the same calls wait and return: ``message = websocket.receive()``.

    Any number of tasks may send at once, and one may receive meanwhile.

    :param app: the app.
    :param request: the handshake, a ``GET`` without a body.
    :param receive: the connection's ``receive``, behind ``websocket.connect``.
    :param send: its ``send``.
    :param deny: sends a response in the place of an acceptance.
    """

    #: Why the websocket was closed, once it is: RFC 6455 section 7.4.
    close_code: int | None = None
    #: The same in words, as whoever closed it has chosen them.
    close_reason: str = ""
    #: The subprotocol that was agreed upon, if any.
    subprotocol: str | None = None

    headers: Headers = _of_request("headers")
    args: MultiDict[str, str] = _of_request("args")
    cookies: MultiDict[str, str] = _of_request("cookies")
    path: str = _of_request("path")
    root_path: str = _of_request("root_path")
    query_string: bytes = _of_request("query_string")
    url: str = _of_request("url")
    host: str = _of_request("host")
    scheme: str = _of_request("scheme")
    origin: str | None = _of_request("origin")
    remote_addr: str | None = _of_request("remote_addr")
    scope: t.Any = _of_request("scope")
    url_rule: Rule | None = _of_request("url_rule")
    view_args: dict[str, t.Any] | None = _of_request("view_args")
    endpoint: str | None = _of_request("endpoint")
    blueprint: str | None = _of_request("blueprint")
    blueprints: list[str] = _of_request("blueprints")

    _pace: Pace | None = None
    _receiving = False
    _in_a_row = 0

    def __init__(
        self,
        app: t.Any,
        request: Request,
        receive: Receive,
        send: Send,
        deny: t.Callable[[t.Any], t.Awaitable[None]],
    ) -> None:
        self.app, self.request = app, request
        self.state = State.CONNECTING
        self._receive_message, self._send_message, self._deny = receive, send, deny
        self._max_size: int = app.config["WEBSOCKET_MAX_MESSAGE_SIZE"]
        self._surely_small = self._max_size // 4  # letters: UTF-8 takes up to four bytes for one
        rate = app.config["WEBSOCKET_MAX_MESSAGE_RATE"]
        if rate is not None:
            self._pace, self._surely_small = Pace(rate), -1  # each has to be looked at

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.request.url!r} [{self.state.value}]>"

    @property
    def requested_subprotocols(self) -> list[str]:
        """The subprotocols that the client offers, the one that it likes best first."""
        scope: t.Any = self.request.scope
        return [*scope.get("subprotocols", ())]

    @waits_in_threads
    async def accept(
        self, headers: HeadersValue | None = None, subprotocol: str | None = None
    ) -> None:
        """Accept the websocket; the first `receive` or `send` does it otherwise.

        :param headers: headers of the handshake's answer, cookies for instance.
        :param subprotocol: one of `requested_subprotocols`.
        :raises RuntimeError: if it is accepted already.
        :raises ValueError: if the client has not offered the subprotocol, or if a header cannot be
            sent or is not for handlers to send.
        :raises WebSocketDisconnect: if the client has left.
        """
        self._check_connecting("accept")
        message = accept_message(headers, subprotocol, self.requested_subprotocols)
        self.subprotocol = subprotocol
        await self._accept(message)

    async def _accept(self, message: Message) -> None:
        self.state = State.OPEN  # whoever sends now comes behind
        await self._send(message)

    @waits_in_threads
    async def reject(
        self, status: int = 403, headers: HeadersValue | None = None, body: str | bytes = b""
    ) -> None:
        """Answer the handshake with an HTTP response instead of a websocket.

        Servers that cannot do that answer 403, without headers and body.

        :param status: the status code, 300 or above.
        :param headers: the response's headers.
        :param body: its body.
        :raises RuntimeError: if the websocket is accepted already.
        :raises ValueError: if the status would be a success.
        :raises WebSocketDisconnect: if the client has left.
        """
        self._check_connecting("reject")
        if not 300 <= status <= 599:
            raise ValueError(
                f"A websocket cannot be rejected with the status {status}: 300 to 599 tell the"
                " client that there is none. To let it in, call accept()."
            )
        await self._deny(self.app.response_class(body, status, [*pairs(headers)]))

    @waits_in_threads
    def receive(self) -> t.Coroutine[t.Any, t.Any, str | bytes]:
        """Wait for the next message and return it: text as str, binary data as bytes.

        :raises WebSocketDisconnect: if the client leaves, or has left.
        """
        return self._next(None)

    async def _next(self, end: type[Exception] | None = StopAsyncIteration) -> str | bytes:
        """Wait for the next message and return it.

        :param end: what is raised instead of a disconnect. PERF: one coroutine for both, 0.2 us.
        """
        try:
            if self.state is not _OPEN:
                await self._open()
            self._receiving = True
            receive = self._receive_message
            try:
                message = await receive()
            finally:
                self._receiving = False
            data: str | bytes | None = message.get("text")
            if data is None:
                data = self._bytes_of(message)
            self._in_a_row = 0
            if len(data) > self._surely_small:
                await self._limit(data)
        except WebSocketDisconnect:
            if end is None:
                raise
            raise end from None
        return data

    def _bytes_of(self, message: Message) -> bytes:
        """Return the data of a message without text, or raise what ended the websocket."""
        if message["type"] != "websocket.receive":
            raise self._closed(message.get("code", 1005), message.get("reason"))
        return t.cast("bytes", message["bytes"])

    async def _limit(self, data: str | bytes) -> None:
        """Refuse a message that is too big; wait for the turn of one that came too fast."""
        if size(data) > self._max_size:
            await self._close(1009, f"A message may have {self._max_size} bytes.")
            raise WebSocketDisconnect(1009, self.close_reason)
        if self._pace is not None:
            await self._pace.wait()

    @waits_in_threads
    async def receive_json(self) -> t.Any:
        """Wait for the next message and return what it holds as JSON.

        :raises InvalidMessage: (1007) if it is no JSON.
        :raises WebSocketDisconnect: if the client leaves, or has left.
        """
        data = await self._next(None)
        try:
            return self.app.json.loads(data)
        except ValueError as error:
            raise InvalidMessage(f"The message is no JSON: {error}") from error

    @sends_in_threads
    async def send(self, data: str | bytes) -> None:
        """Send a message: a str as text, bytes as binary data.

        :raises TypeError: if it is neither.
        :raises WebSocketDisconnect: if the client has left.
        """
        if self.state is not _OPEN:
            await self._open()
        if type(data) is str:
            message: Message = {"type": "websocket.send", "text": data}
        else:
            message = data_message(data)
        try:  # PERF: as `_send`; a coroutine less for each message is 0.4 of 3 us
            send = self._send_message
            await send(message)
        except OSError as error:
            raise await self._lost() from error
        self._in_a_row = in_a_row = self._in_a_row + 1
        if in_a_row == _PER_TURN:
            self._in_a_row = 0
            await checkpoint()

    @waits_in_threads
    async def send_json(self, *args: t.Any, **kwargs: t.Any) -> None:
        """Send what `jsonify` would make of the arguments, as a text message.

        :raises WebSocketDisconnect: if the client has left.
        """
        json = self.app.json
        await self.send(json.dumps(json._prepare_response_obj(args, kwargs)))

    @waits_in_threads
    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the websocket; one that is closed already stays as it is.

        Before it is accepted, to close it is to reject it: the client sees a 403, no code.

        :param code: 1000 for a normal end; 3000 to 4999 for the app's own codes.
        :param reason: a few words, up to 123 bytes.
        :raises ValueError: if the code must not be sent, or if the reason is too long.
        """
        check_close(code, reason)
        if self.state is not State.CLOSED:
            await self._close(code, reason)

    async def _close(self, code: int, reason: str) -> None:
        self._closed(code, reason)
        with suppress(OSError):  # the client was quicker
            await self._send_message({"type": "websocket.close", "code": code, "reason": reason})

    @asynccontextmanager
    async def sending(self, source: t.AsyncIterable[t.Any]) -> t.AsyncIterator[None]:
        """Send what a source yields while a block runs, which may receive meanwhile.

        ::

            async with websocket.sending(prices()):
                async for message in websocket:
                    ...

        The source is closed when the block ends; one that ends first lets the block go on. What it
        raises ends the block, and is raised. So does a client that leaves, unless the block is
        receiving and hears of it there.

        :param source: an async iterable of str, bytes, or anything that has a form in JSON.
        """
        failed: BaseException | None = None

        async def run() -> None:
            nonlocal failed
            steps = None
            try:
                steps = aiter(source)
                async for item in steps:
                    if isinstance(item, (str, bytes)):
                        await self.send(item)
                    else:
                        await self.send_json(item)
            except BaseException as error:
                told = isinstance(error, WebSocketDisconnect) and self._receiving
                if not (told or group.cancel_scope.cancel_called):
                    failed = error
                    group.cancel_scope.cancel()
                if not isinstance(error, Exception):
                    raise
            finally:
                with anyio.CancelScope(shield=True):
                    await aclose_both(steps, source)

        raised: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            try:
                yield
            except Exception as error:  # NOTE: raised below, so that no group wraps it
                raised = error
            group.cancel_scope.cancel()
        try:
            if raised is not None or failed is not None:
                raise raised or t.cast("BaseException", failed)
        finally:
            del raised, failed  # NOTE: this frame is in its traceback: a circle

    def __aiter__(self) -> t.Self:
        return self

    __anext__ = _next

    def __iter__(self) -> t.Iterator[str | bytes]:
        while True:
            try:
                yield t.cast("str | bytes", self.receive())
            except WebSocketDisconnect:
                return

    def release(self) -> None:
        """Let go of the connection when its handler is done; whoever still writes hears of it."""
        self._closed(1006, "")
        del self._receive_message, self._send_message, self._deny  # no circle stays

    def _check_connecting(self, what: str) -> None:
        if self.state is State.CLOSED:
            raise WebSocketDisconnect(self.close_code or 1006, self.close_reason)
        if self.state is State.OPEN:
            raise RuntimeError(
                f"{what}() was called on a websocket that is accepted already. It is called once,"
                " before anything is received or sent: both accept the websocket."
            )

    async def _open(self) -> None:
        """Accept the websocket, if that is still to be done."""
        if self.state is State.CLOSED:
            raise WebSocketDisconnect(self.close_code or 1006, self.close_reason)
        await self._accept(accept_message(None, None, ()))

    async def _send(self, message: Message) -> None:
        try:
            await self._send_message(message)
        except OSError as error:
            raise await self._lost() from error

    async def _lost(self) -> WebSocketDisconnect:
        """Learn from the server how the client left."""
        while not self._receiving and self.state is not State.CLOSED:
            message = await self._receive_message()
            if message["type"] == "websocket.disconnect":
                return self._closed(message.get("code", 1006), message.get("reason"))
        return WebSocketDisconnect(self.close_code or 1006, self.close_reason)

    def _closed(self, code: int | None, reason: str | None) -> WebSocketDisconnect:
        """Note that the websocket is closed; what it says first, stands."""
        if self.state is not State.CLOSED:
            self.state = State.CLOSED
            self.close_code, self.close_reason = code or 1005, reason or ""
        return WebSocketDisconnect(self.close_code or 1005, self.close_reason)
