"""Worker threads and lanes, on asyncio and on trio."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import typing as t
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from asyncflask import workers
from asyncflask.budgets import FILES, Budgets
from asyncflask.exceptions import LoopCancelled, PipeClosed
from asyncflask.loops import Loop
from asyncflask.pipes import Pipe
from asyncflask.pools import Pool
from asyncflask.workers import Lane

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)

var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="unset")


@asynccontextmanager
async def pool_of(limit: int = 4, queue_limit: int = 1000) -> t.AsyncIterator[Pool]:
    pool = Pool(Loop(), limit, queue_limit)
    try:
        yield pool
    finally:
        await anyio.to_thread.run_sync(pool.close)
        assert not pool._threads


def here() -> int:
    return threading.get_ident()


async def test_a_call_runs_in_another_thread_and_returns_its_result() -> None:
    async with pool_of() as pool:
        assert await Lane(pool).run(here) != here()


async def test_a_held_lane_keeps_its_thread() -> None:
    async with pool_of() as pool:
        lanes = [Lane(pool, held=True) for _ in range(3)]
        first = [await lane.run(here) for lane in lanes]
        second = [await lane.run(here) for lane in lanes]
        assert first == second
        assert len(set(first)) == 3
        for lane in lanes:
            lane.release()


async def test_work_can_ask_to_keep_the_thread() -> None:
    async with pool_of() as pool:
        lane = Lane(pool)

        def hold() -> int:
            t.cast("Lane", workers.current()).hold()
            return here()

        assert await lane.run(hold) == await lane.run(here)
        lane.release()


async def test_errors_are_raised_where_the_call_is_awaited() -> None:
    async with pool_of() as pool:
        with pytest.raises(ZeroDivisionError):
            await Lane(pool).run(lambda: 1 / 0)

        def stop() -> None:
            raise StopIteration

        with pytest.raises(RuntimeError, match="StopIteration"):
            await Lane(pool).run(stop)


async def test_context_variables_go_both_ways() -> None:
    async with pool_of() as pool:
        var.set("from the loop")

        def work() -> str:
            seen = var.get()
            var.set("from the thread")
            return seen

        assert await Lane(pool).run(work) == "from the loop"
        assert var.get() == "from the thread"


async def test_context_variables_do_not_reach_another_call() -> None:
    async with pool_of(limit=1) as pool:
        await Lane(pool).start(var.set, "mine").outcome()
        assert await Lane(pool).run(var.get) == "unset"


async def test_blocked_threads_get_company() -> None:
    async with pool_of(limit=3) as pool:
        barrier = threading.Barrier(3, timeout=10)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(Lane(pool).run, barrier.wait)


async def test_lanes_that_wait_for_the_loop_starve_nobody() -> None:
    async with pool_of(limit=1) as pool:
        held = [Lane(pool, held=True) for _ in range(5)]
        with anyio.fail_after(10):
            for lane in held:
                await lane.run(here)
        for lane in held:
            lane.release()


async def test_async_code_runs_on_the_loop_while_the_thread_waits() -> None:
    loop_thread = here()
    async with pool_of() as pool:
        lane = Lane(pool)

        async def on_loop() -> tuple[int, int]:
            return here(), await lane.run(here)

        def work() -> tuple[int, tuple[int, int]]:
            return here(), lane.call_async(on_loop)

        thread, (loop, nested) = await lane.run(work)
        assert loop == loop_thread
        assert nested == thread != loop_thread


async def test_a_thread_goes_on_as_soon_as_what_it_waited_for_is_over() -> None:
    """It may hold what the next task blocks the loop for: a database's lock, for one."""
    lock, ready, awaited = threading.Lock(), threading.Barrier(4), list[int]()
    got: list[bool] = []

    async def on_loop(number: int) -> None:
        awaited.append(number)
        if len(awaited) == ready.parties:
            pool.loop.call_soon(lambda: got.append(lock.acquire(timeout=10)))

    def work(lane: Lane, number: int) -> None:
        if number == 3:
            lock.acquire()
        ready.wait(10)
        lane.call_async(on_loop, number)
        if number == 3:
            lock.release()

    async with pool_of() as pool, anyio.create_task_group() as group:
        for number in range(ready.parties):
            lane = Lane(pool)
            group.start_soon(lane.run, work, lane, number)
    assert got == [True]


async def test_any_depth_of_nesting_needs_one_thread() -> None:
    async with pool_of(limit=1) as pool:
        lane = Lane(pool)

        def down(depth: int) -> int:
            async def step() -> int:
                return t.cast("int", await lane.run(down, depth - 1))

            return 1 + t.cast("int", lane.call_async(step)) if depth else 0

        with anyio.fail_after(10):
            assert await lane.run(down, 50) == 50


