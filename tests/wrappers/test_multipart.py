"""Multipart forms: read as werkzeug reads them, and large files where the body has them."""

from __future__ import annotations

import io
import typing as t
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug import formparser
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.test import encode_multipart

from asyncflask import Flask, Request, bodies, held, request
from asyncflask.wrappers import multipart
from asyncflask.wrappers.file_in_body import FileInBody
from asyncflask.wrappers.multipart import FormParser, MultipartParser

BOUNDARY = b"bnd"
FIELD = b'\r\n--bnd\r\nContent-Disposition: form-data; name="f"\r\n\r\n'
FILE = (
    b'\r\n--bnd\r\nContent-Disposition: form-data; name="u"; filename="u.bin"\r\n'
    b"Content-Type: text/plain; charset=latin-1\r\n\r\n"
)
END = b"\r\n--bnd--\r\n"

#: What bodies are made of: whole parts, and what looks like a part of them.
TOKENS = (
    *(FIELD, FILE, END, b"\r\n--bnd\r\n", b"--bnd", b"--bnd--", b"\r\n--bn", b"\n--bnd\n"),
    *(b"\r\n", b"\r", b"\n", b"--", b"-", b"b", b"bnd", b" ", b"", b"\r\n--bndx", b"\r--bnd\r"),
    *(b"x", b"data", b"\xff\x00", b"y" * 70, b"\r\n" * 30, b"-" * 40, b"Content-Type: a/b\r\n"),
    *(b"\r\n--bnd\r\nContent-Type: text/plain\r\n\r\n", b"\r\n\r\n", b"\n\n", b"\r\n--bnd \t\r\n"),
)
BODIES = st.lists(st.sampled_from(TOKENS) | st.binary(max_size=8), max_size=14).map(b"".join)
PLAUSIBLE = BODIES.map(lambda body: FIELD[2:] + body + END) | BODIES.map(
    lambda body: FILE[2:] + body + END
)
LIMITS = st.sampled_from([None, 20, 120, 400, 10_000])
PARTS = st.sampled_from([None, 0, 1, 3])


class Sent(bodies.Body):
    """A body that comes in pieces of a size."""

    def __init__(self, data: bytes, piece: int) -> None:
        super().__init__(None)
        self._left = [data[at : at + piece] for at in range(0, len(data), piece)]

    async def next_chunk(self) -> bytes:
        return self.next_chunk_here()

    def next_chunk_here(self) -> bytes:
        self.complete = not self._left
        return self._left.pop(0) if self._left else b""

    async def in_thread(self, func: Callable[[list[bytes]], None], chunks: list[bytes]) -> None:
        func(chunks)


def read_ahead(data: bytes, piece: int, on_disk: bool) -> Sent:
    """Return a body that was read ahead, in memory in pieces as they came, however small."""
    body = Sent(data, piece)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held, "MEMORY_BYTES", -1 if on_disk else len(data))
        patch.setattr(held, "SMALL_PIECE", 0)
        with pytest.raises(StopIteration):
            body.read_ahead(len(data)).send(None)
    return body


def in_memory(*args: t.Any, **kwargs: t.Any) -> t.IO[bytes]:
    return io.BytesIO()


def outcome(parser: formparser.MultiPartParser, stream: t.IO[bytes], length: int) -> t.Any:
    """Return what a parser makes of a body: all that can be seen of it, or its error."""
    try:
        form, files = parser.parse(stream, BOUNDARY, length)
    except Exception as error:
        return type(error)
    found = [
        (name, file.name, file.filename, list(file.headers), file.stream.tell(), file.read())
        for name, file in files.items(multi=True)
    ]
    for file in files.values():
        file.close()
    return list(form.items(multi=True)), found


@given(BODIES | PLAUSIBLE, st.integers(1, 90), LIMITS, PARTS)
@example(FILE[2:] + b"y" * 300 + b"\r\n--bn" + b"z" * 300 + END, 40, None, None)
def test_the_same_as_werkzeug(body: bytes, size: int, limit: int | None, parts: int | None) -> None:
    found = [
        outcome(kind(in_memory, limit, None, size, parts), io.BytesIO(body), len(body))
        for kind in (formparser.MultiPartParser, MultipartParser)
    ]
    assert found[0] == found[1]


@given(
    BODIES | PLAUSIBLE,
    st.booleans(),
    st.integers(1, 90),
    st.integers(1, 200),
    st.integers(1, 100),
    LIMITS,
    st.integers(0, 60),
)
@example(FILE[2:] + b"y" * 300 + b"\r\n--bn" + b"z" * 300 + END, False, 40, 90, 90, None, 0)
@example(FILE[2:] + b"y" * 300 + END, False, 80, 200, 90, 90, 0)  # more than may be kept at once
@example(FIELD[2:] + END, False, 2, 1, 90, None, 0)  # where a piece ends, matters to werkzeug
def test_the_same_as_werkzeug_of_what_was_read_ahead(
    body: bytes, on_disk: bool, size: int, piece: int, long: int, limit: int | None, small: int
) -> None:
    opened: list[t.IO[bytes]] = []
    theirs = formparser.MultiPartParser(in_memory, limit, None, size)
    ours = MultipartParser(in_memory, limit, None, size)
    ours.opened = opened.append
    sent = read_ahead(body, piece, on_disk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multipart, "FILE_MEMORY_BYTES", small)
        patch.setattr(multipart, "LONG_PIECE", long)
        found = outcome(ours, sent.reader, len(body))
    for file in opened:
        file.close()
    sent.release()
    assert found == outcome(theirs, io.BytesIO(body), len(body))


