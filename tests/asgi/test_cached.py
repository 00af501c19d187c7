"""Files that are read only as far as they are in memory."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncflask.asgi import cached
from asyncflask.asgi.cached import CachedFile

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def file(tmp_path: Path) -> Iterator[t.Any]:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with path.open("rb") as opened:
        yield opened


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all files be so: not all systems tell."""
    monkeypatch.setattr(cached, "_NO_WAIT", 0)


@pytest.mark.parametrize("size", [1, 7, 5_000, len(CONTENT) - 1, len(CONTENT), 99_999])
@pytest.mark.parametrize("length", [None, 0, 10, len(CONTENT), 99_999_999])
@pytest.mark.usefixtures("in_memory")
def test_pieces_come_in_turns_from_here_and_there(file: t.Any, size: int, length: int) -> None:
    """Whatever was guessed of the length: what is not as it was said is read where one may wait."""
    read = CachedFile(file, None, None, length)
    found: list[bytes] = []
    while not read.ended:
        piece = read.read(size) if len(found) % 3 else None
        found.append(read.read_waiting(size) if piece is None else piece)
    assert b"".join(found) == CONTENT
    assert {len(piece) for piece in found[:-1]} <= {size}


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(("at", "stop"), [(0, 5), (10, 4_096), (99, 100), (5_000, len(CONTENT))])
@pytest.mark.usefixtures("in_memory")
def test_a_part_ends_where_it_stops(file: t.Any, at: int, stop: int, waits: bool) -> None:
    read, found = CachedFile(file, at, stop, stop - at), []
    while not read.ended:
        found.append(read.read_waiting(2_000) if waits else read.read(2_000))
    assert b"".join(t.cast("list[bytes]", found)) == CONTENT[at:stop]
    assert b"" not in found  # the end is known with the last piece


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.usefixtures("in_memory")
def test_it_goes_on_from_where_the_file_is(file: t.Any, waits: bool) -> None:
    file.read(100)
    read = CachedFile(file, None, None, None)
    file.seek(7)
    assert (read.read_waiting(50) if waits else read.read(50)) == CONTENT[100:150]


@pytest.mark.usefixtures("in_memory")
def test_what_comes_only_in_part_is_not_taken(file: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where some pages of it are in memory; it is not the file's end."""
    whole = os.preadv
    monkeypatch.setattr(os, "preadv", lambda number, room, *at: whole(number, [room[0][:9]], *at))
    read = CachedFile(file, None, None, None)
    assert (read.read(10), read.ended) == (None, False)
    assert read.read_waiting(len(CONTENT) + 1) == CONTENT


@pytest.mark.parametrize("reason", ["unknown", "refused"])
def test_nothing_is_read_where_the_system_cannot(
    file: t.Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: t.Any) -> t.NoReturn:
        raise OSError(95, "not supported")

    monkeypatch.setattr(cached, "_NO_WAIT", None if reason == "unknown" else 8)
    monkeypatch.setattr(os, "preadv", refuse)
    read = CachedFile(file, None, None, None)
    assert (read.is_there(), read.read(10)) == (False, None)
    assert read.read_waiting(10) == CONTENT[:10]


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="Linux reads so")
def test_the_system_tells(file: t.Any) -> None:
    """A file that was just written is in memory, if its file system is one that tells."""
    read = CachedFile(file, None, None, None)
    assert read.read(1_000) == (CONTENT[:1_000] if read.is_there() else None)


def test_a_file_that_was_closed_is_not_read_by_its_number(file: t.Any) -> None:
    read = CachedFile(file, None, None, None)
    file.close()
    for again in (read.is_there, lambda: read.read(1), lambda: read.read_waiting(1)):
        with pytest.raises(ValueError, match="closed file"):
            again()