async def test_what_waits_side_by_side_shares_the_thread_at_every_depth() -> None:
    """The work of one is put where another, deeper one, has just ended; it is done all the same."""
    async with pool_of(limit=1) as pool:
        lane = Lane(pool)

        def down(depth: int) -> set[int]:
            found = {here()}

            async def branch() -> None:
                found.update(await lane.run(down, depth - 1))

            async def branches() -> None:
                async with anyio.create_task_group() as group:
                    for _ in range(3):
                        group.start_soon(branch)

            if depth:
                lane.call_async(branches)
            return found

        with anyio.fail_after(10):
            assert len(await lane.run(down, 4)) == 1


async def test_a_coroutine_finds_the_thread_that_waits_for_it_and_no_other() -> None:
    async with pool_of() as pool:
        lane = Lane(pool)
        found: list[Lane | None] = []
        begun, done = anyio.Event(), anyio.Event()

        async def outlive() -> None:
            found.append(workers.waiting())
            begun.set()
            await done.wait()
            found.append(workers.waiting())

        async def on_loop() -> None:
            group.start_soon(outlive)  # with this coroutine's context
            await begun.wait()
            found.append(workers.waiting())

        async def nobody_waits() -> Lane | None:
            return workers.waiting()

        async with anyio.create_task_group() as group:
            await lane.run(lane.call_async, on_loop)
            done.set()
        assert await nobody_waits() is None
        assert found == [lane, lane, None]


async def test_a_thread_that_waited_waits_for_nothing_afterwards() -> None:
    async with pool_of() as pool:
        lane = Lane(pool)

        async def on_loop() -> None:
            await anyio.lowlevel.checkpoint()

        def work() -> list[Lane | None]:
            before = workers.waiting()
            lane.call_async(on_loop)
            return [before, workers.waiting()]

        assert await lane.run(work) == [None, None]


async def test_variables_set_in_async_code_come_back_to_the_thread() -> None:
    async with pool_of() as pool:
        lane = Lane(pool)

        async def on_loop() -> None:
            var.set("from async code")

        def work() -> str:
            lane.call_async(on_loop)
            return var.get()

        assert await lane.run(work) == "from async code"


async def test_errors_of_async_code_reach_the_thread() -> None:
    async with pool_of() as pool:
        lane = Lane(pool)

        async def fail() -> None:
            raise LookupError("here")

        def work() -> str:
            try:
                lane.call_async(fail)
            except LookupError as error:
                return str(error)
            return "nothing"

        assert await lane.run(work) == "here"


async def test_a_pipe_carries_bytes_with_back_pressure() -> None:
    async with pool_of() as pool:
        lane = Lane(pool)
        pipe = Pipe(pool, limit=10)
        written: list[int] = []

        def write() -> None:
            for number in range(100):
                pipe.write(b"%03d" % number)
                written.append(number)
            pipe.end()

        job = lane.start(write)
        read = b""
        while (chunk := await pipe.read()) is not None:
            assert len(chunk) <= 12
            read += chunk
        await job.outcome()
        assert read == b"".join(b"%03d" % number for number in range(100))


async def test_a_closed_pipe_stops_its_writer() -> None:
    async with pool_of() as pool:
        lane = Lane(pool)
        pipe = Pipe(pool, limit=1)

        def write() -> str:
            try:
                while True:
                    pipe.write(b"xx")
            except PipeClosed:
                return "closed"

        job = lane.start(write)
        await pipe.read()
        pipe.close()
        assert await job.outcome() == "closed"


CONFIG = {"SYNC_WORKERS": 2, "FILE_WORKERS": 1, "SYNC_QUEUE_LIMIT": 10}


async def test_pools_belong_to_their_loop_and_kind_of_work() -> None:
    budgets = Budgets()
    pool = budgets.here(CONFIG)
    assert budgets.here(CONFIG) is pool is not budgets.here(CONFIG, FILES)
    assert await Lane(pool).run(here) != here()
    await budgets.close()
    assert not pool.metrics.threads
    assert budgets.here(CONFIG) is not pool
    await budgets.close()


