"""The body of a request that came through ASGI.

States: nothing is known to be there (no ``Content-Length``, no ``Transfer-Encoding``) -> *open*:
messages may follow -> *complete*, or *cut off* when the client left before that.

Who reads, and where:

- Ahead, on the loop, before a handler runs: `read_ahead`, up to a bound that its caller chooses.
  What is beyond `MEMORY_BYTES` lies in a temporary file.
- Ahead, before sync code has a coroutine run on the loop: `read_for_loop`, which both use.
- On demand, in a lane's thread: the `reader` fetches the next message through the portal. One
  message at a time, so the client is held back by the server's flow control.
- On demand, on the loop, for a view with ``stream_body=True``: ``async for chunk in
  request.stream``.
"""

from __future__ import annotations

import io
import tempfile
import typing as t
from contextvars import Context
from functools import cached_property

import anyio.to_thread
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from .. import workers
from ..wrappers import Request
from .isolation import InContext

Receive = t.Callable[[], t.Awaitable[t.MutableMapping[str, t.Any]]]

#: Bytes of a body that are kept in memory; what is longer goes to a temporary file. Werkzeug's
#: figure for uploads and Flask's for form fields.
MEMORY_BYTES = 500_000

#: Bytes of a body that are read on the loop before a thread is taken, so that a slow client with
#: a small form occupies none. One read of uvicorn's gives at most as much.
SMALL_BYTES = 65_536

_TOO_LONG_TO_BUFFER = (
    "The request's body is longer than what is read ahead for an async handler. Raise"
    " MAX_CONTENT_LENGTH or MAX_BUFFERED_BODY, read it in a plain `def` view, or declare the route"
    " with stream_body=True and read it with `async for chunk in request.stream`."
)


class RequestBody:
    """A request's body over ASGI's messages.

    PERF: most requests have none, so that making one sets three attributes and opens nothing.

    :param notable: the values of the headers that say how long it is, by name.
    :param receive: the connection's ``receive``.
    :param context: the context variables to call it with (see `isolation`).
    """

    #: Bytes that may be read; beyond it, 413.
    limit: int | None = None

    #: Bytes that it has by its headers; None if only its end will tell.
    declared: int | None = 0

    #: Whether all of it has been received.
    complete = True

    #: Whether the client left before the end of the body.
    cut_off = False

    _held_bytes = 0
    _on_disk = False
    _rest = b""
    _taken = 0

    def __init__(
        self, notable: t.Mapping[bytes, list[bytes]], receive: Receive, context: Context
    ) -> None:
        self._server = receive, context
        if b"content-length" in notable or b"transfer-encoding" in notable:
            self.declared = _declared_length(notable)
            self.complete = self.declared == 0

    @cached_property
    def _receive(self) -> Receive:
        return InContext(*self._server)

    @cached_property
    def _held(self) -> t.IO[bytes]:
        """What was read ahead, from where the reader is."""
        return io.BytesIO()

    @cached_property
    def reader(self) -> BodyReader:
        """The body as a buffered file."""
        return BodyReader(_RawReader(self))

    async def read_ahead(self, limit: int) -> None:
        """Receive until the body is complete or more than `limit` bytes are held."""
        position = self._held.tell()
        self._held.seek(0, io.SEEK_END)
        while not self.complete and self._held_bytes <= limit:
            chunk = await self.next_message()
            self._held_bytes += len(chunk)
            if self._held_bytes > MEMORY_BYTES:
                await anyio.to_thread.run_sync(self._write_to_disk, chunk)
            else:
                self._held.write(chunk)
        self._held.seek(position)

    def _write_to_disk(self, chunk: bytes) -> None:
        if not self._on_disk:
            memory = t.cast("io.BytesIO", self._held)
            self._held = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `release`
            self._held.write(memory.getbuffer())
            self._on_disk = True
        self._held.write(chunk)

    async def next_message(self) -> bytes:
        """Receive one message and return its bytes; once the body is complete, nothing."""
        if self.complete:
            return b""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.cut_off = self.complete = True
            return b""
        self.complete = not message.get("more_body", False)
        return t.cast("bytes", message.get("body", b""))

    async def disconnected(self) -> None:
        """Return when the client has left; what it still sends is dropped."""
        while not self.cut_off:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.cut_off = self.complete = True

    def take(self, size: int) -> bytes:
        """Return up to `size` bytes of what is there next, waiting for them if need be.

        :raises ClientDisconnected: (400) if the client left before the end of the body.
        :raises RequestEntityTooLarge: (413) if more would have to be awaited on the event loop.
        """
        if not self._rest:
            self._rest = self._held.read(size) or self._wait_for_more()
        taken, self._rest = self._rest[:size], self._rest[size:]
        self._count(taken)
        return taken

    def _count(self, taken: bytes) -> None:
        self._taken += len(taken)
        if self.limit is not None and self._taken > self.limit:
            raise RequestEntityTooLarge

    def _wait_for_more(self) -> bytes:
        chunk = b""
        while not chunk and not self.complete:
            lane = workers.current()
            if lane is None:
                raise RequestEntityTooLarge(_TOO_LONG_TO_BUFFER)
            chunk = lane.call_async(self.next_message)
        self._check_whole(chunk)
        return chunk

    def _check_whole(self, chunk: bytes) -> None:
        if not chunk and self.cut_off:
            raise ClientDisconnected("The client left before it had sent the whole body.")

    async def chunks(self) -> t.AsyncIterator[bytes]:
        """Iterate over what is held and then over what arrives.

        :raises ClientDisconnected: (400) if the client left before the end of the body.
        """
        while held := (self._rest or self._held.read(SMALL_BYTES)):
            self._rest = b""
            self._count(held)
            yield held
        while not self.complete:
            chunk = await self.next_message()
            if chunk:
                self._count(chunk)
                yield chunk
        self._check_whole(b"")

    def release(self) -> None:
        """Close the temporary file, if there is one."""
        if self._on_disk:
            self._held.close()
            self._held = io.BytesIO()


class _RawReader(io.RawIOBase):
    """What a `BodyReader` buffers."""

    def __init__(self, body: RequestBody) -> None:
        self.body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        taken = self.body.take(len(buffer))
        buffer[: len(taken)] = taken
        return len(taken)


class BodyReader(io.BufferedReader):
    """The body as a file; in an async handler also with ``async for``."""

    raw: _RawReader

    @property
    def asgi_body(self) -> RequestBody:
        """What this reads: so that a request made from an environ finds it again."""
        return self.raw.body

    def __aiter__(self) -> t.AsyncIterator[bytes]:
        return self.raw.body.chunks()


def _declared_length(notable: t.Mapping[bytes, list[bytes]]) -> int | None:
    """Return how long the body will be; None if only its end tells (RFC 9112 section 6.3)."""
    if b"transfer-encoding" in notable:
        return None
    length = notable[b"content-length"][-1]
    return int(length) if length.isdigit() else None


async def read_for_loop(request: Request, config: t.Mapping[str, t.Any]) -> None:
    """Read a request's body ahead, as far as an async handler may use it without `await`.

    Nothing is read for a route with ``stream_body=True``, nor of a body that is declared to be
    longer than the limit: what reads it gets 413.
    """
    body = request.asgi_body
    if body is None or body.complete or getattr(request.url_rule, "stream_body", False):
        return
    limit = config["MAX_CONTENT_LENGTH"]
    bound = config["MAX_BUFFERED_BODY"] if limit is None else limit
    if (body.declared or 0) <= bound:
        await body.read_ahead(bound)
