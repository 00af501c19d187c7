"""Multipart forms (RFC 7578), parsed as werkzeug does, with files handled without copies.

What is a part, a header or a boundary is for werkzeug's decoder to say. It is relieved of the one
phase that costs: pieces of a part in which no boundary begins are handed on as they came. And a
large file of a body that lies in a temporary file already is not written to another one: its
stream reads that region of the body.
"""

from __future__ import annotations

import typing as t
from functools import partial

from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser, MultiPartParser
from werkzeug.sansio.multipart import (
    NEED_DATA,
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
from .file_in_body import FILE_MEMORY_BYTES, READS_REGIONS, FileInBody

#: A form's fields and its files.
Parsed = tuple[MultiDict[str, str], MultiDict[str, FileStorage]]

#: Makes a file of a region of the body, from its start and its length.
Found = t.Callable[[int, int], t.IO[bytes]]

#: Is told of a file that was opened.
Opened = t.Callable[[t.IO[bytes]], None]


class Decoder(MultipartDecoder):
    """Werkzeug's decoder, which hands on what is plainly a part's data.

    PERF: 10 MB in 3.4 ms, half of it to look for the boundary; as each piece was copied four times,
    in 8.3.
    """

    _plain = b""
    _is_exhausted = False
    _given = 0

    @property
    def position(self) -> int:
        """How many bytes lie behind what was decoded last."""
        return self._given - len(self.buffer)

    def receive_data(self, data: bytes | None) -> None:
        """Take the next piece; None at the end.

        :raises RequestEntityTooLarge: (413) if it is more than may be kept in memory.
        """
        self._given += len(data or b"")
        if not data or self.state is not State.DATA or self._is_too_much(data):
            super().receive_data(data)
            return
        whole = bytes(self.buffer) + data if self.buffer else data
        if whole.find(b"--" + self.boundary) == -1:
            self._plain = whole
            self.buffer.clear()
        else:
            super().receive_data(data)

    def _is_too_much(self, data: bytes) -> bool:
        most = self.max_form_memory_size
        return most is not None and len(self.buffer) + len(data) > most

    def next_event(self) -> Event:
        """Return what was found next.

        :raises ValueError: if this is no multipart form.
        """
        data, self._plain = self._plain, b""
        if self._is_exhausted:
            self._is_exhausted = False
            return NEED_DATA
        if not data:
            return super().next_event()
        tail = data[-len(b"\r\n--" + self.boundary) :]  # in which a boundary may begin
        rest = len(tail) - self._last_partial_boundary_index(tail)
        self.buffer += tail[len(tail) - rest :]
        if rest == len(data):
            return NEED_DATA
        self._is_exhausted = True
        return Data(data[: len(data) - rest], True)


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
    """A file, as it is found in a body that lies on disk."""

    def __init__(self, file: File, make: t.Callable[[], t.IO[bytes]], found: Found) -> None:
        self.file, self._make, self._found = file, make, found
        self._pieces: list[bytes] = []
        self._start: int | None = None
        self._size = 0

    def add(self, data: bytes, position: int | None) -> None:
        """Take a piece of it, which may be the last one if where it ends is unknown."""
        if self._start is None and position is not None:
            self._start = position - len(data)
        self._size += len(data)
        if self._start is None or self._size <= FILE_MEMORY_BYTES:
            self._pieces.append(data)
        else:
            self._pieces.clear()

    def storage(self) -> FileStorage:
        """Return the file."""
        if self._start is not None and self._size > FILE_MEMORY_BYTES:
            return _storage(self._found(self._start, self._size), self.file)
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
        decoder = Decoder(boundary, self.max_form_memory_size, max_parts=self.max_form_parts)
        read, found = self._source(stream)
        fields: list[tuple[str, str]] = []
        files: list[tuple[str, FileStorage]] = []
        part: t.Any = None
        for event in _events(decoder, read, self.buffer_size):
            if isinstance(event, Field):
                part = _FieldPart(event, self.max_form_memory_size)
            elif isinstance(event, File):
                make = partial(self.start_file_streaming, event, content_length)
                part = (
                    _FilePart(event, make) if found is None else _FilePartOfBody(event, make, found)
                )
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

    def _source(self, stream: t.IO[bytes]) -> tuple[t.Callable[[int], bytes], Found | None]:
        """Return what reads the body, and what makes a file of a region of it, if that is there."""
        body = stream.asgi_body if isinstance(stream, BodyReader) else None
        file = None if body is None or self.opened is None else body.untouched_file()
        if body is None or file is None or not READS_REGIONS:
            return stream.read, None
        opened, number = t.cast("Opened", self.opened), file.fileno()

        def found(start: int, size: int) -> t.IO[bytes]:
            made = t.cast("t.IO[bytes]", FileInBody(number, start, size))
            opened(made)
            return made

        return body.take, found


def _events(decoder: Decoder, read: t.Callable[[int], bytes], size: int) -> t.Iterator[Event]:
    """Yield what a decoder finds in what is read, in pieces of a size."""
    more: bytes | None = b""
    while more is not None:
        more = read(size) or None
        decoder.receive_data(more)
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
