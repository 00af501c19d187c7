"""Reading a file on the event loop, which waits for no disk: what the system has in memory of it.

Linux reads a file with ``RWF_NOWAIT`` only as far as its pages are in memory (preadv2(2)). Where
the system or the file system cannot do that, nothing is read here, and files stay with the threads.
"""

from __future__ import annotations

import io
import os

_NO_WAIT: int | None = getattr(os, "RWF_NOWAIT", None)


class CachedFile:
    """A file on disk that is read in turns: where one may wait for it, and where one may not.

    Its position is its own: the file is left where it is.

    :param file: the file, open for reading.
    :param at: from where on it is read; None for the file's own position.
    :param stop: up to where; None for its end, wherever that is by then.
    :param length: how many bytes those are likely to be, if that is known.
    """

    #: Whether nothing more comes.
    ended = False

    def __init__(
        self, file: io.BufferedReader, at: int | None, stop: int | None, length: int | None
    ) -> None:
        self._file, self._stop = file, stop
        self._at = file.tell() if at is None else at
        #: Where it ends, unless it has changed: what is not there is found out where one may wait.
        self._likely = os.fstat(file.fileno()).st_size if length is None else self._at + length

    def is_there(self) -> bool:
        """Whether the next byte, or the end, can be read without a wait.

        :raises ValueError: if the file is closed; so do the others.
        """
        return self._take(bytearray(1), self._at) is not None

    def read(self, size: int) -> bytes | None:
        """Read so many bytes, or those up to the end if they are fewer.

        :return: None if they are not all in memory.
        """
        most = self._limited(size)
        left = max(0, min(most, self._likely - self._at))
        # PERF: into bytes that nobody else has, which `getvalue` hands out as they are. 1 MiB takes
        # 70 us; read into a buffer, and copied, 90.
        made = io.BytesIO(bytes(left))
        with made.getbuffer() as room:
            read = self._take(room, self._at) if left else 0
        if read != left:
            return None
        # PERF: where the end is likely, it is looked for at once, and no piece of nothing follows.
        behind = self._at + left
        ended = behind == self._stop or (
            behind >= self._likely and self._take(bytearray(1), behind) == 0
        )
        if left < most and not ended:
            return None
        self._at, self.ended = behind, ended
        return made.getvalue()

    def read_waiting(self, size: int) -> bytes:
        """Do the same, however long it takes; in a thread.

        :raises OSError: if it cannot be read.
        """
        most = self._limited(size)
        self._file.seek(self._at)
        piece = self._file.read(most)
        self._at += len(piece)
        self.ended = len(piece) < most or self._at == self._stop
        return piece

    def _limited(self, size: int) -> int:
        return size if self._stop is None else min(size, self._stop - self._at)

    def _take(self, room: bytearray | memoryview, at: int) -> int | None:
        """Fill what there is room for; None if that would take a wait, or cannot be said."""
        if _NO_WAIT is None:
            return None
        number = self._file.fileno()  # NOTE: each time: who has closed it gave the number away
        try:
            return os.preadv(number, (room,), at, _NO_WAIT)
        except OSError:  # EAGAIN, or EOPNOTSUPP; an error of the disk comes again in the thread
            return None
