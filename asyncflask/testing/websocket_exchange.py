"""One websocket between a client's task and the app's: what a server does, without the wire.

What the app may send, and when (ASGI websocket spec 2.4):

========== ================================== ==================================
state      message                            new state
========== ================================== ==================================
connecting ``websocket.accept``               open
connecting ``websocket.close``                refused, with a bare 403
connecting ``websocket.http.response.start`` * denying
denying    ``websocket.http.response.body`` * denying, or after the last one: refused
open       ``websocket.send``                 open
open       ``websocket.close``                closed
========== ================================== ==================================

``*`` only if the scope offers the extension ``websocket.http.response``. Anything else is an error
in the app, and is raised where the app sends it. To a client that has left, the app may close once,
which does nothing; to send a message raises `ClientLeft`, an `OSError`, as the spec wants it.

What the app receives: ``websocket.connect``, then what the client sends, then, for ever after,
``websocket.disconnect`` with the close code: the client's, or the app's own, which a client sends
back; 1006 where the client was lost, or was never let in.

Neither side gets more than `QUEUE` messages ahead of the other: then it waits. But while the client
waits to send, the app need not wait for the client: a test that sends all before it receives
anything is slow at the worst, and never stands still.
"""

from __future__ import annotations

import typing as t
from collections import deque
from collections.abc import Callable

import anyio
import anyio.lowlevel
from starlette import websockets
from starlette.types import ASGIApp, Message, Scope

from ..exceptions import WebSocketDisconnect
from .exchange import headers_of
from .tasks import DetachedTask

#: Messages that wait on either side before the sender waits too: uvicorn's ``--ws-max-queue``.
QUEUE = 32

#: Bytes that the app may send without being read while the client waits to send. More than any
#: test means to leave unread; and what a process bears.
CROSSING_BYTES = 16 * 1024 * 1024

#: Bytes that a queued message takes in memory beside its content, about.
_OVERHEAD = 64

#: Bytes of a close reason: a control frame's 125 less two for the code (RFC 6455 section 5.5).
REASON_BYTES = 123

_STATES = {
    ("connecting", "websocket.accept"): "open",
    ("connecting", "websocket.close"): "refused",
    ("connecting", "websocket.http.response.start"): "denying",
    ("denying", "websocket.http.response.body"): "refused",
    ("open", "websocket.send"): "open",
    ("open", "websocket.close"): "closed",
}
_DENIAL = "websocket.http.response"

Data = str | bytes


class ClientLeft(OSError):
    """Raised in the app that sends to a client which has left."""


_NOTICES = (ClientLeft, WebSocketDisconnect, websockets.WebSocketDisconnect)


def check_closing(code: int, reason: str) -> None:
    """Refuse a closing that cannot be sent.

    :raises ValueError: if the code is not for sending (RFC 6455 section 7.4), or the reason is
        longer than `REASON_BYTES`.
    """
    known = 1000 <= code <= 1014 and code not in (1004, 1005, 1006)
    if not (known or 3000 <= code <= 4999):
        raise ValueError(
            f"{code} is no close code to send: 1000-1003, 1007-1014 and 3000-4999 are; from 4000 on"
            " they are yours."
        )
    if len(reason.encode()) > REASON_BYTES:
        raise ValueError(
            f"The close reason has {len(reason.encode())} bytes; {REASON_BYTES} fit into its frame."
        )


