"""The life of a pool's threads, on asyncio and on trio."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import typing as t
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from asyncflask import Flask, pools
from asyncflask.exceptions import QueueFull
from asyncflask.loops import Loop
from asyncflask.pools import Metrics, Pool
from asyncflask.workers import Lane

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)

#: Seconds for what takes milliseconds.
PATIENCE = 10.0


@asynccontextmanager
async def pool_of(limit: int = 4, queue_limit: int = 1000) -> t.AsyncIterator[Pool]:
    pool = Pool(Loop(), limit, queue_limit)
    try:
        yield pool
    finally:
        await anyio.to_thread.run_sync(pool.close)
        assert pool.metrics.threads == 0


async def until(holds: t.Callable[[], bool]) -> None:
    """Let others have their turn until something holds."""
    with anyio.fail_after(PATIENCE):
        while not holds():
            await anyio.lowlevel.checkpoint()


class Gate:
    """Keeps threads until it is opened."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self.open = self._opened.set

    def pass_through(self) -> int:
        assert self._opened.wait(PATIENCE)
        return threading.get_ident()


async def test_there_is_no_thread_before_there_is_work() -> None:
    async with pool_of() as pool:
        assert pool.metrics == Metrics(0, 0, 0, 0, 0, 4, 1000)


async def test_one_request_after_another_needs_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "PATIENCE", PATIENCE)  # one that the machine stops gets no help
    async with pool_of() as pool:
        threads = {await Lane(pool).run(threading.get_ident) for _ in range(50)}
        assert len(threads) == pool.metrics.threads == 1


async def test_threads_are_as_many_as_are_blocked_up_to_the_limit() -> None:
    gate = Gate()
    async with pool_of(limit=3) as pool, anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(Lane(pool).run, gate.pass_through)
            blocked = min(number + 1, 3)
            await until(lambda blocked=blocked: pool.metrics.in_use == blocked)  # type: ignore[misc]
        await until(lambda: pool.waiting == 2)
        assert pool.metrics == Metrics(3, 3, 0, 2, 0, 3, 1000)
        gate.open()


async def test_what_is_refused_is_counted() -> None:
    gate = Gate()
    async with pool_of(limit=1, queue_limit=1) as pool, anyio.create_task_group() as group:
        for waiting in range(2):
            pool.admit()
            group.start_soon(Lane(pool).run, gate.pass_through)
            await until(lambda waiting=waiting: pool.metrics[1:4] == (1, 0, waiting))  # type: ignore[misc]
        for rejected in range(1, 4):
            with pytest.raises(QueueFull) as raised:
                pool.admit()
            assert raised.value.retry_after == pools.RETRY_SECONDS
            assert pool.metrics.rejected == rejected
        gate.open()


async def test_a_thread_that_a_request_keeps_is_not_in_use() -> None:
    async with pool_of(limit=1) as pool:
        lanes = [Lane(pool, held=True) for _ in range(3)]
        threads = {await lane.run(threading.get_ident) for lane in lanes}
        await until(lambda: pool.metrics.held == 3)
        assert len(threads) == pool.metrics.threads == 3
        assert pool.metrics.in_use == 0
        for lane in lanes:
            lane.release()
        await until(lambda: pool.metrics.held == 0)


async def test_an_idle_thread_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.01)
    async with pool_of() as pool:
        gate = Gate()
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(Lane(pool).run, gate.pass_through)
            await until(lambda: pool.metrics.in_use == 3)
            gate.open()
        await until(lambda: pool.metrics.threads == 0)
        assert await Lane(pool).run(threading.get_ident) != threading.get_ident()


