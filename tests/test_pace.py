"""No more than so many messages a second."""

from __future__ import annotations

import pytest

from asyncflask.pace import Pace

from .clock import Clock


async def test_the_rate_of_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = Pace(10)
    for _ in range(10):
        await pace.wait()
    assert clock.slept == 0  # a second's worth at once
    for _ in range(20):
        await pace.wait()
    assert clock.slept == pytest.approx(2.0)
    clock.now += 60
    for _ in range(10):
        await pace.wait()
    assert clock.slept == pytest.approx(2.0)  # idle time is not saved up beyond a second
    await pace.wait()
    assert clock.slept == pytest.approx(2.1)
