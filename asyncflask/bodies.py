"""The body of a request, as far as it does not matter which server it comes from.

States: *open*, more may come -> *complete*, or *cut off* where the client left before that.

Who reads, and where:

- Ahead, before a coroutine runs that may use the body without `await`: `read_ahead`, up to a bound
  that its caller chooses. Where it is then is for `held` to say.
- On demand, in a thread: the `reader`, which gets one piece after the other, so that the client is
  held back by its server.
- On demand, on the loop, for a view with ``stream_body=True``: ``async for chunk in
  request.stream``.
"""

from __future__ import annotations

import io
import typing as t
from abc import ABC, abstractmethod

import anyio.to_thread
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from .exceptions import BodyTimeout
from .held import Held
from .unlocked import cached_property

#: Bytes that are written to a temporary file at once, about as many as are kept in memory in any
#: case. PERF: each write is a thread's; 10 MB in pieces of 64 KiB took 150 hops, and now 19.
WRITE_BYTES = 524_288

#: Bytes that are handed on at once, of what was read ahead.
CHUNK_BYTES = 65_536

TOO_LONG_TO_BUFFER = (
    "The request's body is longer than what is read ahead for an async handler. Raise"
    " MAX_CONTENT_LENGTH or MAX_BUFFERED_BODY, read it in a plain `def` view, or declare the route"
    " with stream_body=True and read it with `async for chunk in request.stream`."
)