async def test_no_work_is_lost_as_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that comes just when the last thread has waited long enough gets another one."""
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.0)
    async with pool_of(limit=2) as pool:
        with anyio.fail_after(PATIENCE):
            for turn in range(1000):
                assert await Lane(pool).run(abs, -turn) == turn


async def test_bursts_as_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.0005)
    done: list[int] = []

    async def work(number: int) -> None:
        done.append(await Lane(pool, held=False).run(abs, -number))

    async with pool_of(limit=8) as pool:
        with anyio.fail_after(PATIENCE):
            for _ in range(50):
                async with anyio.create_task_group() as group:
                    for number in range(20):
                        group.start_soon(work, number)
    assert sorted(done) == sorted([*range(20)] * 50)


async def test_closing_waits_for_what_is_at_work() -> None:
    gate, began = Gate(), threading.Event()
    ended: list[float] = []

    def work() -> None:
        began.set()
        gate.pass_through()
        ended.append(time.monotonic())

    async with anyio.create_task_group() as group:
        async with pool_of() as pool:
            group.start_soon(Lane(pool).run, work)
            await until(began.is_set)
            gate.open()
        assert ended
        assert ended[0] <= time.monotonic()


async def test_work_that_waits_is_done_before_the_pool_is_closed() -> None:
    gate = Gate()
    done: list[int] = []

    async def work() -> None:
        done.append(await Lane(pool).run(gate.pass_through))

    async with anyio.create_task_group() as group, pool_of(limit=1) as pool:
        for _ in range(5):
            group.start_soon(work)
        await until(lambda: pool.waiting == 4)
        gate.open()
    assert len(done) == 5


async def test_a_process_that_is_stopped_does_not_give_up_its_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They were stopped as well: when it goes on, they get time to end."""
    monkeypatch.setattr(pools, "JOIN_SECONDS", 0.1)
    waits: list[float] = []

    class Stopped(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            assert timeout is not None
            waits.append(timeout)
            if len(waits) == 1:
                time.sleep(0.2)
            elif timeout > 0:
                pool._threads.discard(self)

    async with pool_of() as pool:
        pool._threads.add(Stopped())
        await anyio.to_thread.run_sync(pool.close)
        pool.give_up()
        assert not pool.given_up
    assert len(waits) == 2


async def test_an_app_has_a_pool_for_each_loop_and_its_metrics_there() -> None:
    app = Flask(__name__)
    app.config.update(SYNC_WORKERS=3, SYNC_QUEUE_LIMIT=7)
    assert app.sync_metrics == Metrics(0, 0, 0, 0, 0, 3, 7)
    here = threading.get_ident()
    mine = app._pool()

    async def main() -> None:
        assert app._pool() is not mine
        assert await Lane(app._pool()).run(threading.get_ident) not in (here, there())
        assert app.sync_metrics.threads == 1
        await app._budgets.close()

    def there() -> int:
        return threading.get_ident()

    await anyio.to_thread.run_sync(lambda: anyio.run(main))
    assert mine.metrics.threads == 0
    assert app._pool() is mine
    await app._budgets.close()


async def test_what_comes_with_work_that_blocks_gets_its_own_thread() -> None:
    """Of two pieces that come in one round of the loop, the first may have begun at once."""
    async with pool_of(limit=2) as pool:
        for _ in range(50):
            gate = Gate()
            async with anyio.create_task_group() as group:
                group.start_soon(Lane(pool).run, gate.pass_through)
                group.start_soon(Lane(pool).run, gate.pass_through)
                await until(lambda: pool.metrics.in_use == 2)
                gate.open()


async def test_bursts_and_single_pieces_in_turn() -> None:
    """However many come in a round of the loop, each is done, and told."""
    async with pool_of() as pool:
        with anyio.fail_after(PATIENCE):
            for count in (1, 1, 5, 1, *([1] * 100), 3, 20, 1):
                done: list[int] = []

                async def work(number: int, done: list[int] = done) -> None:
                    done.append(await Lane(pool).run(abs, -number))

                async with anyio.create_task_group() as group:
                    for number in range(count):
                        group.start_soon(work, number)
                assert sorted(done) == [*range(count)]


async def test_results_leave_others_their_turn() -> None:
    """However many there are, the loop does other things before it has handed over all."""
    count, settled = pools.SETTLED * 4, 0
    seen: list[int] = []
    async with pool_of() as pool:

        def settle() -> None:
            nonlocal settled
            settled += 1

        def look() -> None:
            seen.append(settled)
            if settled < count:
                pool.loop.call_in_next_turn(look)

        for _ in range(count):
            pool.post(settle)
        look()
        await until(lambda: settled == count)
        steps = [later - earlier for earlier, later in itertools.pairwise(seen)]
        assert max(steps, default=0) <= pools.SETTLED


async def test_what_is_posted_meanwhile_is_handed_over_too() -> None:
    found: list[int] = []
    async with pool_of() as pool:

        def post(number: int) -> None:
            found.append(number)
            if number < 100:
                pool.post(lambda: post(number + 1))

        for _ in range(pools.SETTLED + 1):
            pool.post(lambda: found.append(0))
        pool.post(lambda: post(1))
        await until(lambda: found[-1:] == [100])
        assert found == [0] * (pools.SETTLED + 1) + [*range(1, 101)]


async def test_threads_that_wait_are_told_one_after_another() -> None:
    """Also if what they wait for is over at once; and each is told its own."""
    count = 30
    began: list[int] = []
    over = anyio.Event()
    found: list[int] = []

    async def wait(number: int) -> int:
        began.append(number)
        await over.wait()
        return number

    async with pool_of(limit=count) as pool:

        async def work(number: int) -> None:
            lane = Lane(pool)
            assert await lane.run(lane.call_async, wait, number) == number
            found.append(number)

        async with anyio.create_task_group() as group:
            for number in range(count):
                group.start_soon(work, number)
            await until(lambda: len(began) == count)
            over.set()
    assert sorted(found) == [*range(count)]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("others", [0, pools.SETTLED * 2])
async def test_an_error_in_a_result_keeps_no_other_from_its_turn(others: int) -> None:
    found: list[t.Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, facts: found.append(facts))

    def fail() -> None:
        raise LookupError

    async with pool_of() as pool:
        pool.post(fail)
        for _ in range(others):
            pool.post(lambda: None)
        await until(lambda: len(found) == 1)
        pool.post(lambda: found.append("settled"))
        await until(lambda: "settled" in found)
        assert len(found) == 2
        assert isinstance(found[0]["exception"], LookupError)
        assert await Lane(pool).run(abs, -1) == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_work_of_successive_turns_is_given_to_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While each turn brings more of it, and for a few turns at the most."""
    async with pool_of() as pool:
        woken: list[int] = []
        wake = pool._wake

        def note_and_wake() -> None:
            woken.append(pool.waiting)
            wake()

        monkeypatch.setattr(pool, "_wake", note_and_wake)

        async def work(turns: int) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            for _ in range(2):
                group.start_soon(Lane(pool).run, threading.get_ident)

        async with anyio.create_task_group() as group:
            for turns in range(3):
                group.start_soon(work, turns)
        assert woken[0] == 6


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_work_that_keeps_coming_is_begun() -> None:
    """A loop that brings more in every turn keeps nobody waiting."""
    async with pool_of() as pool, anyio.create_task_group() as group:
        done = anyio.Event()

        async def last() -> None:
            await Lane(pool).run(threading.get_ident)
            done.set()

        group.start_soon(last)
        turns = 0
        with anyio.fail_after(PATIENCE):
            while not done.is_set():
                turns += 1
                for _ in range(2):
                    group.start_soon(Lane(pool).run, threading.get_ident)
                await asyncio.sleep(0)
        assert turns > 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_thread_cannot_ask_a_loop_that_is_closed() -> None:
    """It would wait for ever."""

    async def make() -> Pool:
        return Pool(Loop())

    def nothing() -> None:
        raise AssertionError

    def main() -> None:
        with asyncio.Runner() as runner:
            pool = runner.run(make())
        pool.post(nothing)  # lost, and no error: nobody waits for it
        with pytest.raises(RuntimeError, match="closed"):
            pool.ask(nothing)

    await anyio.to_thread.run_sync(main)
