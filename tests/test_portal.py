"""The way from sync code to a loop where no server's is: the process's own."""

from __future__ import annotations

import threading
import typing as t

import anyio
import anyio.lowlevel
import pytest

from asyncflask import portal, workers
from asyncflask.workers import Lane


def here() -> int:
    return threading.get_ident()


def test_without_a_server_a_background_loop_is_used() -> None:
    async def where() -> str:
        return threading.current_thread().name

    assert portal.call_async(where) == "asyncflask-loop"
    assert portal.call_async(where) == "asyncflask-loop"
    assert workers.current() is None


def test_nested_sync_code_returns_to_the_thread_that_waits() -> None:
    async def on_loop(lane: Lane) -> int:
        return t.cast("int", await lane.run(here))

    async def start() -> int:
        return 0

    portal.call_async(start)
    lane = Lane(portal.background_pool())
    with lane.adopting_thread():
        assert lane.call_async(on_loop, lane) == here()


def test_sync_code_on_the_background_loop_may_wait_for_async_code() -> None:
    async def inner() -> str:
        return "inner"

    async def outer() -> str:
        return str(portal.call_async(inner))

    assert portal.call_async(outer) == "inner"


@pytest.mark.anyio
async def test_the_background_loop_is_no_trio_whoever_waits_for_it() -> None:
    async def wait() -> str:
        await anyio.lowlevel.checkpoint()
        return threading.current_thread().name

    assert portal.call_async(wait) == "asyncflask-loop"
    await anyio.lowlevel.checkpoint()  # and who waited is what it was


def test_threads_wait_at_the_same_time() -> None:
    """Each for the same loop, and each does the sync work of what it waits for."""
    barrier = threading.Barrier(8, timeout=10)
    found: list[bool] = []

    def work() -> None:
        async def on_loop() -> int:
            lane = t.cast("Lane", workers.waiting())
            await lane.run(barrier.wait)  # none goes on before all are here
            return t.cast("int", await lane.run(here))

        found.append(portal.call_async(on_loop) == here())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8


def test_errors_and_results_come_back() -> None:
    async def fail() -> None:
        raise LookupError("here")

    with pytest.raises(LookupError, match="here"):
        portal.call_async(fail)
    assert workers.current() is None
    assert workers.waiting() is None
