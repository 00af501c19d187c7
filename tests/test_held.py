"""What was read ahead of a body: in memory as long as there is room, then on disk."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import typing as t
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncflask import held
from asyncflask.held import MEMORY_BYTES, SMALL_PIECE, Allowance, Held, allowance

LARGE = b"x" * (MEMORY_BYTES - 10)
STEPS = st.lists(st.integers(1, 60) | st.binary(max_size=40) | st.none(), max_size=30)

#: Holds and reads ten times as many bodies of 10 MB at once as are told, and prints how many pages
#: the last nine times took of the system.
TEN_BODIES = """
import resource
from asyncflask.held import Held

def hold():
    bodies = [Held() for _ in range({at_once})]
    for _ in range(160):
        for body in bodies:
            assert body.keep(bytes(bytearray(1 << 16)), {allowed})
    for body in bodies:
        assert len(b"".join(iter(lambda: body.next_piece(1 << 16), b""))) == 160 << 16
        body.close()

hold()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(9):
    hold()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.fixture(autouse=True)
def nothing_is_taken() -> Iterator[None]:
    assert allowance.taken == 0
    yield
    assert allowance.taken == 0


@given(STEPS, st.integers(0, 100), st.integers(0, 200), st.integers(1, 30))
def test_it_is_read_in_the_order_in_which_it_came(
    steps: list[t.Any], sure: int, allowed: int, small: int
) -> None:
    """A number reads so many bytes, bytes are added, and None reads a piece."""
    made, left = Held(), b""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held, "MEMORY_BYTES", sure)
        patch.setattr(held, "SMALL_PIECE", small)
        for step in steps:
            if isinstance(step, bytes):
                left += step
                if not made.keep(step, allowed):
                    made.write([step])
            else:
                found = made.next_piece(5) if step is None else made.read(step)
                assert left.startswith(found)
                assert bool(found) == bool(left)
                assert step is None or len(found) <= step
                left = left[len(found) :]
        rest = b"".join(iter(lambda: made.read(7), b""))
        made.close()
    assert rest == left


def test_large_pieces_stay_as_they_came_and_small_ones_are_joined() -> None:
    made, large = Held(), b"x" * SMALL_PIECE
    for piece in (b"ab", b"c", large, *[b"yy"] * SMALL_PIECE, b"z"):
        assert made.keep(piece, 0)
    assert made.next_piece(1) == b"abc"
    assert made.next_piece(1) is large
    assert [len(made.next_piece(1)) for _ in range(4)] == [SMALL_PIECE, SMALL_PIECE, 1, 0]


def test_the_first_bytes_of_each_are_not_counted() -> None:
    first, second = Held(), Held()
    for made in (first, second):
        assert made.keep(LARGE, 0)
        assert not made.is_costly
    assert first.keep(b"x" * 60, 50)
    assert (allowance.taken, first.is_costly) == (50, True)
    assert not second.keep(b"x" * 11, 50)
    assert not second.keep(b"", 50)  # what follows would be before it
    first.close()
    first.close()
    assert allowance.taken == 0
    second.write([b"x" * 11])
    assert second.is_costly
    second.close()


def test_who_moves_to_disk_gives_back_what_was_taken() -> None:
    made = Held()
    assert made.keep(LARGE, 100)
    assert made.keep(b"y" * 60, 100)
    assert not made.keep(b"z" * 60, 100)
    made.write([b"z" * 60])
    assert allowance.taken == 0
    assert made.file is not None
    assert made.file.read() == LARGE + b"y" * 60 + b"z" * 60
    file = made.file
    made.close()
    assert file.closed
    assert (made.read(1), made.next_piece(1)) == (b"", b"")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
def test_a_child_has_none_of_its_parents_bodies() -> None:
    allowance.take(7, 10)
    child = os.fork()
    if not child:
        os._exit(allowance.taken)
    allowance.give_back(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_allowance_is_never_exceeded() -> None:
    made = Allowance()
    assert [made.take(size, 10) for size in (6, 5, 4, 1, 0)] == [True, False, True, False, True]
    made.give_back(6)
    assert made.taken == 4


def test_what_is_on_its_way_to_disk_is_taken_by_others_already_but_of_one_at_a_time() -> None:
    made = Allowance()
    assert made.take(6, 10)
    assert made.take(4, 10)
    assert [made.leave(6), made.leave(4)] == [6, 0]
    assert [made.take(size, 10) for size in (7, 6, 1)] == [False, True, False]
    made.give_back(6, 6)
    assert [made.taken, made.take(1, 10)] == [10, False]
    made.give_back(4, 0)
    assert [made.leave(3), made.take(8, 10), made.take(7, 10)] == [3, False, True]


@pytest.mark.parametrize("how", ["written", "closed"])
def test_who_finds_no_room_makes_room_for_others(how: str) -> None:
    bodies = [Held() for _ in range(3)]
    for body in bodies:
        assert body.keep(LARGE, 100)
        assert body.keep(b"y" * 40, 100)  # of which 30 are counted
    assert not bodies[0].keep(b"z" * 20, 100)
    assert bodies[1].keep(b"z" * 20, 100)
    assert not bodies[2].keep(b"z" * 30, 100)
    assert not bodies[1].keep(b"z" * 1, 80)  # the second to leave
    if how == "written":
        bodies[0].write([b"z" * 20])
    else:
        bodies[0].close()
    assert allowance.taken == 80
    assert not Held().keep(LARGE + b"z" * 40, 100)
    for body in bodies:
        body.close()


def pages_of_ten_bodies(before: str = "", allowed: int = 32 << 20, at_once: int = 1) -> int:
    script = before + TEN_BODIES.format(allowed=allowed, at_once=at_once)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is how glibc keeps memory")
@pytest.mark.parametrize("at_once", [1, 3])
def test_large_bodies_find_the_memory_of_those_before(at_once: int) -> None:
    """Each takes 2,560 pages, and as many to be joined; of three, the allowance has room."""
    assert pages_of_ten_bodies(at_once=at_once) < 9 * 1000
    nothing_kept = "import asyncflask.held as held; held._keep_freed = id\n"
    assert pages_of_ten_bodies(nothing_kept, at_once=at_once) > 9 * 4000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is how glibc keeps memory")
def test_the_largest_block_counts() -> None:
    """A block that is larger by one page would have glibc change nothing at all."""
    assert pages_of_ten_bodies(allowed=1 << 40, at_once=5) < 9 * 1000


def test_a_body_is_held_where_there_is_no_room_for_a_block() -> None:
    all_there_is = "import asyncflask.held as held; held._LARGEST_BLOCK = 1 << 62\n"
    assert pages_of_ten_bodies(all_there_is, 1 << 62) >= 0
