"""Tasks outside of task groups."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import anyio
import anyio.lowlevel
import pytest

from asyncflask.testing.tasks import DetachedTask, _running

pytestmark = pytest.mark.anyio
variable: ContextVar[str] = ContextVar("variable", default="unset")


async def test_runs_and_ends() -> None:
    seen: list[str] = []

    async def work() -> None:
        seen.append(variable.get())
        variable.set("inside")

    variable.set("outside")
    task = DetachedTask(work, "work")
    assert task in _running
    await task.wait()
    assert task.ended
    assert task.error is None
    assert seen == ["outside"]
    assert variable.get() == "outside"
    assert task not in _running


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
async def test_keeps_what_is_raised(error: BaseException) -> None:
    async def work() -> None:
        raise error

    task = DetachedTask(work, "work")
    await task.wait()
    assert task.error is error


async def test_stop_cancels() -> None:
    steps: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            steps.append("cancelled")

    task = DetachedTask(work, "work")
    await anyio.lowlevel.checkpoint()
    await task.stop()
    assert steps == ["cancelled"]
    assert task.error is None


async def test_stop_lets_it_end_within_the_grace_period() -> None:
    go = anyio.Event()
    steps: list[str] = []

    async def work() -> None:
        await go.wait()
        await anyio.lowlevel.checkpoint()
        steps.append("done")

    task = DetachedTask(work, "work")
    go.set()
    await task.stop(grace=10)
    assert steps == ["done"]


async def test_stop_waits_even_if_cancelled() -> None:
    ended = anyio.Event()

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            ended.set()

    task = DetachedTask(work, "work")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await task.stop()
    assert ended.is_set()


async def test_may_be_stopped_before_it_ran() -> None:
    ran: list[bool] = []

    async def work() -> None:
        await anyio.lowlevel.checkpoint()
        ran.append(True)

    task = DetachedTask(work, "work")
    task.cancel()
    await task.stop()
    assert task.ended
    assert ran == []


async def test_may_be_cancelled_from_outside(anyio_backend: str) -> None:
    """As by an event loop that is closed."""
    task = DetachedTask(anyio.sleep_forever, "to be cancelled")
    await anyio.lowlevel.checkpoint()
    if anyio_backend == "asyncio":
        (native,) = (one for one in asyncio.all_tasks() if one.get_name() == "to be cancelled")
        native.cancel()
        await task.wait()
        assert isinstance(task.error, asyncio.CancelledError)
    await task.stop()


def test_ends_with_trio() -> None:
    made: list[DetachedTask] = []

    async def main() -> None:
        made.append(DetachedTask(anyio.sleep_forever, "work"))
        await anyio.lowlevel.checkpoint()

    anyio.run(main, backend="trio")
    assert made[0].ended
    assert made[0].error is not None
