from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from asyncflask.keepalive import KeepAlive

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)

LONG = 3600.0


class Wire:
    """Takes pieces, one at a time; may be slow, or broken."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.open = anyio.Event()
        self.open.set()
        self.error: Exception | None = None
        self._count = anyio.Condition()
        self._busy = False

    async def send(self, piece: str) -> None:
        assert not self._busy, "two pieces at the same time"
        self._busy = True
        await self.open.wait()
        self._busy = False
        async with self._count:
            self.sent.append(piece)
            self._count.notify_all()
        if self.error is not None:
            raise self.error

    async def until(self, reached: Callable[[], bool]) -> None:
        async with self._count:
            while not reached():
                await self._count.wait()


async def test_silence_is_broken_again_and_again() -> None:
    wire = Wire()
    beat = KeepAlive(wire.send, 0.001, "ping")
    async with anyio.create_task_group() as group:
        group.start_soon(beat.run)
        await wire.until(lambda: wire.sent.count("ping") == 3)
        await beat.send("piece")
        await wire.until(lambda: wire.sent.count("ping") == 6)
        group.cancel_scope.cancel()
    assert wire.sent.count("piece") == 1


async def test_the_first_one_is_sent_at_once_and_no_other() -> None:
    wire = Wire()
    async with anyio.create_task_group() as group:
        group.start_soon(KeepAlive(wire.send, LONG, "ping").run)
        await wire.until(lambda: wire.sent == ["ping"])
        await anyio.wait_all_tasks_blocked()
        assert wire.sent == ["ping"]
        group.cancel_scope.cancel()


async def test_a_stream_that_has_begun_needs_none() -> None:
    wire = Wire()
    beat = KeepAlive(wire.send, LONG, "ping")
    await beat.send("piece")
    async with anyio.create_task_group() as group:
        group.start_soon(beat.run)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert wire.sent == ["piece"]


async def test_none_joins_what_a_slow_reader_has_still_to_read() -> None:
    wire = Wire()
    wire.open = anyio.Event()
    beat = KeepAlive(wire.send, LONG, "ping")
    async with anyio.create_task_group() as group:
        group.start_soon(beat.send, "piece")
        await anyio.wait_all_tasks_blocked()
        group.start_soon(beat.run)  # it is time for a ping, since nothing was sent yet
        await anyio.wait_all_tasks_blocked()
        wire.open.set()
        await anyio.wait_all_tasks_blocked()
        assert wire.sent == ["piece"]
        group.cancel_scope.cancel()


async def test_a_piece_waits_for_a_ping_that_is_being_sent() -> None:
    wire = Wire()
    wire.open = anyio.Event()
    beat = KeepAlive(wire.send, LONG, "ping")
    async with anyio.create_task_group() as group:
        group.start_soon(beat.run)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(beat.send, "piece")
        await anyio.wait_all_tasks_blocked()
        wire.open.set()
        await wire.until(lambda: wire.sent == ["ping", "piece"])
        group.cancel_scope.cancel()


async def test_a_broken_connection_is_left_for_the_stream_to_find() -> None:
    wire = Wire()
    wire.error = OSError("broken")
    beat = KeepAlive(wire.send, 0.001, "ping")
    await beat.run()
    assert wire.sent == ["ping"]
    with pytest.raises(OSError, match="broken"):
        await beat.send("piece")
