"""What was read ahead of a request's body: pieces in memory, or a temporary file.

States: *in memory* -> *on disk*, from the first piece on that there is no room for -> *closed*.

Each body may have its first `MEMORY_BYTES` in memory. What goes beyond that comes out of one
allowance for all bodies of the process, and what finds no room there goes to a file: a few large
bodies cost no disk, and many of them no memory.
"""

from __future__ import annotations

import os
import tempfile
import threading
import typing as t
from collections import deque
from contextlib import suppress

#: Bytes of a body that are kept in memory in any case. Werkzeug's figure for uploads and Flask's
#: for form fields.
MEMORY_BYTES = 500_000

#: Bytes up to which pieces are joined as they come. An object takes 33 bytes more than are in it:
#: who sends a body in pieces of two bytes would take twenty times its memory.
SMALL_PIECE = 16_384


#: The largest block by whose size glibc measures what it keeps: ``DEFAULT_MMAP_THRESHOLD_MAX``, of
#: which a page and more goes to what describes it.
_LARGEST_BLOCK = 32 * 1024 * 1024 - 8192


def _keep_freed(size: int) -> None:
    """Have the C library keep up to `size` freed bytes twice, for what comes next.

    Twice: bodies take so many, and what handlers make of them takes as many again. glibc returns
    all that is free at the end of its heap to the system, if that is more than twice the largest
    block that was ever freed: see ``M_TRIM_THRESHOLD`` in mallopt(3). So it is shown one, to which
    nothing is written. Other libraries, and who has set the threshold, see nothing in it.

    PERF: an upload of 10 MB costs the server 14 ms, not 32: there are not 5,000 pages to be had
    from the system, and to be cleared by it, for each. Four at once had those where the bodies
    alone were counted: 24 ms.
    """
    with suppress(MemoryError):  # there is a limit that even this is above
        bytes(min(size, _LARGEST_BLOCK))


class Allowance:
    """Bytes that the bodies of this process keep in memory, beyond what each may in any case.

    What a body on its way to a file has taken may be taken by others already, of one at a time: so
    never more than twice as much is in memory as is allowed.
    PERF: four uploads of 10 MB that came side by side went to files all together, as they met the
    bound before the first had given back its room: 23 ms of the server's processor time for each,
    and 17 where one goes.
    """

    _is_new = True

    def __init__(self) -> None:
        self.taken = self._leaving = 0
        self._lock = threading.Lock()  # the bodies may be of several event loops

    def take(self, size: int, most: int) -> bool:
        """Take bytes, if not more than `most` are taken then; return whether."""
        if self._is_new:
            self._is_new = False
            _keep_freed(most)
        with self._lock:
            fits = self.taken + size - self._leaving <= most
            if fits:
                self.taken += size
        return fits

    def leave(self, size: int) -> int:
        """Tell of bytes that will be given back as soon as a file is written; return how many.

        None, if others will give back theirs.
        """
        with self._lock:
            if self._leaving:
                return 0
            self._leaving = size
        return size

    def give_back(self, size: int, left: int = 0) -> None:
        """Give back what was taken.

        :param left: how many of them `leave` was told of.
        """
        with self._lock:
            self.taken -= size
            self._leaving -= left


allowance = Allowance()

if hasattr(os, "register_at_fork"):  # a child has none of its parent's requests, nor who locks
    os.register_at_fork(after_in_child=lambda: vars(allowance).update(vars(Allowance())))


class Held:
    """What was read ahead of one body: added at its end, and read from its beginning."""

    #: The temporary file, where it lies in one: all of it that was not read before.
    file: t.IO[bytes] | None = None

    closed = False

    _in_memory = True
    _size = 0
    _allowed = _leaving = 0
    _at = 0  # where in the first piece to go on

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._small = bytearray()

    def keep(self, piece: bytes, allowed: int) -> bool:
        """Keep a piece in memory, if it may be there; once one may not, no other is kept either.

        Then it is to be written at once, as others count on the room.

        :param allowed: bytes of the `allowance` that all bodies together may take.
        """
        if self._in_memory:
            self._size += len(piece)
            more = self._size - self._allowed - MEMORY_BYTES
            self._in_memory = more <= 0 or allowance.take(more, allowed)
            if self._in_memory:
                self._allowed += max(0, more)
                self._add(piece)
            elif self._allowed:
                self._leaving = allowance.leave(self._allowed)
        return self._in_memory

    def _add(self, piece: bytes) -> None:
        """Add a piece. PERF: a large one as it is; a file in memory would copy it, twice."""
        if len(piece) < SMALL_PIECE:
            self._small += piece
        if len(piece) >= SMALL_PIECE or len(self._small) >= SMALL_PIECE:
            self._join_small()
        if len(piece) >= SMALL_PIECE:
            self._pieces.append(piece)

    def _join_small(self) -> None:
        if self._small:
            self._pieces.append(bytes(self._small))
            self._small.clear()

    def write(self, pieces: t.Iterable[bytes]) -> None:
        """Write pieces to the file, behind what was kept in memory; in a thread."""
        position = 0
        if self.file is None:
            self.file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
            self.file.writelines(iter(self._next_kept, b""))
            self._give_back()
        else:
            position = self.file.tell()
            self.file.seek(0, os.SEEK_END)
        self.file.writelines(pieces)
        self.file.seek(position)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes of what is next; nothing at the end."""
        if self.closed:
            return b""
        return self._next_kept(size) if self.file is None else self.file.read(size)

    def next_piece(self, size: int) -> bytes:
        """Return what is next as it came, or up to `size` bytes of it from the file."""
        return self.read(size) if self.closed or self.file is not None else self._next_kept()

    def _next_kept(self, size: int | None = None) -> bytes:
        if not self._pieces:
            self._join_small()
            if not self._pieces:
                return b""
        piece, at = self._pieces[0], self._at
        if size is None or len(piece) - at <= size:
            self._pieces.popleft()
            self._at = 0
            return piece[at:]
        self._at = at + size
        return piece[at : self._at]

    @property
    def is_costly(self) -> bool:
        """Whether it takes a file, or some of the allowance."""
        return self.file is not None or self._allowed > 0

    def close(self) -> None:
        """Let go of it all."""
        self.closed = True
        self._pieces.clear()
        self._small.clear()
        self._give_back()
        if self.file is not None:
            self.file.close()

    def _give_back(self) -> None:
        if self._allowed:
            allowance.give_back(self._allowed, self._leaving)
            self._allowed = self._leaving = 0
