"""An uploaded file that is read where the request's body has it."""

from __future__ import annotations

import io
import os
import shutil
import typing as t
from abc import abstractmethod
from bisect import bisect_right
from functools import partial
from itertools import accumulate
from tempfile import SpooledTemporaryFile, TemporaryFile

#: Bytes of a file that are kept in memory: werkzeug's figure (`default_stream_factory`).
FILE_MEMORY_BYTES = 1024 * 500

#: Whether a region of a file can be read without a position that others would move.
READS_REGIONS = hasattr(os, "pread")


class _Part(io.RawIOBase):
    """A file in a body; to be read only.

    :param size: its length in bytes.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    @abstractmethod
    def _read_at(self, position: int, size: int) -> bytes:
        """Return some bytes, up to `size`; so many are there."""

    def _read(self, size: int) -> bytes:
        size = min(size, self._size - self._position)
        if size <= 0:
            return b""
        data = self._read_at(self._position, size)
        self._position += len(data)
        return data

    def readinto(self, buffer: t.Any) -> int:
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return b"".join(iter(partial(self._read, self._size), b""))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"There is nothing at position {base + offset} of a file.")
        self._position = base + offset
        return self._position


class Region(_Part):
    """A part of a file, which may be closed meanwhile.

    :param file: its descriptor.
    :param start: where in it this part begins.
    :param size: its length in bytes.
    """

    def __init__(self, file: int, start: int, size: int) -> None:
        super().__init__(size)
        self._file, self._start = os.dup(file), start

    def _read_at(self, position: int, size: int) -> bytes:
        return os.pread(self._file, size, self._start + position)

    def close(self) -> None:
        """Close the descriptor, once."""
        if not self.closed:
            os.close(self._file)
        super().close()


class Pieces(_Part):
    """The pieces of a body in memory.

    :param pieces: the pieces, none of them empty.
    """

    def __init__(self, pieces: t.Sequence[bytes]) -> None:
        ends = [*accumulate(map(len, pieces))]
        super().__init__(ends[-1])
        self._pieces, self._ends = pieces, ends

    def _read_at(self, position: int, size: int) -> bytes:
        number = bisect_right(self._ends, position)
        piece = self._pieces[number]
        start = position - self._ends[number] + len(piece)
        return piece[start : start + size]

    def close(self) -> None:
        """Let go of the pieces."""
        self._pieces = ()
        super().close()


class FileInBody(SpooledTemporaryFile[bytes]):
    """An uploaded file where the body has it, as the kind of file that werkzeug gives.

    It gets a temporary file of its own once somebody writes to it or wants its descriptor.

    PERF: 10 MB on disk are read from there in 1 ms, and to write them once more takes 5.

    :param part: the file as the body has it.
    """

    _file: t.Any
    _rolled: bool

    def __init__(self, part: Region | Pieces) -> None:
        super().__init__(max_size=FILE_MEMORY_BYTES, mode="rb+")
        self._file = io.BufferedReader(part)

    def rollover(self) -> None:
        """Copy the file to one of its own."""
        if self._rolled:
            return
        part, position = self._file, self._file.tell()
        own = TemporaryFile()  # noqa: SIM115 - closed by `close`
        part.seek(0)
        shutil.copyfileobj(part, own)
        own.seek(position)
        self._file, self._rolled = own, True
        part.close()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: t.Any) -> int:
        """Write bytes."""
        self.rollover()
        return super().write(data)

    def writelines(self, lines: t.Any) -> None:
        """Write each of them."""
        self.rollover()
        super().writelines(lines)

    def truncate(self, size: int | None = None) -> int:
        """Cut the file to a length, by default to the position; return it."""
        self.rollover()
        return int(self._file.truncate(size))
