"""Whole requests as one call in a thread, on asyncio and on trio."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import typing as t
import weakref
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import pytest

from asyncflask import workers
from asyncflask.exceptions import LoopCancelled
from asyncflask.hops import Hop
from asyncflask.loops import Loop
from asyncflask.pools import Pool

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)

var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="unset")


class FuncHop(Hop):
    __slots__ = ("__weakref__", "func")
    func: t.Callable[[], t.Any]

    def work(self) -> t.Any:
        return self.func()


def started(pool: Pool, func: t.Callable[[], t.Any]) -> FuncHop:
    hop = FuncHop(pool)
    hop.func = func
    pool.submit(hop)
    return hop


@asynccontextmanager
async def pool_of(limit: int = 4) -> t.AsyncIterator[Pool]:
    pool = Pool(Loop(), limit)
    try:
        yield pool
    finally:
        await anyio.to_thread.run_sync(pool.close)
        assert not pool._threads


def here() -> int:
    return threading.get_ident()


async def finished(hop: Hop) -> t.Any:
    """Wait for a hop as `asgi.shortlane` does."""
    if not hop.over:
        try:
            await hop.wait()
        except BaseException:
            await hop.end_of_cancelled()
            raise
    return hop.known()


async def test_its_call_is_made_in_a_thread_and_its_lane_is_itself() -> None:
    async with pool_of() as pool:
        hop = started(pool, lambda: (here(), workers.current()))
        thread, lane = await finished(hop)
        assert thread != here()
        assert lane is hop is hop.lane
        assert workers.current() is None


async def test_what_it_raises_is_raised_where_it_is_awaited() -> None:
    def stop() -> None:
        raise StopIteration

    async with pool_of() as pool:
        with pytest.raises(ZeroDivisionError):
            await finished(started(pool, lambda: 1 / 0))
        with pytest.raises(RuntimeError, match="StopIteration") as raised:
            await finished(started(pool, stop))
        assert type(raised.value.__cause__) is StopIteration


async def test_it_sees_the_variables_of_who_made_it_and_sets_none_there() -> None:
    async with pool_of() as pool:
        var.set("made")
        hop = started(pool, lambda: (var.get(), var.set("in the thread")))
        assert (await finished(hop))[0] == var.get() == "made"
        assert hop.context is None
        assert await finished(started(pool, var.get)) == "made"


async def test_it_keeps_its_thread_for_more_if_its_work_says_so() -> None:
    def hold() -> int:
        t.cast("Hop", workers.current()).hold()
        return here()

    async with pool_of() as pool:
        hops = [started(pool, hold) for _ in range(3)]
        first = [await finished(hop) for hop in hops]
        assert len(set(first)) == 3
        assert all(hop.context is not None for hop in hops)  # for who goes on with them
        assert [await hop.run(here) for hop in hops] == first
        for hop in hops:
            hop.release()


@pytest.mark.parametrize("as_hop", [True, False], ids=["hop", "lane"])
async def test_a_kept_thread_may_be_let_go_before_it_looks_for_more(as_hop: bool) -> None:
    """The loop may be quicker; and what it then begins anew is another thread's work."""
    async with pool_of() as pool:
        lanes, threads = list[workers.Lane](), list[int]()
        post, ended = pool.post, threading.Event()

        def post_late(callback: t.Callable[[], None]) -> None:
            """Have the loop do all that it would do, before the thread goes on."""
            pool.post = post  # type: ignore[method-assign]
            done = threading.Event()

            async def go_on() -> None:
                callback()
                lane = lanes[0]
                lane.release()
                lane.held = True
                threads.append(await lane.run(here))
                done.set()

            pool.loop.call_soon(lambda: pool.loop.spawn(go_on, contextvars.Context(), ignore))
            assert done.wait(10)
            ended.set()

        def work() -> int:
            pool.post = post_late  # type: ignore[method-assign]
            t.cast("workers.Lane", workers.current()).hold()
            return here()

        if as_hop:
            hop = FuncHop(pool)
            hop.func = work
            lanes.append(hop)
            pool.submit(hop)
        else:
            lanes.append(workers.Lane(pool))
            lanes[0].start(work)
        assert await anyio.to_thread.run_sync(ended.wait, 5)
        assert await lanes[0].run(here) == threads[0]  # and not the first one's
        lanes[0].release()


def ignore(result: t.Any, error: BaseException | None) -> None:
    assert error is None


async def test_its_thread_may_wait_for_the_loop_which_may_ask_it_for_more() -> None:
    async with pool_of(1) as pool:

        async def back() -> tuple[int, int]:
            lane = t.cast("workers.Lane", workers.waiting())
            return here(), await lane.run(here)

        def nest() -> tuple[int, tuple[int, int]]:
            return here(), t.cast("Hop", workers.current()).call_async(back)

        thread, (loop, again) = await finished(started(pool, nest))
        assert (loop, again) == (here(), thread)


async def test_many_are_all_done_though_one_blocks() -> None:
    gate = threading.Event()
    async with pool_of() as pool:
        blocked = started(pool, gate.wait)
        others = [started(pool, lambda number=number: number) for number in range(100)]  # type: ignore[misc]
        assert [await finished(hop) for hop in others] == [*range(100)]
        assert not blocked.over
        gate.set()
        assert await finished(blocked)


async def test_it_is_gone_when_nobody_needs_it() -> None:
    async with pool_of() as pool:
        hop = started(pool, here)
        await finished(hop)
        gone = weakref.ref(hop)
        gc.disable()
        try:
            del hop
            await finished(started(pool, here))  # the thread has let go of what it did before
            assert gone() is None
        finally:
            gc.enable()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
class TestCancellation:
    async def test_who_is_cancelled_waits_for_the_thread(self) -> None:
        async with pool_of() as pool:
            gate, ended = threading.Event(), list[bool]()
            hop = started(pool, lambda: ended.append(gate.wait()))
            task = asyncio.create_task(finished(hop))
            await asyncio.sleep(0)
            for _ in range(2):
                task.cancel()
                await asyncio.sleep(0)
                assert not task.done()
                assert hop in pool.overdue
            gate.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert ended == [True]
            assert pool.overdue == {}

    async def test_what_its_thread_waits_for_is_cancelled_with_it(self) -> None:
        async with pool_of() as pool:
            begun = asyncio.Event()

            async def for_ever() -> None:
                begun.set()
                await asyncio.get_running_loop().create_future()

            def wait() -> str:
                with pytest.raises(LoopCancelled):
                    t.cast("Hop", workers.current()).call_async(for_ever)
                return "cleaned up"

            hop = started(pool, wait)
            task = asyncio.create_task(finished(hop))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert hop.known() == "cleaned up"

    async def test_one_that_hangs_is_not_waited_for_by_a_pool_that_ends(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("asyncflask.pools.JOIN_SECONDS", 0.01)
        pool, gate, begun = Pool(Loop()), threading.Event(), threading.Event()
        try:
            hop = started(pool, lambda: begun.set() or gate.wait())  # type: ignore[func-returns-value]
            task = asyncio.create_task(finished(hop))
            await anyio.to_thread.run_sync(begun.wait)
            task.cancel()
            await asyncio.sleep(0)
            await anyio.to_thread.run_sync(pool.close)
            pool.give_up()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert hop.abandoned
        finally:
            gate.set()
            for thread in [*pool._threads]:
                await anyio.to_thread.run_sync(thread.join)
