"""One request and its response, handed to and fro between a client's task and the app's.

What the app may send, and when:

===== ================================= =================================
state message                           new state
===== ================================= =================================
start ``http.response.start``           body
body  ``http.response.body``            body, or after the last one: done
body  ``http.response.pathsend`` *      done
done  ``http.response.trailers`` **     done
===== ================================= =================================

``*`` and ``http.response.early_hint``, ``.debug`` and ``.push`` before the start: only if the scope
offers the extension of that name. ``**`` only if the start announced trailers; they are dropped.
Anything else is an error in the app, and is raised where the app sends it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
from starlette.types import ASGIApp, Message, Scope

from .request_body import PIECE, RequestBody
from .tasks import DetachedTask

#: What an extension allows before the response starts: the client may look at it, no more.
_ASIDES = ("http.response.early_hint", "http.response.debug", "http.response.push")

#: A token (RFC 9110 section 5.6.2), such as a header's name or a subprotocol.
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_IN_NO_VALUE = re.compile(rb"[\r\n\0]")


def headers_of(message: Message) -> list[tuple[bytes, bytes]]:
    """Return the headers that the app's message carries.

    :raises TypeError: if they are not pairs of bytes.
    :raises ValueError: if no server would send them.
    """
    headers = [(name, value) for name, value in message.get("headers", ())]
    for name, value in headers:
        if not (isinstance(name, bytes) and isinstance(value, bytes)):
            raise TypeError(f"ASGI headers are pairs of bytes, not {(name, value)!r}.")
    check_headers(headers)
    return headers


def check_headers(headers: t.Iterable[tuple[bytes, bytes]]) -> None:
    """Refuse what no client and no server puts on the wire, such as a line break in a value.

    :raises ValueError: if a name is no token, or a value has a CR, LF or NUL (RFC 9110 section 5).
    """
    for name, value in headers:
        if not TOKEN.fullmatch(name) or _IN_NO_VALUE.search(value):
            raise ValueError(
                f"The header {name!r}: {value!r} cannot be sent: its name has to be a token, and"
                " its value must not have a CR, LF or NUL in it."
            )


class Exchange:
    """Runs the app for one request, in a task of its own.

    The app's `send` waits until the client has taken the chunk: nothing is buffered.

    :param app: the ASGI app; it is started at once.
    :param scope: the ASGI connection scope.
    :param body: the request's body.
    :param grace: seconds that the app gets to end by itself once nobody listens any more.
    """

    def __init__(self, app: ASGIApp, scope: Scope, body: RequestBody, grace: float) -> None:
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.asides: list[Message] = []  # early hints and the like
        self._scope = scope
        self._body = body
        self._grace = grace
        self._offered = frozenset(scope.get("extensions") or ())
        self._state = "start"
        self._trailers = False  # announced by the app
        self._promised: int | None = None  # bytes that Content-Length leaves to be sent
        self.gone = False  #: the client left before the response was complete
        self._started = anyio.Event()
        self._over = anyio.Event()  # the response is complete, or the client is gone
        self._outbox, self._inbox = anyio.create_memory_object_stream[bytes](0)
        body.on_failure = self.disconnect
        self._task = DetachedTask(lambda: self._run(app), f"{scope['method']} {scope['path']}")

    @property
    def client_failed(self) -> bool:
        """Whether it was the client that failed, in producing the request's body."""
        return self._body.error is not None

    @property
    def complete(self) -> bool:
        """Whether the app has sent the whole response."""
        return self._state == "done"

    # The client's side

    async def response_started(self) -> bool:
        """Wait for the start of the response; False if there will be none."""
        await self._started.wait()
        return self.status is not None and self._body.error is None

    async def read(self) -> bytes | None:
        """Return the next chunk of the body; None after the last one, when the app has ended."""
        try:
            return await self._inbox.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            await self.close()
            return None

    async def close(self) -> None:
        """End this exchange; once this returns, the app has ended.

        An app that has sent everything, and does its last work, is waited for. Any other is told
        that the client is gone, and cancelled if that does not end it within the grace period.
        """
        try:
            if self.complete:
                await self._task.wait()
        finally:
            self.disconnect()
            await self._task.stop(self._grace)
            await self._body.close()

    def disconnect(self) -> None:
        """Let the app see that the client is gone, unless it has ended or sent everything."""
        self.gone = self.gone or not (self.complete or self._task.ended)
        self._settle()

    async def _run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self.receive, self.send)
        finally:
            self._settle()

    def _settle(self) -> None:
        """Wake up everybody who waits for the other side."""
        self._body.abandon()
        self._inbox.close()
        self._outbox.close()
        self._over.set()
        self._started.set()

    def failure(self) -> BaseException | None:
        """Return what went wrong, once the exchange is closed; None if nothing did.

        The client's own failure to produce the request's body comes first: whatever the app did
        after it, it did because of it.
        """
        error = self._body.error or self._task.failure()
        if error is not None or self.gone or self.complete:
            return error
        undone = "starting" if self.status is None else "completing"
        return RuntimeError(
            f"The app returned without {undone} its response to {self._scope['method']}"
            f" {self._scope['path']}. A response is an 'http.response.start' message and"
            " 'http.response.body' messages, the last one without 'more_body'."
        )

    # The app's side

    async def receive(self) -> Message:
        """Return the next piece of the request's body, then wait for the end of the exchange."""
        if not self._over.is_set():
            message = await self._body.read()
            if message is not None:
                return message
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a message from the app.

        :raises RuntimeError: if the message is not allowed at this point, or if there are more or
            fewer bytes than ``Content-Length`` says.
        """
        if self.gone:
            await anyio.lowlevel.checkpoint()  # as servers do: it goes nowhere, silently
            return
        kind = message["type"]
        take = self._handler(kind)
        if take is None:
            raise RuntimeError(
                f"The app sent {kind!r}, which has no place here: the state of the response is"
                f" {self._state!r}, the offered extensions are {sorted(self._offered)}."
            )
        await take(message)

    def _handler(self, kind: str) -> Callable[[Message], Awaitable[None]] | None:
        if kind == "http.response.start" and self._state == "start":
            return self._take_start
        if kind == "http.response.body" and self._state == "body":
            return self._take_body
        if kind == "http.response.trailers" and self.complete and self._trailers:
            return self._take_aside
        if kind not in self._offered:
            return None
        if kind == "http.response.pathsend" and self._state == "body":
            return self._take_path
        return self._take_aside if kind in _ASIDES and self._state == "start" else None

    async def _take_start(self, message: Message) -> None:
        headers = headers_of(message)
        for name, value in headers:
            if name.lower() == b"content-length":
                self._promised = int(value)
        if self._scope["method"] == "HEAD" or message["status"] in (204, 304):
            self._promised = None
        self.status, self.headers = message["status"], headers
        self._trailers = message.get("trailers", False)
        self._state = "body"
        self._started.set()

    async def _take_body(self, message: Message) -> None:
        more = message.get("more_body", False)
        await self._pass_on(message.get("body", b""))
        if not more and not self.gone:
            self._finish()

    async def _take_path(self, message: Message) -> None:
        async with await anyio.open_file(message["path"], "rb") as file:
            while chunk := await file.read(PIECE):
                await self._pass_on(chunk)
        if not self.gone:
            self._finish()

    async def _take_aside(self, message: Message) -> None:
        self.asides.append(message)

    async def _pass_on(self, chunk: bytes) -> None:
        if self._promised is not None:
            self._promised -= len(chunk)
            if self._promised < 0:
                raise RuntimeError("The response's body is longer than its Content-Length.")
        if not chunk or self._scope["method"] == "HEAD":
            await anyio.lowlevel.checkpoint()
            return
        try:
            await self._outbox.send(chunk)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.disconnect()

    def _finish(self) -> None:
        if self._promised:
            raise RuntimeError(
                f"The response's body ends {self._promised} bytes before its Content-Length."
            )
        self._state = "done"
        self._outbox.close()
        self._body.abandon()
        self._over.set()
