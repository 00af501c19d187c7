"""Multipart forms (RFC 7578), parsed as werkzeug does, with files handled without copies.

What is a part, a header or a boundary is for werkzeug's decoder to say. It is relieved of the one
phase that costs: pieces of a part in which no boundary begins are handed on as they came. And a
large file of a body that was read ahead is not written to a temporary file: its stream reads where
the body has it, in pieces in memory or in a region of the body's own file.
"""

from __future__ import annotations

import typing as t
from functools import partial

from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser, MultiPartParser
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
    State,
)

from ..bodies import BodyReader
from .file_in_body import FILE_MEMORY_BYTES, READS_REGIONS, FileInBody, Pieces, Region

#: Bytes of a body that are looked at at once. As much as uvloop reads at once, so that no piece in
#: memory is cut which servers hand on as they have read it. PERF: 10 MB that lie on disk cost the
#: server 8 % less than in pieces of 64 KiB.
LONG_PIECE = 262_144

#: A form's fields and its files.
Parsed = tuple[MultiDict[str, str], MultiDict[str, FileStorage]]

#: Makes a file of where the body has it: of its pieces, its start and its length.
Found = t.Callable[[list[bytes], int, int], t.IO[bytes]]

#: Is told of a file that was opened.
Opened = t.Callable[[t.IO[bytes]], None]


class Decoder(MultipartDecoder):
    """Werkzeug's decoder, which need not be given what is plainly a part's data.

    PERF: 10 MB in 2 ms, most of it to look for the boundary; as each piece was copied four times,
    in 8.3. And in 3 where each line break near a piece's end had a fifth of them copied twice.

    :param boundary: what separates the parts, of one line.
    :param size: bytes of the body that it is given at once, except of what is plainly data.
    """

    #: How many bytes it was given.
    given = 0

    def __init__(self, boundary: bytes, size: int, limit: int | None, parts: int | None) -> None:
        super().__init__(boundary, limit, max_parts=parts)
        self._delimiter = b"--" + boundary
        #: Whether less may be kept in memory than it is given, so that the size of each piece
        #: counts, and what was kept back before it.
        self.is_tight = limit is not None and limit < size + len(b"\r\n" + self._delimiter)

    @property
    def position(self) -> int:
        """How many bytes lie behind what was decoded last."""
        return self.given - len(self.buffer)

    def receive_data(self, data: bytes | None) -> None:
        """Take the next piece; None at the end.

        :raises RequestEntityTooLarge: (413) if it is more than may be kept in memory.
        """
        self.given += len(data or b"")
        super().receive_data(data)

    def plain_data(self, data: bytes) -> bytes | None:
        """Take the next piece, however long, and return what of it is data beyond doubt.

        A boundary may begin at its end, which is kept back then. Return None, and take nothing, if
        the piece is for `receive_data`.
        """
        if not data or self.state is not State.DATA or self.is_tight:
            return None
        whole = bytes(self.buffer) + data if self.buffer else data
        if whole.find(self._delimiter) != -1:
            return None
        self.given += len(data)
        end = self._end_of_data(whole)
        self.buffer[:] = whole[end:]
        return whole[:end]

    def _end_of_data(self, data: bytes) -> int:
        """Return where in data without a boundary one may begin: its end, for most."""
        start = max(0, len(data) - len(self._delimiter))
        at = max(data.rfind(b"\n", start), data.rfind(b"\r", start))
        if at < 0 or not self._delimiter.startswith(data[at + 1 :]):
            return len(data)
        return at - 1 if data[max(0, at - 1) : at + 1] == b"\r\n" else at


class _FieldPart:
    """A field, as it comes."""

    def __init__(self, field: Field, most: int | None) -> None:
        self.field, self._most = field, most
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, data: bytes, position: int | None) -> None:
        """Take a piece of its value.

        :raises RequestEntityTooLarge: (413) if that makes the value too long.
        """
        self._size += len(data)
        if self._most is not None and self._size > self._most:
            raise RequestEntityTooLarge
        self._pieces.append(data)

    def value(self, charset: str) -> str:
        """Return its value."""
        return b"".join(self._pieces).decode(charset, "replace")


class _FilePart:
    """A file, as it comes, which is written to a stream."""

    def __init__(self, file: File, make: t.Callable[[], t.IO[bytes]]) -> None:
        self.file = file
        self._stream = make()

    def add(self, data: bytes, position: int | None) -> None:
        """Take a piece of it."""
        self._stream.write(data)

    def storage(self) -> FileStorage:
        """Return the file."""
        self._stream.seek(0)
        return _storage(self._stream, self.file)


class _FilePartOfBody:
    """A file, as it is found in a body that was read ahead.

    :param in_memory: whether the body is there, so that its pieces may be kept.
    """

    def __init__(
        self, file: File, make: t.Callable[[], t.IO[bytes]], found: Found, in_memory: bool
    ) -> None:
        self.file, self._make, self._found, self._in_memory = file, make, found, in_memory
        self._pieces: list[bytes] = []
        self._start: int | None = None
        self._size = 0

    def add(self, data: bytes, position: int | None) -> None:
        """Take a piece of it, which may be the last one if where it ends is unknown."""
        if self._start is None and position is not None:
            self._start = position - len(data)
        self._size += len(data)
        if self._start is None or self._size <= FILE_MEMORY_BYTES or self._in_memory:
            self._pieces.append(data)
        else:
            self._pieces.clear()

    def storage(self) -> FileStorage:
        """Return the file."""
        if self._start is not None and self._size > FILE_MEMORY_BYTES:
            return _storage(self._found(self._pieces, self._start, self._size), self.file)
        stream = self._make()
        stream.writelines(self._pieces)
        stream.seek(0)
        return _storage(stream, self.file)


