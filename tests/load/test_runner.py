"""Connections that send as the schedule says, by a clock that only sending and sleeping move."""

from __future__ import annotations

import asyncio
import threading
import typing as t
from time import perf_counter_ns

import anyio
import anyio.to_thread
import pytest

from asyncflask.load import runner as runner_module
from asyncflask.load.plan import Plan
from asyncflask.load.record import Record
from asyncflask.load.runner import GRAIN, Runner
from asyncflask.load.sending import over_network
from asyncflask.load.strain import Strain

from ..conftest import Live

MS = 1_000_000


class Clock:
    """Stands for the clock and the sleep of a runner with one connection."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        self.oversleeps = 0
        monkeypatch.setattr(runner_module, "perf_counter_ns", lambda: self.now)
        monkeypatch.setattr(anyio, "sleep", self.sleep)

        async def no_watch(strain: Strain) -> None:
            pass

        monkeypatch.setattr(Strain, "watch", no_watch)

    async def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9) + self.oversleeps


class Server:
    """A connection to a server whose answers take what is said here.

    :param clock: the clock that they move.
    :param takes: nanoseconds for each answer in turn; then the last for all others.
    """

    def __init__(self, clock: Clock, *takes: int) -> None:
        self.clock, self.takes = clock, [*takes]
        self.started: list[int] = []
        self.durations: list[int] = []

    async def send(self, record: Record, since: int) -> None:
        self.started.append(self.clock.now)
        self.clock.now += self.takes.pop(0) if len(self.takes) > 1 else self.takes[0]
        self.durations.append(self.clock.now - since)
        record.answer(since, self.clock.now, 200, 0, 0)

    async def aclose(self) -> None:
        pass


def measured(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, server: Server, **settings: t.Any
) -> Runner:
    monkeypatch.setattr(runner_module, "senders", lambda plan, connect: [server])
    plan = Plan("http://x", **settings)

    async def measure() -> Runner:
        made = Runner(plan, over_network(plan))
        await made.warm_up()
        await made.measure()
        return made

    return anyio.run(measure)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_stall_is_seen_by_all_who_would_have_come_during_it(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """100 a second, 1 ms each, but the third answer takes 55 ms."""
    server = Server(clock, MS, MS, 55 * MS, MS)
    measured(monkeypatch, clock, server, rate=100.0, requests=10)
    # Due at 0, 10, 20, ... What is due during the stall starts when it is over, at 20 + 55 (less
    # the grain by which timers are set early), and waits for those before it.
    assert server.durations == [each * MS for each in (1, 1, 55, 45, 36, 27, 18, 9, 1, 1)]


def test_without_a_rate_only_one_request_sees_a_stall(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    server = Server(clock, MS, MS, 55 * MS, MS)
    measured(monkeypatch, clock, server, requests=10)
    assert server.durations == [MS, MS, 55 * MS] + [MS] * 7


def test_what_was_due_and_not_sent_counts_with_its_wait(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    server = Server(clock, MS, 300 * MS)
    record = measured(monkeypatch, clock, server, rate=100.0, duration=0.1).record
    # The second answer comes at 310 ms (less the grain); eight more were due, from 20 to 90 ms.
    assert (record.total.answered, record.unsent) == (2, 8)
    assert record.errors == 8
    assert record.total.histogram.count == 10
    ended = 10 * MS - GRAIN + 300 * MS
    assert record.total.histogram.largest == 300 * MS
    waited = sum(ended - number * 10 * MS for number in range(2, 10))
    assert record.total.histogram.total == MS + 300 * MS + waited


def test_a_timer_that_is_late_is_the_clients_lateness_and_counts(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    clock.oversleeps = 4 * MS
    server = Server(clock, MS)
    made = measured(monkeypatch, clock, server, rate=100.0, requests=3)
    assert server.started == [0, 13 * MS, 23 * MS]
    assert server.durations == [MS, 4 * MS, 4 * MS]
    assert (made.strain.late.count, made.strain.late.largest) == (2, 3 * MS)


def test_a_timer_that_is_early_is_no_gain(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    server = Server(clock, MS)
    made = measured(monkeypatch, clock, server, rate=100.0, requests=3)
    assert server.started == [0, 10 * MS - GRAIN, 20 * MS - GRAIN]
    assert server.durations == [MS] * 3
    assert made.strain.late.largest == 0


def test_a_warm_up_does_not_count(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    server = Server(clock, *[50 * MS] * 4, MS)
    record = measured(monkeypatch, clock, server, requests=5, warm_up=0.2).record
    assert len(server.durations) == 4 + 5
    assert (record.total.answered, record.total.histogram.largest) == (5, MS)
    assert record.elapsed == 5 * MS


def test_a_duration_ends_the_starts(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    server = Server(clock, 30 * MS)
    record = measured(monkeypatch, clock, server, duration=0.1).record
    assert server.started == [0, 30 * MS, 60 * MS, 90 * MS]
    assert record.unsent == 0


@pytest.mark.anyio
async def test_a_real_server_that_stalls(live: Live) -> None:
    """It answers nobody until all were due: each has then waited since it was."""
    released = asyncio.Event()

    async def stalls(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await released.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    server = live(stalls, lifespan="off")
    plan = Plan(server.url, connections=2, rate=1000.0, requests=50)
    async with Runner(plan, over_network(plan)) as made, anyio.create_task_group() as tasks:
        tasks.start_soon(made.measure)
        await anyio.sleep(0.05)
        now = perf_counter_ns()
        server.on_loop(released.set)
    histogram = made.record.total.histogram
    assert (histogram.count, made.record.unsent) == (50, 0)
    waited = [now - made.record.began - number * MS for number in range(50)]
    assert histogram.total >= sum(max(each, 0) for each in waited)
    assert histogram.largest >= waited[0] > 0


@pytest.mark.anyio
async def test_stopping_ends_what_is_not_answered(live: Live) -> None:
    asked = threading.Semaphore(0)

    async def silent(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        asked.release()
        while (await receive())["type"] != "http.disconnect":
            pass

    server = live(silent, lifespan="off")
    plan = Plan(server.url, connections=3)
    async with Runner(plan, over_network(plan)) as made:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(made.measure)
            for _ in range(3):
                await anyio.to_thread.run_sync(asked.acquire)
            await made.stop()
        assert made.record.unfinished == 3
        assert (made.record.total.answered, made.record.errors) == (0, 0)
        await made.measure()  # what was stopped stays so
    assert not asked.acquire(blocking=False)


@pytest.mark.anyio
async def test_many_connections(live: Live) -> None:
    async def answer(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    plan = Plan(live(answer, lifespan="off").url, connections=100, requests=250)
    async with Runner(plan, over_network(plan)) as made:
        await made.measure()
    assert made.record.total.statuses == {204: 250}
    assert made.strain.shares
    assert made.strain.shares[0] > 0
