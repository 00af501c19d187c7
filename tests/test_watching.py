"""A block that tasks beside it may end."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from asyncflask.watching import Watched

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)


async def test_a_block_that_ends_by_itself_ends_what_is_beside_it() -> None:
    ended: list[str] = []

    async def beside() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("beside")

    async with Watched() as block:
        block.beside(beside)
        await anyio.wait_all_tasks_blocked()
    assert ended == ["beside"]
    assert not block.ended


async def test_a_block_is_ended_by_what_is_beside_it() -> None:
    cleaned = False

    async def beside(block: Watched) -> None:
        await anyio.wait_all_tasks_blocked()
        block.end()

    async with Watched() as block:
        block.beside(beside, block)
        try:
            await anyio.sleep_forever()
        finally:
            cleaned = True
    assert block.ended
    assert cleaned
    await anyio.lowlevel.checkpoint()  # nothing is left of the cancellation


async def test_an_error_comes_out_as_it_is() -> None:
    async def fail() -> None:
        async with Watched() as block:
            block.beside(anyio.sleep_forever)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()


async def test_an_error_on_the_way_out_of_an_ended_block() -> None:
    block = Watched()

    async def fail() -> None:
        async with block:
            block.end()
            try:
                await anyio.sleep_forever()
            finally:
                raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert not block.ended


async def test_ended_too_late_nothing_happens() -> None:
    async with Watched() as block:
        pass
    block.end()
    await anyio.lowlevel.checkpoint()
    assert not block.ended


async def test_the_cancellation_of_a_scope_around_goes_through() -> None:
    with anyio.CancelScope() as scope:
        async with Watched() as block:
            block.beside(anyio.sleep_forever)
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert not block.ended