class Body(ABC):
    """A request's body; where it comes from is for a subclass to say.

    :param declared: its length in bytes; None if only its end tells.
    """

    #: Bytes that may be read; beyond it, 413.
    limit: int | None = None

    #: Whether the client left before the end of the body.
    cut_off = False

    #: Whether it was given up, because the client was silent for too long in the middle of it.
    timed_out = False

    #: Whether the response has begun while the request is still being worked on.
    answered = False

    #: Whether some of it was let go of unread, when its request was over.
    lost = False

    #: What was read ahead and is no one short piece, from where the reader is.
    _held: Held | None = None

    #: Whether there is a `reader`.
    _has_reader = False

    # PERF: none of these is looked for in the object's `__dict__`, which making it takes 0.3 us.

    _held_bytes = 0
    _rest = b""
    _taken = 0

    def __init__(self, declared: int | None) -> None:
        self.declared = declared
        self.complete = declared == 0

    @abstractmethod
    async def next_chunk(self) -> bytes:
        """Wait for the next piece and return it; once the body is complete, nothing."""

    @abstractmethod
    def next_chunk_here(self) -> bytes:
        """Do as `next_chunk`, in a thread.

        :raises RequestEntityTooLarge: (413) if this is a thread that must not wait.
        """

    async def has_left(self) -> bool:
        """Return whether the client has left, as far as that is known: WSGI servers do not tell."""
        return False

    async def watch(self, left: t.Callable[[], t.Any]) -> None:
        """Call `left` when the client has left, if the server tells."""
        return

    async def send_links(self, links: list[bytes]) -> bool:
        """Send links ahead of the response; return whether the server takes them."""
        return False

    def is_at_hand(self) -> bool:
        """Receive a short body that is there already; return whether it was, and all of it."""
        return False

    @cached_property
    def reader(self) -> BodyReader:
        """The body as a buffered file."""
        self._has_reader = True
        return BodyReader(_RawReader(self))

    async def read_ahead(self, limit: int, memory: int = 0) -> None:
        """Read until the body is complete or more than `limit` bytes are held.

        :param memory: bytes that all bodies of the process may have in memory together, beyond what
            each may in any case.
        """
        if self.complete or self._held_bytes > limit:
            return
        chunk = await self.next_chunk()
        if self.complete and len(chunk) <= CHUNK_BYTES and self._is_untouched:
            # PERF: so, and read by `read_all`, a form of ten fields takes 101 us, not 122.
            self._rest = chunk
            self._held_bytes = len(chunk)
        else:
            await self._hold(chunk, limit, memory)

    async def _hold(self, chunk: bytes, limit: int, memory: int) -> None:
        """Hold a piece, and what comes behind it."""
        held = self._held = self._held or Held()
        waiting: list[bytes] = []
        size = 0
        while True:
            self._held_bytes += len(chunk)
            if not held.keep(chunk, memory):
                waiting.append(chunk)
                size += len(chunk)
            if size >= WRITE_BYTES or (waiting and held.file is None):
                await self.in_thread(held.write, waiting)
                waiting, size = [], 0
            if self.complete or self._held_bytes > limit:
                break
            chunk = await self.next_chunk()
        if waiting:
            await self.in_thread(held.write, waiting)

    async def in_thread(self, func: t.Callable[[list[bytes]], None], chunks: list[bytes]) -> None:
        """Call a function that writes to a disk."""
        await anyio.to_thread.run_sync(func, chunks)

    @property
    def _is_untouched(self) -> bool:
        """Whether nothing was held or taken so far."""
        return not (self._taken or self._rest or self._held)

    def restrict(self, limit: int | None) -> None:
        """Let no more than so many bytes be read.

        :raises RequestEntityTooLarge: (413) if it is declared to be longer.
        """
        self.limit = limit
        if limit is not None and (self.declared or 0) > limit:
            raise RequestEntityTooLarge

    def read_all(self, limit: int | None = None) -> bytes:
        """Return all that is left.

        :param limit: as for `restrict`, whose errors this raises, besides those of `take`.
        """
        if limit is None:
            self.limit = None
        else:
            self.restrict(limit)
        rest = self._rest
        if rest and self.complete and self._held is None:  # PERF: 1 us less, for most bodies
            self._rest = b""
            if limit is None:
                self._taken += len(rest)
            else:
                self._count(rest)
            return rest
        return b"".join(iter(self.take_piece, b""))

    def held_whole(self) -> Held | None:
        """Return what holds the whole body, while nobody has read any of it."""
        held = self._held
        if held is None or held.closed or not self.complete or self._taken or self._rest:
            return None
        return held

    def take_piece(self) -> bytes:
        """Return what is there next as it came, which may be long; else as `take`.

        PERF: nothing is cut, nor copied: 10 MB in pieces of 256 KiB cost 0.01 ms, not 1.
        """
        held = self._held
        if self._rest or held is None or self.lost:
            return self.take(CHUNK_BYTES)
        piece = held.next_piece(CHUNK_BYTES) or self._wait_for_more()
        self._count(piece)
        return piece

    def take(self, size: int) -> bytes:
        """Return up to `size` bytes of what is there next, waiting for them if need be.

        :raises ClientDisconnected: (400) if the client left before the end of the body.
        :raises BodyTimeout: (408) if it was silent for too long.
        :raises RequestEntityTooLarge: (413) if more would have to be awaited on the event loop.
        """
        if not self._rest:
            self._rest = self._read_held(size) or self._wait_for_more()
        taken, self._rest = self._rest[:size], self._rest[size:]
        self._count(taken)
        return taken

    def _read_held(self, size: int) -> bytes:
        if self.lost:  # NOTE: no ValueError, which werkzeug takes for a form without fields
            raise RuntimeError(
                "The request's body is read after the request is over, and is gone by now. Read it"
                " before the response is sent, and hand what you need of it to what runs later."
            )
        return b"" if self._held is None else self._held.read(size)

    def _count(self, taken: bytes) -> None:
        self._taken += len(taken)
        if self.limit is not None and self._taken > self.limit:
            raise RequestEntityTooLarge

    def _wait_for_more(self) -> bytes:
        chunk = b""
        while not chunk and not self.complete:
            chunk = self.next_chunk_here()
        self._check_whole(chunk)
        return chunk

    def _check_whole(self, chunk: bytes) -> None:
        if not chunk and self.timed_out:
            raise BodyTimeout
        if not chunk and self.cut_off:
            raise ClientDisconnected("The client left before it had sent the whole body.")

    async def chunks(self) -> t.AsyncIterator[bytes]:
        """Iterate over what is held and then over what arrives.

        :raises ClientDisconnected: (400) if the client left before the end of the body.
        :raises BodyTimeout: (408) if it was silent for too long.
        """
        while held := (self._rest or self._read_held(CHUNK_BYTES)):
            self._rest = b""
            self._count(held)
            yield held
        while not self.complete:
            chunk = await self.next_chunk()
            if chunk:
                self._count(chunk)
                yield chunk
        self._check_whole(b"")

    def release(self) -> None:
        """Let go of the reader, so that no circle stays, and of what is held at others' cost."""
        if self._has_reader:
            self._has_reader = False
            del self.reader
        if self._held is not None and self._held.is_costly:
            self._let_go()

    def _let_go(self) -> None:
        """Close what holds the bytes that were read ahead."""
        held = self._held = self._held or Held()
        if not held.closed:
            self.lost = bool(self._rest or held.read(1))
            self._rest = b""
            held.close()


class _RawReader(io.RawIOBase):
    """What a `BodyReader` buffers."""

    def __init__(self, body: Body) -> None:
        self.body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        taken = self.body.take(len(buffer))
        buffer[: len(taken)] = taken
        return len(taken)

    def readall(self) -> bytes:
        """Return all that is left. PERF: 1 MiB in 20 us, by `io`'s own pieces of 8 KiB in 700."""
        return self.body.read_all(self.body.limit)


class BodyReader(io.BufferedReader):
    """The body as a file; in an async handler also with ``async for``."""

    raw: _RawReader

    @property
    def asgi_body(self) -> Body:
        """What this reads: so that a request made from an environ finds it again."""
        return self.raw.body

    def __aiter__(self) -> t.AsyncIterator[bytes]:
        return self.raw.body.chunks()
