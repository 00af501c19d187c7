"""Tasks beside a body: begun when the loop turns, cancelled when the block ends."""

from __future__ import annotations

import contextvars

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asyncflask.asgi.beside import Beside
from asyncflask.loops import Loop

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