class WebSocketExchange:
    """Runs the app for one websocket, in a task of its own.

    :param app: the ASGI app; it is started at once.
    :param scope: the ASGI connection scope.
    :param grace: seconds that the app gets to end by itself once the client has left.
    :param raise_errors: whether what the app raises comes out on the client's side.
    """

    def __init__(self, app: ASGIApp, scope: Scope, grace: float, raise_errors: bool) -> None:
        self.state = "connecting"
        self.status: int | None = None  # of the answer to the handshake
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.subprotocol: str | None = None
        #: Code and reason, once the connection is over.
        self.closing: tuple[int, str] | None = None
        self._scope = scope
        self._grace = grace
        self._raise_errors = raise_errors
        self._connected = False  # the app has received `websocket.connect`
        self._left = False  # the client has left, before the app has closed
        self._inbox: deque[Data] = deque()  # for the app
        self._outbox: deque[Data] = deque()  # for the client
        self._outbox_bytes = 0
        self._putting = 0  # tasks of the client's that wait to send
        self._turn = anyio.Event()
        self._task = DetachedTask(lambda: self._run(app), f"websocket {scope['path']}")

    # What both sides use

    def _changed(self) -> None:
        turn, self._turn = self._turn, anyio.Event()
        turn.set()

    async def _until(self, ready: Callable[[], bool]) -> None:
        await anyio.lowlevel.checkpoint()
        while not ready():
            await self._turn.wait()

    def _end(self, code: int, reason: str) -> None:
        if self.closing is None:
            self.closing = code, reason
        self._changed()

    # The client's side

    async def answered(self) -> None:
        """Wait for the app's answer to the handshake, or for its end without one."""
        await self._until(lambda: self.closing is not None or self.state == "open")

    async def put(self, data: Data) -> None:
        """Send a message to the app; wait while `QUEUE` messages are before it.

        :raises WebSocketDisconnect: if the connection is over.
        :raises RuntimeError: if app and client would wait for each other for ever.
        """
        await anyio.lowlevel.checkpoint()
        if not self._may_put():
            await self._wait_to_put()
        if self.closing is not None:
            await self._raise_end()
        if not self._may_put():
            raise RuntimeError(
                f"The app takes no message, since it waits to send: you left {self._outbox_bytes:,}"
                " bytes of its messages unread. Receive between your sends, or in another task."
            )
        self._inbox.append(data)
        self._changed()

    async def _wait_to_put(self) -> None:
        self._putting += 1
        self._changed()
        try:
            await self._until(lambda: self._may_put() or self._crossed())
        finally:
            self._putting -= 1

    def _may_put(self) -> bool:
        return len(self._inbox) < QUEUE or self.closing is not None

    def _crossed(self) -> bool:
        return self._outbox_bytes >= CROSSING_BYTES

    async def take(self) -> Data:
        """Return the app's next message.

        :raises WebSocketDisconnect: if there will be none.
        """
        await self._until(lambda: bool(self._outbox) or self.closing is not None)
        if not self._outbox:
            await self._raise_end()
        data = self._outbox.popleft()
        self._outbox_bytes -= _size(data)
        self._changed()
        return data

    async def _raise_end(self) -> t.NoReturn:
        """Raise what the app has raised, or the disconnect."""
        code, reason = t.cast("tuple[int, str]", self.closing)
        # The app has ended without a word; or it has said that it failed, and is about to raise.
        if not self._left and (self.state == "open" or code == 1011):
            with anyio.move_on_after(self._grace):
                await self._task.wait()
            self.report()
        raise WebSocketDisconnect(code, reason)

    def leave(self, code: int, reason: str = "") -> None:
        """Let the app see that the client has left, behind what it has sent; once."""
        self._left = self._left or self.closing is None
        self._end(code, reason)

    async def close(self) -> None:
        """End this exchange; once this returns, the app has ended.

        An app that has closed by itself, and does its last work, is waited for. Any other is
        cancelled if the client's leaving does not end it within the grace period.
        """
        try:
            if self.state in ("closed", "refused") and not self._left:
                await self._task.wait()
        finally:
            self.leave(1006)
            await self._task.stop(self._grace)

    def report(self) -> None:
        """Raise what the app has raised; once, and if it is to be seen.

        :raises BaseException: that.
        """
        error, self._task.error = self._failure(), None
        shown = self._raise_errors or not isinstance(error, Exception)
        try:
            if error is not None and shown:
                self._raise_errors = False
                raise error
        finally:
            del error  # or it would hold this frame, which holds it

    def _failure(self) -> BaseException | None:
        error = self._task.failure()
        if self._left and isinstance(error, _NOTICES):
            return None  # the app has noticed that the client left, and done no more about it
        if error is not None or self._left or self.state not in ("connecting", "denying"):
            return error
        undone = "answering" if self.state == "connecting" else "completing its answer to"
        return RuntimeError(
            f"The app returned without {undone} the handshake of {self._scope['path']}. Send"
            " 'websocket.accept' to let the client in, 'websocket.close' to refuse it."
        )

    # The app's side

    async def _run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self.receive, self.send)
        finally:
            self._end(1006, "")

    async def receive(self) -> Message:
        """Return the client's next message, and in the end that it has left."""
        await self._until(self._may_receive)
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        if self._inbox:
            data = self._inbox.popleft()
            self._changed()
            return {"type": "websocket.receive", "text" if isinstance(data, str) else "bytes": data}
        code, reason = t.cast("tuple[int, str]", self.closing)
        return {"type": "websocket.disconnect", "code": code, "reason": reason}

    def _may_receive(self) -> bool:
        return not self._connected or bool(self._inbox) or self.closing is not None

    async def send(self, message: Message) -> None:
        """Take a message from the app.

        :raises RuntimeError: if the message is not allowed at this point.
        :raises ValueError: if it cannot be sent.
        :raises ClientLeft: if the client has left.
        """
        kind, offered = message["type"], self._scope.get("extensions") or {}
        known = (self.state, kind) in _STATES
        if not known or (kind.startswith(_DENIAL) and _DENIAL not in offered):
            raise RuntimeError(
                f"The app sent {kind!r}, which has no place here: the websocket is {self.state!r},"
                f" the offered extensions are {sorted(offered)}."
            )
        await anyio.lowlevel.checkpoint()
        if kind != "websocket.close":
            self._check_presence()
        await getattr(self, "_take_" + kind.rpartition(".")[2])(message)

    def _check_presence(self) -> None:
        if self._left:
            raise ClientLeft("The client has left; nobody gets what the app sends.")

    def _enter(self, kind: str) -> None:
        self.state = _STATES[self.state, kind]
        self._changed()

    async def _take_accept(self, message: Message) -> None:
        headers, subprotocol = headers_of(message), message.get("subprotocol")
        if any(name.lower() == b"sec-websocket-protocol" for name, _ in headers):
            raise ValueError("The subprotocol is no header of 'websocket.accept', but a key of it.")
        if subprotocol is not None:
            headers.append((b"sec-websocket-protocol", subprotocol.encode("ascii")))
        self.status, self.headers, self.subprotocol = 101, headers, subprotocol
        self._enter(message["type"])

    async def _take_close(self, message: Message) -> None:
        code, reason = message.get("code", 1000), message.get("reason") or ""
        if self.state == "connecting":
            self.status, code, reason = 403, 1006, ""
        else:
            check_closing(code, reason)
        self._enter(message["type"])
        self._end(code, reason)

    async def _take_start(self, message: Message) -> None:
        status, headers = message["status"], headers_of(message)
        if not 200 <= status <= 599:
            raise ValueError(f"{status} is no status of a response that refuses a websocket.")
        self.status, self.headers = status, headers
        self._enter(message["type"])

    async def _take_body(self, message: Message) -> None:
        self.body += message.get("body", b"")
        if not message.get("more_body", False):
            self._enter(message["type"])
            self._end(1006, "")

    async def _take_send(self, message: Message) -> None:
        data = _data_of(message)
        await self._until(lambda: self.closing is not None or self._has_room())
        self._check_presence()
        if self.state != "open":
            raise RuntimeError("The app closed the websocket while it waited to send a message.")
        self._outbox.append(data)
        self._outbox_bytes += _size(data)
        self._changed()

    def _has_room(self) -> bool:
        return len(self._outbox) < QUEUE or (self._putting > 0 and not self._crossed())


def _data_of(message: Message) -> Data:
    """Return what a ``websocket.send`` carries.

    :raises ValueError: if that is nothing, or two things, or text that UTF-8 has no bytes for.
    """
    text, data = message.get("text"), message.get("bytes")
    if (text is None) == (data is None):
        raise ValueError(
            "A 'websocket.send' carries either 'text' or 'bytes'; this one has"
            f" {'neither' if text is None else 'both'}."
        )
    if text is not None and isinstance(text, str):
        text.encode()
        return text
    if data is not None and isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(
        f"A 'websocket.send' carries a str as 'text' or bytes as 'bytes', not {text or data!r}."
    )


def _size(data: Data) -> int:
    return len(data) + _OVERHEAD
