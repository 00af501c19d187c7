"""Several client processes: real ones, with a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from asyncflask.load.loop import ungrouped
from asyncflask.load.plan import Plan
from asyncflask.load.processes import Crowd, WorkerFailed

from ..conftest import Live

pytestmark = pytest.mark.time_limit(60)

WORKER = [sys.executable, "-m", "asyncflask.load.worker"]


async def answer(scope: t.Any, receive: t.Any, send: t.Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


class Silent:
    """An app that answers nobody, and counts who asks."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)

    async def __call__(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        self.asked.release()
        while (await receive())["type"] != "http.disconnect":
            pass


def crowded(plan: Plan, processes: int) -> Crowd:
    async def measure() -> Crowd:
        async with Crowd(plan, processes) as crowd:
            await crowd.warm_up()
            await crowd.measure()
        return crowd

    return anyio.run(measure)


def test_what_came_of_it_adds_up(live: Live) -> None:
    plan = Plan(live(answer, lifespan="off").url, connections=3, requests=11, rate=200.0)
    crowd = crowded(plan, 2)
    assert crowd.record.total.statuses == {200: 11}
    assert crowd.record.total.received == 55
    assert crowd.record.total.histogram.count == 11
    assert (crowd.record.unsent, crowd.record.unfinished) == (0, 0)
    assert len(crowd.strain.shares) == 2


def test_a_scenario_in_several_processes(live: Live, tmp_path: Path) -> None:
    file = tmp_path / "visit.py"
    file.write_text("async def scenario(client):\n    await client.get('/')\n")
    url = live(answer, lifespan="off").url
    crowd = crowded(Plan(url, connections=2, requests=4, scenario=str(file)), 2)
    assert crowd.record.done_runs == 4
    assert crowd.record.steps["GET /"].answered == 4


def test_what_is_wrong_in_a_process_is_said_once(tmp_path: Path) -> None:
    file = tmp_path / "visit.py"
    file.write_text("1 / 0\n")
    plan = Plan("http://127.0.0.1:1", connections=2, scenario=str(file))
    with pytest.raises(WorkerFailed, match="ZeroDivisionError"):
        crowded(plan, 2)


@pytest.mark.anyio
async def test_stopping_ends_all(live: Live) -> None:
    silent = Silent()
    plan = Plan(live(silent, lifespan="off").url, connections=4)
    async with Crowd(plan, 2) as crowd, anyio.create_task_group() as tasks:
        await crowd.warm_up()
        tasks.start_soon(crowd.measure)
        for _ in range(4):
            await anyio.to_thread.run_sync(silent.asked.acquire)
        await crowd.stop()
    assert crowd.record.unfinished == 4
    assert crowd.record.errors == 0


@pytest.mark.anyio
async def test_a_process_that_is_killed(live: Live) -> None:
    silent = Silent()
    plan = Plan(live(silent, lifespan="off").url, connections=2)

    async def kill(crowd: Crowd) -> None:
        for _ in range(2):
            await anyio.to_thread.run_sync(silent.asked.acquire)
        os.kill(crowd.pids[1], signal.SIGKILL)

    async def measure() -> None:
        async with Crowd(plan, 2) as crowd:
            await crowd.warm_up()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(kill, crowd)
                await crowd.measure()

    with pytest.raises(WorkerFailed, match="ended before its report"), ungrouped():
        await measure()


def test_a_process_ends_with_its_parent(live: Live) -> None:
    silent = Silent()
    plan = Plan(live(silent, lifespan="off").url, connections=1)
    with subprocess.Popen(WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(plan.as_json().encode() + b"\n")
        worker.stdin.flush()
        assert json.loads(worker.stdout.readline()) == {"ready": True}
        worker.stdin.write(b"\n")
        worker.stdin.flush()
        assert silent.asked.acquire(timeout=60)
        worker.stdin.close()
        *_, last = map(json.loads, worker.stdout)
        assert worker.wait(60) == 0
    assert last["record"]["unfinished"] == 1


def test_a_process_without_a_plan_ends() -> None:
    done = subprocess.run(WORKER, input=b"", capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")


def test_what_is_seen_meanwhile_adds_up(live: Live) -> None:
    """Each process tells once a second."""
    plan = Plan(live(answer, lifespan="off").url, connections=2, rate=50.0, duration=1.5)
    crowd = crowded(plan, 2)
    assert crowd.record.total.answered + crowd.record.unsent == 75
    assert 0 < crowd.glance.answered <= crowd.record.total.answered
    assert crowd.glance.total <= crowd.record.total.histogram.total
