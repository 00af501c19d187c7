"""A request's body, on its way into the app: nothing is pulled before the app asks for it."""

from __future__ import annotations

import inspect
import typing as t
from collections.abc import Callable, Iterator

import anyio
import anyio.lowlevel
import httpx
from starlette.types import Message

from .tasks import DetachedTask

#: Bytes of one message made of a body that lies in memory: what servers read from a socket at once.
PIECE = 64 * 1024


class RequestBody(t.Protocol):
    """What the app's `receive` reads from."""

    error: BaseException | None  # what the client's own iterable raised, if it did
    on_failure: Callable[[], None]  # called when that happens

    async def read(self) -> Message | None:
        """Return the next ``http.request`` message; None after the last one."""

    def abandon(self) -> None:
        """Let a waiting `read` return None, and pull nothing more."""

    async def close(self) -> None:
        """Release the client's iterable."""


def request_body(stream: httpx.AsyncByteStream) -> RequestBody:
    """Return the body that `stream` stands for."""
    if isinstance(stream, httpx.ByteStream):
        return BodyInMemory(b"".join(stream))
    return StreamedBody(stream)


class BodyInMemory:
    """A body that is known as a whole: one message, or several if it is large."""

    def __init__(self, content: bytes) -> None:
        self.error: BaseException | None = None
        self.on_failure: Callable[[], None] = _nothing
        self._messages = _messages(content)

    async def read(self) -> Message | None:
        """Return the next ``http.request`` message; None after the last one."""
        await anyio.lowlevel.checkpoint()
        return next(self._messages, None)

    def abandon(self) -> None:
        """Pull nothing more: there is nothing to pull from."""

    async def close(self) -> None:
        """Release nothing: there is no iterable."""


class StreamedBody:
    """A body that an async iterable produces; one message per chunk.

    The iterable runs in one task of its own, so that it may hold task groups and timeouts across
    its ``yield``, and so that an app that gives up on `receive` does not cancel it.

    :param stream: the iterable.
    """

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self.error: BaseException | None = None
        self.on_failure: Callable[[], None] = _nothing
        self._stream = stream
        self._message: Message = {}
        self._pulling = False  # a chunk was asked for and not yet taken
        self._finished = False  # the last message was taken
        self._abandoned = False
        self._lock = anyio.Lock()  # an app may call `receive` from several tasks
        self._wanted = anyio.Event()
        self._arrived = anyio.Event()
        self._task: DetachedTask | None = None

    async def read(self) -> Message | None:
        """Return the next ``http.request`` message; None after the last one."""
        async with self._lock:
            if self._finished or self._abandoned:
                return None
            self._ask()
            await self._arrived.wait()
            if self._abandoned:
                return None
            self._pulling = False
            message = self._message
            self._finished = not message["more_body"]
            return message

    def _ask(self) -> None:
        if self._pulling:
            return  # by a reader that was cancelled before its chunk came
        self._pulling = True
        self._arrived = anyio.Event()
        if self._task is None:
            self._task = DetachedTask(self._produce, "request body")
        else:
            self._wanted.set()

    async def _produce(self) -> None:
        chunks = aiter(self._stream)
        try:
            async for chunk in chunks:
                await self._hand_over(chunk)
            self._message = _message(b"", more_body=False)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:
            self.error = error
            self.abandon()
            self.on_failure()
        finally:
            self._arrived.set()
            # Left open, a generator would be closed some time later, by the garbage collector.
            # httpx hides the caller's own in one of its own. A file stays its owner's to close.
            for source in (chunks, getattr(self._stream, "_stream", None)):
                await _close_generator(source)

    async def _hand_over(self, chunk: bytes) -> None:
        self._message = _message(chunk, more_body=True)
        self._arrived.set()
        await self._wanted.wait()
        self._wanted = anyio.Event()

    def abandon(self) -> None:
        """Let a waiting `read` return None, and pull nothing more."""
        self._abandoned = True
        self._arrived.set()
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """Cancel the iterable and wait until it is closed."""
        if self._task is not None:
            await self._task.stop()


async def _close_generator(source: object) -> None:
    if inspect.isasyncgen(source):
        with anyio.CancelScope(shield=True):
            await source.aclose()


def _messages(content: bytes) -> Iterator[Message]:
    for start in range(0, len(content) or 1, PIECE):
        end = start + PIECE
        yield _message(content[start:end], more_body=end < len(content))


def _message(body: bytes, *, more_body: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more_body}


def _nothing() -> None:
    pass
