"""How the shutdown of an app is noticed, and who is told."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import typing as t
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asyncflask import Flask
from asyncflask.shutdown import Shutdown, noticing

HERE = pytest.mark.anyio

#: Signals that arrive in the process at once, in the main thread.
STOPPING = [signal.SIGTERM, signal.SIGINT]


@contextmanager
def handled(number: int) -> Iterator[list[int]]:
    """Handle a signal as a server does, and give what came."""
    came: list[int] = []
    before = signal.signal(number, lambda signum, frame: came.append(signum))
    try:
        yield came
    finally:
        signal.signal(number, before)


async def until(condition: t.Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():
            await checkpoint()


@HERE
async def test_phases() -> None:
    shutdown, called = Shutdown(), []
    with shutdown.calling(lambda: called.append("idle")):
        assert not shutdown.is_set()
        with shutdown.serving():
            assert not shutdown.is_set()
            assert called == []
            with shutdown.calling(lambda: called.append("serving")):
                shutdown.begin()
                assert shutdown.is_set()
                assert called == ["idle", "serving"]
            with shutdown.calling(lambda: called.append("stopping")):
                assert called == ["idle", "serving", "stopping"]
            shutdown.begin()
            assert called == ["idle", "serving", "stopping"]
        assert shutdown.is_set()
        with shutdown.calling(lambda: called.append("over")):
            assert called == ["idle", "serving", "stopping"]
            with shutdown.serving():
                assert not shutdown.is_set()
                shutdown.begin()
            assert called == ["idle", "serving", "stopping", "idle", "over"]


@HERE
async def test_one_is_not_called_when_its_block_has_ended() -> None:
    shutdown, called = Shutdown(), []
    with shutdown.serving():
        with shutdown.calling(lambda: called.append(1)):
            pass
        second = shutdown.calling(lambda: called.append(2))
        with shutdown.calling(lambda: second.__exit__(None, None, None)):
            second.__enter__()
            shutdown.begin()
    assert called == []


@HERE
async def test_waiting() -> None:
    app = Flask("app")
    event = app.shutdown_event
    ended: list[str] = []

    async def wait() -> None:
        await event.wait()
        ended.append("waiter")

    with app._shutdown.serving():
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert ended == []
            app._shutdown.begin()
        await event.wait()
    assert ended == ["waiter"]
    assert event.is_set()


@HERE
async def test_a_lifespan_inside_another_one_does_not_end_it() -> None:
    shutdown = Shutdown()
    with shutdown.serving():
        with shutdown.serving():
            shutdown.begin()
            assert not shutdown.is_set()
        assert not shutdown.is_set()
        shutdown.begin()
        assert shutdown.is_set()


@pytest.mark.parametrize("number", STOPPING)
@HERE
async def test_a_signal_begins_it_and_reaches_who_handled_it_before(number: int) -> None:
    shutdown = Shutdown()
    with handled(number) as came:
        before = signal.getsignal(number)
        with shutdown.serving():
            os.kill(os.getpid(), number)
            await until(shutdown.is_set)
            assert came == [number]
            os.kill(os.getpid(), number)
            assert came == [number, number]
        assert signal.getsignal(number) is before


def test_a_signal_that_ends_the_process_goes_on_to_do_so() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with noticing(lambda: None):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_handler_that_was_put_before_ours_stays() -> None:
    noticed: list[int] = []
    with handled(signal.SIGTERM) as came:
        with noticing(lambda: noticed.append(1)):
            ours: t.Any = signal.getsignal(signal.SIGTERM)
            signal.signal(signal.SIGTERM, lambda number, frame: ours(number, frame))
            theirs = signal.getsignal(signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is theirs
        os.kill(os.getpid(), signal.SIGTERM)
    assert noticed == [1]
    assert came == [signal.SIGTERM] * 2


def test_in_a_thread_no_signal_is_handled_but_it_can_be_told() -> None:
    shutdown = Shutdown()
    started, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        with shutdown.serving():
            started.set()
            await shutdown.wait()
        ended.set()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    before = signal.getsignal(signal.SIGTERM)
    thread.start()
    assert started.wait(10)
    assert signal.getsignal(signal.SIGTERM) is before
    assert not shutdown.is_set()
    shutdown.set()
    assert ended.wait(10)
    thread.join()
    assert shutdown.is_set()


@HERE
async def test_set_on_the_loop_itself_takes_effect_at_once() -> None:
    shutdown = Shutdown()
    shutdown.set()
    assert not shutdown.is_set()
    with shutdown.serving():
        shutdown.set()
        assert shutdown.is_set()


def test_each_loop_has_its_own() -> None:
    shutdown = Shutdown()

    async def inner() -> None:
        with shutdown.serving():
            shutdown.begin()
            assert shutdown.is_set()

    async def outer() -> None:
        with shutdown.serving():
            await asyncio.to_thread(lambda: asyncio.run(inner()))
            assert not shutdown.is_set()
            assert await asyncio.to_thread(shutdown.is_set) is False  # it is on one of two

    asyncio.run(outer())
    assert shutdown.is_set()


def test_it_keeps_no_loop() -> None:
    shutdown = Shutdown()
    loops: list[weakref.ref[t.Any]] = []

    async def serve() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        with shutdown.serving():
            await checkpoint()

    asyncio.run(serve())
    gc.collect()
    assert [loop() for loop in loops] == [None]
    assert shutdown.is_set()


@HERE
async def test_sync_code_asks_for_the_loop_that_it_works_for() -> None:
    app = Flask("app")
    seen: list[bool] = []

    @app.get("/")
    def view() -> str:
        seen.append(app.shutdown_event.is_set())
        app._shutdown.set()
        return ""

    async with app.async_client() as client:
        await client.get("/")
        await until(app.shutdown_event.is_set)
        await client.get("/")
    assert seen == [False, True]
