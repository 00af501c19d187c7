"""Bytes from a worker thread to the event loop."""

from __future__ import annotations

import threading
import typing as t
from collections import deque

from .exceptions import PipeClosed
from .pools import Pool


class Pipe:
    """Bytes from a lane's thread to the loop, with back-pressure.

    What was written since the reader last looked is read as one piece, so small chunks coalesce
    without ever waiting for one another.

    :param pool: the pool of the writer's lane.
    :param limit: how many bytes may wait; the writer blocks beyond.
    """

    def __init__(self, pool: Pool, limit: int = 65536) -> None:
        self.pool, self.limit = pool, limit
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._ended = self.closed = False
        self._room = threading.Condition()
        self._waiter: t.Any = None

    def write(self, chunk: bytes) -> None:
        """Add a chunk; in the writer's thread.

        :raises PipeClosed: if the reader went away.
        """
        with self._room:
            if self._size >= self.limit and not self.closed:
                self._wait_for_room()
            if self.closed:
                raise PipeClosed
            self._chunks.append(chunk)
            self._size += len(chunk)
        self.pool.post(self._wake)

    def _wait_for_room(self) -> None:
        self.pool.hold(1)  # the client's pace is not this thread's work, nor other requests' wait
        try:
            while self._size >= self.limit and not self.closed:
                self._room.wait()
        finally:
            self.pool.hold(-1)

    def end(self) -> None:
        """Say that nothing more is written; in the writer's thread."""
        self._ended = True
        self.pool.post(self._wake)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def read(self) -> bytes | None:
        """Return all that waits as soon as something does; None at the end."""
        while not self._chunks:
            if self._ended:
                return None
            self._waiter = self.pool.loop.waiter()
            await self._waiter
        with self._room:
            chunk = self._chunks.popleft() if len(self._chunks) == 1 else b"".join(self._chunks)
            self._chunks.clear()
            self._size = 0
            self._room.notify()
        return chunk

    def close(self) -> None:
        """Go away as a reader: the writer's next `write` fails."""
        with self._room:
            self.closed = True
            self._room.notify()