LARGE = b"".join(b"line %d\n" % number for number in range(100_000))


class OwnFiles(Request):
    """A request that says where its files go."""

    made: list[t.IO[bytes]]

    def _get_file_stream(self, *args: t.Any, **kwargs: t.Any) -> t.IO[bytes]:
        self.made = [io.BytesIO()]
        return self.made[0]


@pytest.fixture
def app() -> Flask:
    return Flask("multipart")


def upload(app: Flask, **data: t.Any) -> t.Any:
    sent = {"name": "Ann", "file": FileStorage(io.BytesIO(LARGE), "big.txt"), **data}
    boundary, body = encode_multipart(sent)
    kind = f"multipart/form-data; boundary={boundary}"
    return app.test_client().post("/", data=body, content_type=kind)


@pytest.mark.parametrize("memory", [0, 1 << 26])
def test_a_large_file_is_where_the_body_is(app: Flask, memory: int) -> None:
    app.config["BODY_MEMORY"] = memory
    kept: list[FileStorage] = []

    @app.post("/")
    async def view() -> str:
        kept.extend(request.files.values())
        assert [type(file.stream).__name__ for file in kept] == [
            "FileInBody",
            "SpooledTemporaryFile",
        ]
        assert [file.read() for file in kept] == [LARGE, b"tiny"]
        return request.form["name"]

    answer = upload(app, small=FileStorage(io.BytesIO(b"tiny"), "s"))
    assert (answer.status_code, answer.text) == (200, "Ann")
    assert all(file.stream.closed for file in kept)


@pytest.mark.parametrize("memory", [0, 1 << 26])
def test_it_is_saved_where_it_is_wanted(app: Flask, memory: int, tmp_path: t.Any) -> None:
    app.config["BODY_MEMORY"] = memory

    @app.post("/")
    async def view() -> str:
        request.files["file"].save(tmp_path / "saved")
        return "saved"

    assert upload(app).text == "saved"
    assert (tmp_path / "saved").read_bytes() == LARGE


@pytest.mark.parametrize("kind", [Request, OwnFiles])
def test_what_was_read_before_counts(app: Flask, kind: type[Request]) -> None:
    app.request_class = kind

    @app.post("/")
    async def view() -> str:
        assert len(request.get_data()) > len(LARGE)
        return str(request.files["file"].read() == LARGE)

    assert upload(app).text == "True"


def test_where_some_of_the_body_was_taken_files_are_written(app: Flask) -> None:
    @app.post("/")
    async def view() -> str:
        request.stream.read(10)  # with it, the first part is lost
        file = request.files["file"]
        return f"{type(file.stream).__name__} {file.read() == LARGE} {len(request.form)}"

    assert upload(app).text == "SpooledTemporaryFile True 0"


def test_a_request_may_say_where_its_files_go(app: Flask) -> None:
    app.request_class = OwnFiles

    @app.post("/")
    async def view() -> str:
        file = request.files["file"]
        own: t.Any = t.cast("t.Any", request).made[0]
        return str((file.stream is own, own.getvalue() == LARGE))

    assert upload(app).text == "(True, True)"


def test_the_limit_of_a_request_holds(app: Flask) -> None:
    @app.post("/")
    async def view() -> str:
        request.max_content_length = len(LARGE)
        with pytest.raises(RequestEntityTooLarge):
            dict(request.files)
        return "refused"

    assert upload(app).text == "refused"


def test_files_found_before_an_error_are_closed(app: Flask, monkeypatch: t.Any) -> None:
    made: list[FileInBody] = []

    class Noted(FileInBody):
        def __init__(self, part: t.Any) -> None:
            super().__init__(part)
            made.append(self)

    monkeypatch.setattr(multipart, "FileInBody", Noted)
    app.config["MAX_FORM_PARTS"] = 2

    @app.post("/")
    async def view() -> str:
        return str(len(request.form))

    assert upload(app, other=FileStorage(io.BytesIO(b"2"), "2")).status_code == 413
    assert [file.closed for file in made] == [True]


def test_without_reading_at_a_place_files_are_written(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multipart, "READS_REGIONS", False)
    app.config["BODY_MEMORY"] = 0

    @app.post("/")
    async def view() -> str:
        file = request.files["file"]
        return f"{type(file.stream).__name__} {file.read() == LARGE}"

    assert upload(app).text == "SpooledTemporaryFile True"


def test_a_form_needs_a_boundary() -> None:
    parser = FormParser(silent=False)
    with pytest.raises(ValueError, match="what separates"):
        parser.parse(io.BytesIO(END), "multipart/form-data", len(END), {})
    quiet = FormParser().parse(io.BytesIO(END), "multipart/form-data", len(END), {})
    assert quiet[1:] == (MultiDict(), MultiDict())
