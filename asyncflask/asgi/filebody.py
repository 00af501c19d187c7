"""A file as a response's body, read in the app's budget for files.

States: *open* -> *over*, when the last piece was read or nobody wants the rest; then it is closed.

One piece is read at a time, by whichever thread is free. Between two pieces none is kept, however
slowly the client reads. What is not plainly a file on disk, or is to be changed on its way, is a
body like any other, and made in the request's own thread.
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

#: Bytes that are read at once. PERF: 16 MiB over loopback cost the server 5 ms, in pieces of 64 KiB
#: 13 ms. A client that does not read keeps two pieces: one with the server, one that waits.
PIECE_BYTES = 262_144

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
        """Read the first piece ahead, in the thread that opened the file; or close it there.

        :param wanted: whether the response has a body.
        :param by_path: whether the server sends files of which it is told the path.
        """
        if wanted and by_path:
            self.path = self._find_path()
        if wanted and self.path is None:
            self._ready = self._read()
        else:
            self.close()

    async def prepare_here(self, by_path: bool) -> None:
        """Have that done, if it was not; on the loop."""
        if self._ready is None and not self.over:
            await self._call(partial(self.prepare, True, by_path))

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
        yield self.take()
        while not self.over:
            yield await self._call(self._read)

    async def aclose(self) -> None:
        """Close the file, if it is open; in a thread."""
        self._ready = None
        if not self.over:
            await self._call(self.close)

    async def _call(self, func: t.Callable[[], t.Any]) -> t.Any:
        if self._lane is None:
            self._lane = Lane(self.app._pool(FILES))
        return await self._lane.start(func).outcome()

    def _read(self) -> bytes:
        piece = b""
        try:
            piece = next(self._blocks, b"")
        finally:
            if len(piece) < self._size:
                self.close()
        return piece

    def close(self) -> None:
        """Close the file; in a thread."""
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
