"""A clock that only sleeping moves, and timeouts of routes that wait until they make sense."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest

from asyncflask import pace
from asyncflask.dispatch.guard import _Guard


class Clock:
    """Stands for the clock that `asyncflask.pace` looks at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.slept = 100.0, 0.0
        monkeypatch.setattr(pace, "monotonic", lambda: self.now)
        monkeypatch.setattr(anyio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


def timeouts_begin_when(monkeypatch: pytest.MonkeyPatch, reached: Callable[[], bool]) -> None:
    """Have the `timeout` of a route count from what it is to end: a machine may be slow until then.

    :param reached: whether that has begun.
    """
    expire = _Guard._expire

    async def expire_later(guard: _Guard, seconds: float) -> None:
        while not reached():
            await anyio.lowlevel.checkpoint()
        await expire(guard, seconds)

    monkeypatch.setattr(_Guard, "_expire", expire_later)
