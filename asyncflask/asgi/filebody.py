"""A file as a response's body, read in the app's budget for files.

States: *open* -> *over*, when the last piece was read or nobody wants the rest; then it is closed.

One piece is read at a time: on the event loop, where the system has it in memory, else by
whichever thread is free. Between two pieces none is kept, however slowly the client reads. What is
not plainly a file on disk, or is to be changed on its way, is a body like any other, and made in
the request's own thread.
"""

from __future__ import annotations

import io
import os
import stat
import typing as t
from functools import partial

from werkzeug.wsgi import FileWrapper, _RangeWrapper

from ..budgets import FILES
from ..workers import Lane
from .cached import CachedFile

#: Bytes that are read at once. PERF: 16 MiB over loopback cost the server 5 ms, in pieces of 64 KiB
#: 13 ms. A client that does not read keeps two pieces: one with the server, one that waits.
PIECE_BYTES = 262_144

#: Bytes that are read in the thread that opened the file, though the event loop could. PERF: what
#: one message sends is made there, which leaves 25 us less to the loop.
SHORT_BYTES = 65_536

#: The message that names a file for the server to send, and the extension that offers it.
BY_PATH = "http.response.pathsend"


class FileBody:
    """A file on its way to the client.

    :param app: the app, which lends the threads.
    :param blocks: the file, or a range of it, as werkzeug wraps it.
    :param length: how many bytes the headers say that it has, if they do.
    """

    #: Whether all of it was read, or is not wanted; it is closed then.
    over = False

    #: The path of the file, if the server is to send it; it is closed here then.
    path: str | None = None

    _ready: bytes | None = None
    _lane: Lane | None = None
    _cached: CachedFile | None = None

    def __init__(self, app: t.Any, blocks: FileWrapper | _RangeWrapper, length: int | None) -> None:
        self.app, self._blocks, self._length = app, blocks, length
        self._size = PIECE_BYTES
        if isinstance(blocks, FileWrapper):
            blocks.buffer_size = self._size
        else:
            # One byte more than the range has: what is shorter than what was asked for is the end.
            self._size = min(self._size, (blocks.byte_range or 0) + 1)
            t.cast("FileWrapper", blocks.iterable).buffer_size = self._size

    def prepare(self, wanted: bool, by_path: bool) -> None:
        """Read the first piece ahead, or leave it to the loop, or close the file; in a thread.

        :param wanted: whether the response has a body.
        :param by_path: whether the server sends files of which it is told the path.
        """
        if wanted and by_path:
            self.path = self._find_path()
        if not wanted or self.path is not None:
            self.close()
        elif min(self._size, self._length or self._size) <= SHORT_BYTES or not self._look():
            self._ready = self._read()

    async def prepare_here(self, by_path: bool) -> None:
        """Read the first piece ahead, or have it prepared, if that was not done; on the loop."""
        if self._ready is not None or self.over:
            return
        if by_path and self._cached is None:
            await self._call(partial(self.prepare, True, by_path))
        elif not self._look() or not self._read_at_once():
            self._ready = await self._call(self._read)

    def _look(self) -> bool:
        """Look, if that was not done, whether the file's next piece may be in memory."""
        if self._cached is None:
            cached = self._as_cached()
            if cached is not None and cached.is_there():
                self._cached = cached
        return self._cached is not None

    def _as_cached(self) -> CachedFile | None:
        blocks, at, stop = self._blocks, None, None
        if isinstance(blocks, _RangeWrapper):
            if blocks.read_length:  # a part of it was read; only it knows how much
                return None
            at, stop = blocks.start_byte, blocks.end_byte
            blocks = t.cast("FileWrapper", blocks.iterable)
        if type(blocks.file) is not io.BufferedReader:
            return None
        return CachedFile(blocks.file, at, stop, self._length)

    def _find_path(self) -> str | None:
        """Return where the whole of the file is found, if it is that very file; in a thread.

        Another one may have taken its place, or it may be longer by now than the headers say.
        """
        file = self._blocks.file if isinstance(self._blocks, FileWrapper) else None
        name = getattr(file, "name", None)
        if file is None or not isinstance(name, (str, os.PathLike)) or file.tell():
            return None
        path = os.path.abspath(name)
        try:
            there, here = os.stat(path), os.fstat(file.fileno())
        except (OSError, ValueError):
            return None
        told = self._length in (None, there.st_size)
        return path if told and os.path.samestat(there, here) else None

    def as_message(self) -> dict[str, t.Any] | None:
        """Return what sends all of it, if one message does."""
        if self.path is not None:
            return {"type": BY_PATH, "path": self.path}
        return {"type": "http.response.body", "body": self.take()} if self.over else None

    def take(self) -> bytes:
        """Return the piece that was read ahead."""
        ready, self._ready = self._ready, None
        return ready or b""

    async def pieces(self) -> t.AsyncGenerator[bytes, None]:
        """Give piece after piece, to the end; none is kept here."""
        if self._ready is not None:
            yield self.take()
        while not self.over:
            if not self._read_at_once():
                self._ready = await self._call(self._read)
            # NOTE: a piece has no name here: it is gone before there is memory for the next
            yield self.take()

    async def aclose(self) -> None:
        """Close the file, if it is open; in a thread."""
        self._ready = None
        if not self.over:
            await self._call(self.close)

    async def _call(self, func: t.Callable[[], t.Any]) -> t.Any:
        if self._lane is None:
            self._lane = Lane(self.app._pool(FILES))
        return await self._lane.start(func).outcome()

    def _read_at_once(self) -> bool:
        """Read a piece ahead, if the system has all of it in memory; on the loop."""
        cached = self._cached
        if cached is None:
            return False
        self._ready = cached.read(PIECE_BYTES)
        if cached.ended:
            self.close()
        return self._ready is not None

    def _read(self) -> bytes:
        """Read a piece; in a thread."""
        piece, cached, ended = b"", self._cached, True
        try:
            if cached is not None:
                piece = cached.read_waiting(PIECE_BYTES)
                ended = cached.ended
            else:
                piece = next(self._blocks, b"")
                ended = len(piece) < self._size
        finally:
            if ended:
                self.close()
        return piece

    def close(self) -> None:
        """Close the file: in a thread, or on the loop, if it was read there without a wait."""
        self.over = True
        self._blocks.close()


def as_file(app: t.Any, response: t.Any) -> FileBody | None:
    """Make a response's body a `FileBody`, and return it, if it is a file to be sent as it is."""
    if not response.direct_passthrough:
        return None
    body = response.response
    if isinstance(body, FileBody):
        return body
    if not _is_file(body):
        return None
    response.response = made = FileBody(app, body, response.content_length)
    return made


def _is_file(body: t.Any) -> bool:
    """Whether a body is a file that any thread may read, and that never waits for anybody."""
    if type(body) is _RangeWrapper:
        body = body.iterable
    if type(body) is not FileWrapper:
        return False
    file = body.file
    if type(file) is io.BytesIO:
        return True
    if type(file) not in (io.BufferedReader, io.BufferedRandom) or file.closed:
        return False
    raw = t.cast("io.BufferedReader", file).raw
    return type(raw) is io.FileIO and stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
