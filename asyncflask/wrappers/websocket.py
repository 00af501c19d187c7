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
from time import monotonic

import anyio

from ..blocking import waits_in_threads
from ..exceptions import InvalidMessage, WebSocketDisconnect
from ..streams import aclose_both
from .request import Request
from .wire import wire_header

Message = t.MutableMapping[str, t.Any]
Receive = t.Callable[[], t.Awaitable[Message]]
Send = t.Callable[[Message], t.Awaitable[None]]
HeadersValue = t.Mapping[str, str] | t.Iterable[tuple[str, str]]

#: Codes that a close frame may carry (RFC 6455 section 7.4, with IANA's later entries). 1004 has no
#: meaning; 1005, 1006 and 1015 say what was not sent.
_SENT_CODES = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})

#: Bytes of a reason: a control frame has 125, of which the code takes two (RFC 6455 section 5.5).
_REASON_BYTES = 123

#: Headers that are the server's to send in a handshake's answer.
_SERVERS = "sec-websocket-"


class State(enum.Enum):
    """How far a websocket has come."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSED = "closed"


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

    headers = _of_request("headers")
    args = _of_request("args")
    cookies = _of_request("cookies")
    path = _of_request("path")
    root_path = _of_request("root_path")
    query_string = _of_request("query_string")
    url = _of_request("url")
    host = _of_request("host")
    scheme = _of_request("scheme")
    origin = _of_request("origin")
    remote_addr = _of_request("remote_addr")
    scope = _of_request("scope")
    url_rule = _of_request("url_rule")
    view_args = _of_request("view_args")
    endpoint = _of_request("endpoint")
    blueprint = _of_request("blueprint")
    blueprints = _of_request("blueprints")

    _pace: Pace | None = None
    _receiving = False

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
        rate = app.config["WEBSOCKET_MAX_MESSAGE_RATE"]
        if rate is not None:
            self._pace = Pace(rate)

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
        if subprotocol is not None and subprotocol not in self.requested_subprotocols:
            raise ValueError(
                f"The subprotocol {subprotocol!r} was accepted, and the client offers"
                f" {self.requested_subprotocols}: it would break the connection off. Choose one of"
                " them, or none."
            )
        await self._accept(_handshake_headers(headers), subprotocol)

    async def _accept(
        self, headers: t.Sequence[tuple[bytes, bytes]] = (), subprotocol: str | None = None
    ) -> None:
        self.state, self.subprotocol = State.OPEN, subprotocol  # whoever sends now comes behind
        await self._send(
            {"type": "websocket.accept", "subprotocol": subprotocol, "headers": [*headers]}
        )

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
        pairs = headers.items() if isinstance(headers, t.Mapping) else headers or ()
        await self._deny(self.app.response_class(body, status, [*pairs]))

    @waits_in_threads
    async def receive(self) -> str | bytes:
        """Wait for the next message and return it: text as str, binary data as bytes.

        :raises WebSocketDisconnect: if the client leaves, or has left.
        """
        return await self._next()

    async def _next(self) -> str | bytes:
        if self.state is not State.OPEN:
            await self._open()
        self._receiving = True
        try:
            message = await self._receive_message()
        finally:
            self._receiving = False
        if message["type"] != "websocket.receive":
            raise self._closed(message.get("code", 1005), message.get("reason"))
        data: str | bytes | None = message.get("text")
        if data is None:
            data = t.cast("bytes", message["bytes"])
        if len(data) > self._max_size >> 2 and _size(data) > self._max_size:  # UTF-8 takes up to 4
            await self._close(1009, f"A message may have {self._max_size} bytes.")
            raise WebSocketDisconnect(1009, self.close_reason)
        if self._pace is not None:
            await self._pace.wait()
        return data

    @waits_in_threads
    async def receive_json(self) -> t.Any:
        """Wait for the next message and return what it holds as JSON.

        :raises InvalidMessage: (1007) if it is no JSON.
        :raises WebSocketDisconnect: if the client leaves, or has left.
        """
        data = await self._next()
        try:
            return self.app.json.loads(data)
        except ValueError as error:
            raise InvalidMessage(f"The message is no JSON: {error}") from error

    @waits_in_threads
    async def send(self, data: str | bytes) -> None:
        """Send a message: a str as text, bytes as binary data.

        :raises TypeError: if it is neither.
        :raises WebSocketDisconnect: if the client has left.
        """
        await self._send_data(data)

    async def _send_data(self, data: str | bytes) -> None:
        if self.state is not State.OPEN:
            await self._open()
        if isinstance(data, str):
            message: Message = {"type": "websocket.send", "text": data}
        elif isinstance(data, (bytes, bytearray, memoryview)):
            message = {"type": "websocket.send", "bytes": bytes(data)}
        else:
            raise TypeError(
                f"A websocket sends str or bytes, not {type(data).__name__}. For anything that has"
                " a form in JSON there is send_json()."
            )
        await self._send(message)

    @waits_in_threads
    async def send_json(self, *args: t.Any, **kwargs: t.Any) -> None:
        """Send what `jsonify` would make of the arguments, as a text message.

        :raises WebSocketDisconnect: if the client has left.
        """
        json = self.app.json
        await self._send_data(json.dumps(json._prepare_response_obj(args, kwargs)))

    @waits_in_threads
    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the websocket; one that is closed already stays as it is.

        Before it is accepted, to close it is to reject it: the client sees a 403, no code.

        :param code: 1000 for a normal end; 3000 to 4999 for the app's own codes.
        :param reason: a few words, up to 123 bytes.
        :raises ValueError: if the code must not be sent, or if the reason is too long.
        """
        if code not in _SENT_CODES:
            raise ValueError(
                f"A websocket cannot be closed with the code {code}: 1000 is a normal end, 1008"
                " says that a rule was broken, and 3000 to 4999 are the app's own."
            )
        if len(reason.encode()) > _REASON_BYTES:
            raise ValueError(
                f"The reason has {len(reason.encode())} bytes; a close frame has room for"
                f" {_REASON_BYTES}."
            )
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
        raises ends the block, and is raised.

        :param source: an async iterable of str, bytes, or anything that has a form in JSON.
        """
        failed: Exception | None = None

        async def run() -> None:
            nonlocal failed
            steps = None
            try:
                steps = aiter(source)
                async for item in steps:
                    if isinstance(item, (str, bytes)):
                        await self._send_data(item)
                    else:
                        await self.send_json(item)
            except WebSocketDisconnect:
                pass  # the block, which receives, hears of it as well
            except Exception as error:
                failed = error
                group.cancel_scope.cancel()
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
                raise raised or t.cast("Exception", failed)
        finally:
            del raised, failed  # NOTE: this frame is in its traceback: a circle

    def __aiter__(self) -> t.Self:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self._next()
        except WebSocketDisconnect:
            raise StopAsyncIteration from None

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
        await self._accept()

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


class Pace:
    """Lets so many messages a second through, a second's worth of them at once.

    :param rate: messages a second.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._from = monotonic() - 1.0  # when the bucket was empty, or would have been

    async def wait(self) -> None:
        """Wait until it is the next message's turn."""
        now = monotonic()
        self._from = max(self._from, now - 1.0) + 1 / self._rate
        if self._from > now:
            await anyio.sleep(self._from - now)


def _size(data: str | bytes) -> int:
    return len(data) if isinstance(data, bytes) else len(data.encode("utf-8", "surrogatepass"))


def _handshake_headers(headers: HeadersValue | None) -> list[tuple[bytes, bytes]]:
    """Return headers in ASGI's form.

    :raises ValueError: if one cannot be sent, or is not for handlers to send.
    """
    pairs = headers.items() if isinstance(headers, t.Mapping) else headers or ()
    made = [wire_header(name, value) for name, value in pairs]
    for name, _ in made:
        if name.startswith(_SERVERS.encode()):
            raise ValueError(
                f"The header {name.decode()!r} is the server's to send; the subprotocol is named"
                " with accept(subprotocol=...)."
            )
    return made
