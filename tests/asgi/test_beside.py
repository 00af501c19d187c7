"""Tasks beside a body: begun when the loop turns, cancelled when the block ends."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import typing as t
from collections.abc import AsyncIterator

import anyio
import pytest
import trio
from anyio.lowlevel import checkpoint

from asyncflask import Flask, Response
from asyncflask.asgi.beside import Beside
from asyncflask.loops import Loop

from ..played import Played, part

pytestmark = pytest.mark.anyio

var: contextvars.ContextVar[str] = contextvars.ContextVar("beside", default="outer")


class Log(list[str]):
    """What has happened."""

    async def wait(self) -> None:
        """Wait until cancelled."""
        self.append(f"began in {var.get()}")
        try:
            await anyio.sleep_forever()
        finally:
            self.append("cancelled")

    async def fail(self) -> None:
        """Raise."""
        raise LookupError("beside")

    def failed(self) -> None:
        """Note that one of them did."""
        self.append("failed")


@pytest.fixture
def log() -> Log:
    return Log()


async def until(log: Log, length: int) -> None:
    while len(log) < length:
        await checkpoint()


async def test_begun_in_the_context_around_and_cancelled_at_the_end(log: Log) -> None:
    var.set("handler")
    with Beside(Loop(), [log.wait, log.wait], log.failed):
        await until(log, 2)
    assert log == ["began in handler"] * 2
    await until(log, 4)
    assert log[2:] == ["cancelled"] * 2


async def test_nothing_is_begun_for_a_block_that_does_not_wait(log: Log) -> None:
    with Beside(Loop(), [log.wait], log.failed):
        pass
    await anyio.wait_all_tasks_blocked()
    assert log == []


async def failing(log: Log, error: Exception | None) -> None:
    with Beside(Loop(), [log.fail], log.failed):
        await until(log, 1)
        log.append("end")
        if error is not None:
            raise error


async def test_an_error_beside_is_told_and_raised_behind_the_block(log: Log) -> None:
    with pytest.raises(LookupError, match="beside"):
        await failing(log, None)
    assert log == ["failed", "end"]


async def test_the_error_of_the_block_wins(log: Log) -> None:
    with pytest.raises(RuntimeError, match="block"):
        await failing(log, RuntimeError("block"))


async def test_tasks_end_with_a_block_that_is_cancelled(log: Log) -> None:
    with anyio.CancelScope() as scope:
        with Beside(Loop(), [log.wait], log.failed):
            await until(log, 1)
            scope.cancel()
            await checkpoint()
    await until(log, 2)
    assert log[1:] == ["cancelled"]


async def failing_twice(log: Log) -> None:
    async def fail_too() -> None:
        await until(log, 1)
        raise RuntimeError("the second")

    with Beside(Loop(), [log.fail, fail_too], log.failed):
        await until(log, 2)


async def test_of_two_errors_beside_the_first_is_raised(log: Log) -> None:
    with pytest.raises(LookupError, match="beside"):
        await failing_twice(log)


async def test_an_error_at_once_is_told(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is known what cancels the task: eager tasks (Python 3.12) may fail so."""
    loop = Loop()

    def spawn(func: t.Any, context: t.Any, done: t.Any) -> t.Any:
        done(None, LookupError("at once"))
        return bool

    monkeypatch.setattr(loop, "spawn", spawn)
    with pytest.raises(LookupError, match="at once"), Beside(loop, [log.fail], log.failed):
        await until(log, 1)


def streaming() -> Flask:
    app = Flask("beside")

    @app.get("/")
    async def view() -> Response:
        async def body() -> AsyncIterator[str]:
            for _ in range(3):
                await checkpoint()
                yield "x"

        return Response(body())

    return app


def test_nothing_is_pending_when_the_loop_is_closed_at_once() -> None:
    played: list[Played] = []
    told: list[t.Any] = []

    async def serve() -> None:
        played.append(await Played(part(b"")).play(streaming()))

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: told.append(context))
    loop.run_until_complete(serve())
    left = asyncio.all_tasks(loop)
    loop.close()
    gc.collect()
    assert played[0].body == b"xxx"
    assert (left, told) == (set(), [])


def test_a_run_of_trio_may_end_at_once() -> None:
    played: list[Played] = []

    async def serve() -> None:
        played.append(await Played(part(b"")).play(streaming()))

    trio.run(serve)  # what it would not have expected of a system task, it raises
    assert played[0].body == b"xxx"


def test_the_sync_client_leaves_nothing_pending() -> None:
    assert streaming().test_client().get("/").data == b"xxx"
