"""Chunks from a coroutine to a thread: one task, back-pressure, and every way out."""

from __future__ import annotations

import threading
import typing as t
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar

import anyio
import pytest

from asyncflask import workers
from asyncflask.handover import LIMIT, AsyncBody, HandOver
from asyncflask.loops import Loop
from asyncflask.pools import Pool
from asyncflask.workers import Lane

pytestmark = pytest.mark.anyio

variable: ContextVar[str] = ContextVar("variable", default="unset")


async def in_lane(func: Callable[[], t.Any]) -> t.Any:
    """Call a function in the thread of a lane of this loop's, as under the bridge."""
    pool = Pool(Loop())
    lane = Lane(pool)
    try:
        return await lane.run(func)
    finally:
        lane.release()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(pool.close)


async def numbers(events: list[str], count: int = 3) -> AsyncIterator[str]:
    try:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                for number in range(count):
                    group.start_soon(anyio.lowlevel.checkpoint)
                    yield f"{number};"
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
            events.append("closed")


async def test_all_of_it() -> None:
    events: list[str] = []
    assert await in_lane(lambda: b"".join(AsyncBody(numbers(events)))) == b"0;1;2;"
    assert events == ["closed"]


async def test_closed_in_the_middle() -> None:
    events: list[str] = []

    def take_one() -> None:
        body = AsyncBody(numbers(events, 1_000_000))
        assert next(body).startswith(b"0;")
        body.close()
        assert events == ["closed"]
        assert list(body) == []
        body.close()

    await in_lane(take_one)


async def test_closed_while_it_waits() -> None:
    events: list[str] = []

    async def waiting() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await anyio.sleep_forever()
        finally:
            events.append("ended")

    def take_one() -> None:
        body = AsyncBody(waiting())
        assert next(body) == b"first"
        body.close()
        assert events == ["ended"]

    await in_lane(take_one)


async def test_closed_before_it_began() -> None:
    events: list[str] = []

    class Body:
        def __aiter__(self) -> AsyncIterator[str]:
            raise AssertionError("nobody asked for it")

        async def aclose(self) -> None:
            events.append("closed")

    await in_lane(AsyncBody(Body()).close)
    assert events == ["closed"]


async def test_the_maker_waits_for_the_taker() -> None:
    made = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal made
        for _ in range(100):
            made += 10_000
            yield b"x" * 10_000

    def take() -> None:
        taken = 0
        for chunk in AsyncBody(pieces()):
            taken += len(chunk)
            assert made - taken <= LIMIT + 20_000
        assert taken == 1_000_000

    await in_lane(take)


async def test_small_chunks_may_come_as_one() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10_000):
            yield b"x"

    def take() -> None:
        chunks = list(AsyncBody(pieces()))
        assert b"".join(chunks) == b"x" * 10_000
        assert b"" not in chunks

    await in_lane(take)


async def test_failure_comes_after_what_was_made() -> None:
    async def failing() -> AsyncIterator[str]:
        yield "made"
        raise LookupError("no more")

    def take() -> None:
        body = AsyncBody(failing())
        assert next(body) == b"made"
        with pytest.raises(LookupError, match="no more"):
            next(body)
        body.close()

    await in_lane(take)


async def test_failure_of_the_clean_up_is_raised_by_close() -> None:
    async def failing() -> AsyncIterator[str]:
        try:
            while True:
                yield "x"
        finally:
            raise LookupError("not closed")

    def take() -> None:
        body = AsyncBody(failing())
        next(body)
        with pytest.raises(LookupError, match="not closed"):
            body.close()

    await in_lane(take)


async def test_sync_code_of_the_maker_runs_in_the_takers_thread() -> None:
    async def pieces() -> AsyncIterator[str]:
        lane = workers.waiting()
        assert lane is not None
        for _ in range(3):
            here = await lane.run(threading.get_ident)
            yield f"{here};"

    def take() -> None:
        expected = f"{threading.get_ident()};" * 3
        assert b"".join(AsyncBody(pieces())).decode() == expected

    await in_lane(take)


async def test_context_variables_of_the_taker() -> None:
    async def pieces() -> AsyncIterator[str]:
        yield variable.get()
        variable.set("made")
        yield variable.get()

    def take() -> None:
        variable.set("taken")
        assert b"".join(AsyncBody(pieces())) == b"takenmade"
        assert variable.get() == "taken"

    await in_lane(take)


async def test_two_at_once() -> None:
    def take() -> None:
        events: list[str] = []
        first, second = AsyncBody(numbers(events)), AsyncBody(numbers(events))
        found = [b"", b""]
        for one, other in zip(first, second, strict=False):
            found[0] += one
            found[1] += other
        found[0] += b"".join(first)
        found[1] += b"".join(second)
        second.close()
        first.close()
        assert events == ["closed", "closed"]

    await in_lane(take)


async def test_more_work_after_the_last_chunk() -> None:
    events: list[str] = []

    class Working(HandOver):
        async def produce(self) -> None:
            await self.put(b"all")
            self.end()
            await anyio.lowlevel.checkpoint()
            events.append("worked")

    def take() -> None:
        body = Working()
        assert b"".join(body) == b"all"
        body.close()
        assert events == ["worked"]
        assert body.is_over

    await in_lane(take)
