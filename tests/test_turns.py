"""Calls that pass in the turns of the event loop, on asyncio and on trio."""

from __future__ import annotations

import typing as t

import anyio
import anyio.lowlevel
import pytest

from asyncflask.loops import Loop
from asyncflask.turns import Turnstile

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)


class Turns:
    """Counts the turns of the loop until it is left."""

    def __init__(self) -> None:
        self.count = 0
        self._loop = Loop()
        self._going = True

    def __enter__(self) -> Turns:
        self._next()
        return self

    def __exit__(self, *_: object) -> None:
        self._going = False

    def _next(self) -> None:
        if self._going:
            self.count += 1
            self._loop.call_in_next_turn(self._next)


async def passed(most: int, calls: int) -> list[tuple[int, int]]:
    """Return the turn and the number of each call of several made at once."""
    found: list[tuple[int, int]] = []
    done = anyio.Event()
    with Turns() as turns:
        turnstile = Turnstile(Loop(), most)

        def note(number: int) -> None:
            found.append((turns.count, number))
            if len(found) == calls:
                done.set()

        for number in range(calls):
            turnstile.call(note, number)
        with anyio.fail_after(5):
            await done.wait()
    return found


async def test_those_that_may_pass_do_so_at_once() -> None:
    found: list[int] = []
    turnstile = Turnstile(Loop(), 2)
    for number in range(3):
        turnstile.call(found.append, number)
    assert found == [0, 1]


@pytest.mark.parametrize(("most", "calls"), [(1, 5), (2, 5), (3, 3), (4, 40)])
async def test_the_others_follow_in_their_order_so_many_in_a_turn(most: int, calls: int) -> None:
    found = await passed(most, calls)
    assert [number for _, number in found] == [*range(calls)]
    turns = [turn for turn, _ in found]
    assert max(map(turns.count, turns)) <= most


async def test_a_turn_later_it_is_as_new() -> None:
    turnstile = Turnstile(Loop(), 1)
    for _ in range(3):
        found: list[int] = []
        for number in range(2):
            turnstile.call(found.append, number)
        assert found == [0]
        with anyio.fail_after(5):
            while found != [0, 1]:
                await anyio.lowlevel.checkpoint()
        for _ in range(3):  # the turn in which the second came is over, too
            await anyio.lowlevel.checkpoint()


async def test_a_call_may_call() -> None:
    found: list[str] = []
    done = anyio.Event()
    turnstile = Turnstile(Loop(), 1)

    def first() -> None:
        found.append("first")
        turnstile.call(second)

    def second() -> t.Any:
        found.append("second")
        done.set()

    turnstile.call(first)
    assert found == ["first"]
    with anyio.fail_after(5):
        await done.wait()
    assert found == ["first", "second"]