def _storage(stream: t.IO[bytes], file: File) -> FileStorage:
    return FileStorage(stream, file.filename, file.name, headers=file.headers)


class MultipartParser(MultiPartParser):
    """Werkzeug's parser, with that decoder."""

    #: Is told of each file that is read from the body itself; None if there is to be none.
    opened: Opened | None = None

    def parse(self, stream: t.IO[bytes], boundary: bytes, content_length: int | None) -> Parsed:
        """Parse a form.

        :param stream: the body.
        :param boundary: what separates its parts.
        :param content_length: its length, if that is known.
        :raises RequestEntityTooLarge: (413) if it is larger than the limits allow.
        :raises ValueError: if it is no multipart form.
        """
        most, size = self.max_form_memory_size, self.buffer_size
        decoder = Decoder(boundary, size, most, self.max_form_parts)
        events, part_of_file = self._source(stream, decoder.is_tight)
        fields: list[tuple[str, str]] = []
        files: list[tuple[str, FileStorage]] = []
        part: t.Any = None
        for event in events(decoder, size):
            if isinstance(event, Field):
                part = _FieldPart(event, most)
            elif isinstance(event, File):
                make = partial(self.start_file_streaming, event, content_length)
                part = part_of_file(event, make)
            elif isinstance(event, Data):
                part.add(event.data, decoder.position if event.more_data else None)
                if event.more_data:
                    continue
                if isinstance(part, _FieldPart):
                    charset = self.get_part_charset(part.field.headers)
                    fields.append((part.field.name, part.value(charset)))
                else:
                    files.append((part.file.name, part.storage()))
        return self.cls(fields), self.cls(files)

    def _source(
        self, stream: t.IO[bytes], is_tight: bool
    ) -> tuple[t.Callable[[Decoder, int], t.Iterator[Event]], t.Callable[..., t.Any]]:
        """Return what reads the body, and what takes a file of it: from where it is, if it is."""
        body = stream.asgi_body if isinstance(stream, BodyReader) else None
        held = None if body is None or self.opened is None else body.held_whole()
        if body is None or held is None or not (held.file is None or READS_REGIONS):
            return partial(_events, read=stream.read), _FilePart
        opened, file = t.cast("Opened", self.opened), held.file

        def found(pieces: list[bytes], start: int, size: int) -> t.IO[bytes]:
            part = Pieces(pieces) if file is None else Region(file.fileno(), start, size)
            made = t.cast("t.IO[bytes]", FileInBody(part))
            opened(made)
            return made

        take = partial(_FilePartOfBody, found=found, in_memory=file is None)
        if is_tight:  # what is in memory is joined to pieces of that size first
            return partial(_events, read=body.take if file else stream.read), take
        return partial(_events_of_long_pieces, take=body.take), take


def _events(decoder: Decoder, size: int, read: t.Callable[[int], bytes]) -> t.Iterator[Event]:
    """Yield what a decoder finds in what is read, in pieces of a size."""
    piece = b"more"
    while piece:
        piece = read(size)
        yield from _found(decoder, piece)


def _events_of_long_pieces(
    decoder: Decoder, size: int, take: t.Callable[[int], bytes]
) -> t.Iterator[Event]:
    """Yield the same of a body that was read ahead: what is plainly data in pieces as they came.

    For the rest it matters where a piece ends: that is where it would if all were of that size.
    """
    piece, rest = b"more", take(LONG_PIECE)
    while piece:
        plain = decoder.plain_data(rest)
        if plain is None:
            wanted = size - decoder.given % size
            while len(rest) < wanted and (more := take(LONG_PIECE)):
                rest += more
            piece, rest = rest[:wanted], rest[wanted:] or take(LONG_PIECE)
            yield from _found(decoder, piece)
        else:
            rest = take(LONG_PIECE)
            if plain:
                yield Data(plain, True)


def _found(decoder: Decoder, piece: bytes) -> t.Iterator[Event]:
    """Yield what a decoder finds in a piece; in none at all, at the end."""
    plain = decoder.plain_data(piece)
    if plain:
        yield Data(plain, True)
    if plain is None:
        decoder.receive_data(piece or None)
        while not isinstance(event := decoder.next_event(), (Epilogue, NeedData)):
            yield event


class FormParser(FormDataParser):
    """Werkzeug's parser of forms, with ours of multipart ones."""

    #: See `MultipartParser`.
    opened: Opened | None = None

    @classmethod
    def instead_of(cls, parser: FormDataParser) -> t.Self:
        """Return one with the settings of a parser of werkzeug's."""
        made = cls.__new__(cls)
        vars(made).update(vars(parser))
        return made

    def _parse_multipart(
        self,
        stream: t.IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str],
    ) -> tuple[t.IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]:
        boundary = options.get("boundary", "").encode("ascii")
        if not boundary:
            raise ValueError("The content type does not say what separates the form's parts.")
        parser = MultipartParser(
            self.stream_factory,
            self.max_form_memory_size,
            self.cls,
            max_form_parts=self.max_form_parts,
        )
        parser.opened = self.opened
        return stream, *parser.parse(stream, boundary, content_length)