def test_each_loop_has_its_own_pool_whichever_thread_runs_it_and_when() -> None:
    budgets, pools = Budgets(), dict[t.Any, set[Pool]]()

    async def ask() -> None:
        for _ in range(2):
            pool = budgets.here(CONFIG)
            assert pool.loop.is_current()
            pools.setdefault(asyncio.get_running_loop(), set()).add(pool)

    loops = [asyncio.new_event_loop() for _ in range(2)]
    try:
        for loop in (*loops, *loops):  # by turns in one thread
            loop.run_until_complete(ask())
        thread = threading.Thread(target=loops[0].run_until_complete, args=(ask(),))
        thread.start()
        thread.join()
        for loop in (loops[1], loops[0]):
            loop.run_until_complete(ask())
    finally:
        for loop in loops:
            loop.close()
    assert [len(each) for each in pools.values()] == [1, 1]
    assert len(set.union(*pools.values())) == 2


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
class TestCancellation:
    async def test_a_cancelled_caller_waits_for_the_thread(self) -> None:
        async with pool_of() as pool:
            gate = threading.Event()
            ended = []

            def work() -> None:
                gate.wait()
                ended.append(True)

            task = asyncio.create_task(Lane(pool).run(work))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.sleep(0)
            assert not task.done()
            gate.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert ended

    async def test_the_thread_hears_of_a_cancelled_coroutine(self) -> None:
        async with pool_of() as pool:
            lane = Lane(pool)

            async def for_ever() -> None:
                t.cast("asyncio.Task[None]", asyncio.current_task()).cancel()
                await asyncio.sleep(0)

            with pytest.raises(LoopCancelled):
                await lane.run(lane.call_async, for_ever)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_coroutine_that_is_cancelled_before_it_began_is_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with pool_of() as pool:
        lane = Lane(pool)

        async def never() -> None:
            raise AssertionError("not reached")

        def work() -> str:
            try:
                lane.call_async(never)
            except LoopCancelled:
                return "cancelled"
            return "went on"

        spawn = pool.loop.spawn

        def spawn_and_cancel(*args: t.Any) -> t.Any:
            cancel = spawn(*args)
            cancel()
            return cancel

        monkeypatch.setattr(pool.loop, "spawn", spawn_and_cancel)
        with anyio.fail_after(10):
            assert await lane.run(work) == "cancelled"


@pytest.mark.anyio
async def test_nobody_waits_for_a_thread_that_hangs_when_its_pool_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("asyncflask.pools.JOIN_SECONDS", 0.01)
    budgets, go, begun = Budgets(), threading.Event(), threading.Event()
    lane = Lane(budgets.here(CONFIG), held=True)
    ended: list[str] = []

    def hang() -> None:
        begun.set()
        go.wait(10)

    async def wait() -> None:
        try:
            await lane.run(hang)
        finally:
            ended.append("waiter")

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.to_thread.run_sync(begun.wait)
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await budgets.close()
        assert ended == ["waiter"]
        with pytest.raises(LoopCancelled, match="hangs in a thread"):
            lane.start(print)
        assert lane.pool.overdue == {}
    finally:
        go.set()
        lane.release()


# -- interrupts that come when a wait begins or ends ---------------------------------------------


class Interrupted:
    """A lane at work whose waits can be interrupted, and what has happened."""

    def __init__(self, pool: Pool) -> None:
        self.lane, self.log = Lane(pool), list[str]()
        self.reached = anyio.Event()

    def wait(self, func: t.Callable[[], t.Awaitable[t.Any]]) -> None:
        """Have the loop run a coroutine function, and note how it ends; in the thread."""
        try:
            self.log.append(self.lane.call_async(func))
        except LoopCancelled:
            self.log.append("interrupted")

    async def forever(self) -> str:
        """Wait until it is cancelled."""
        self.reached.set()
        await anyio.sleep_forever()
        return "not reached"


async def at_once() -> str:
    return "at once"


class Early(Lane):
    """A lane whose first wait is interrupted between its start and its first step."""

    def _spawn(self, *args: t.Any) -> None:
        super()._spawn(*args)
        if not self.interrupted:
            self.interrupt()


async def test_what_is_interrupted_before_its_first_step_is_not_begun() -> None:
    async with pool_of() as pool:
        case = Interrupted(pool)
        case.lane = Early(pool)

        def work() -> None:
            case.wait(at_once)
            case.wait(at_once)

        with anyio.fail_after(10):
            await case.lane.run(work)
        assert case.log == ["interrupted", "at once"]


async def test_an_interrupt_is_not_lost_where_what_was_waited_for_has_come() -> None:
    """On trio the coroutine goes on to its end, and what it has done is not thrown away."""
    async with pool_of() as pool:
        case, come = Interrupted(pool), anyio.Event()

        async def wait() -> str:
            case.reached.set()
            await come.wait()
            return "came"

        def work() -> None:
            case.wait(wait)
            if case.log == ["came"]:
                case.wait(case.forever)
            case.wait(at_once)

        with anyio.fail_after(10):
            job = case.lane.start(work)
            await case.reached.wait()
            come.set()
            case.lane.interrupt(job)
            await job.outcome()
        came = [] if pool.loop.is_asyncio else ["came"]
        assert case.log == [*came, "interrupted", "at once"]


async def test_what_an_interrupted_wait_cleans_up_with_is_not_taken_for_it() -> None:
    async with pool_of() as pool:
        case = Interrupted(pool)

        def clean_up() -> None:
            case.wait(at_once)
            case.wait(at_once)

        async def wait() -> str:
            try:
                return await case.forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await case.lane.run(clean_up)

        with anyio.fail_after(10):
            job = case.lane.start(case.wait, wait)
            await case.reached.wait()
            case.lane.interrupt(job)
            await job.outcome()
        assert case.log == ["at once", "at once", "interrupted"]
