"""An uploaded file that is read where the body has it, as the kind of file that werkzeug gives."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator

import pytest

from asyncflask.wrappers.file_in_body import FileInBody, Pieces, Region


def in_a_file() -> Region:
    """Return a part of a file which is closed by then."""
    with tempfile.TemporaryFile() as body:
        body.write(b"before" + b"one\ntwo\n" + b"after")
        body.flush()
        return Region(body.fileno(), 6, 8)


def in_pieces() -> Pieces:
    return Pieces([b"o", b"ne\nt", b"wo\n"])


@pytest.fixture(params=[in_a_file, in_pieces])
def file(request: pytest.FixtureRequest) -> Iterator[FileInBody]:
    with FileInBody(request.param()) as made:
        yield made


def test_a_file_in_a_body_is_read_as_any_other(file: FileInBody) -> None:
    assert (file.readable(), file.seekable(), file.writable()) == (True, True, True)
    assert (file.read(3), file.tell(), file.read(), file.read(1)) == (b"one", 3, b"\ntwo\n", b"")
    assert (file.seek(-4, os.SEEK_END), file.readline()) == (4, b"two\n")
    assert (file.seek(20), file.read()) == (20, b"")
    file.seek(4)
    assert (file.seek(-2, os.SEEK_CUR), file.read(4)) == (2, b"e\ntw")
    file.seek(0)
    assert list(file) == [b"one\n", b"two\n"]
    with pytest.raises(ValueError, match="-1"):
        file.seek(-1)


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda file: file.write(b"XY"), b"onXYtwo\n"),
        (lambda file: file.writelines([b"X", b"Y", b"Z"]), b"onXYZwo\n"),
        (lambda file: file.truncate(), b"on"),
        (lambda file: file.truncate(5), b"one\nt"),
        (lambda file: file.rollover(), b"one\ntwo\n"),
        (lambda file: os.pwrite(file.fileno(), b"X", 0), b"Xne\ntwo\n"),
    ],
)
def test_it_becomes_one_of_its_own_when_it_is_changed(
    file: FileInBody, change: Callable[[FileInBody], object], left: bytes
) -> None:
    file.seek(2)
    change(file)
    file.seek(0)
    assert file.read() == left
    assert os.pread(file.fileno(), 20, 0) == left


def test_it_is_a_spooled_file_that_is_closed_once(file: FileInBody) -> None:
    assert isinstance(file, tempfile.SpooledTemporaryFile)
    file.close()
    file.close()
    assert file.closed
    with pytest.raises(ValueError, match="closed file"):
        file.read()
