"""A clock that only sleeping moves."""

from __future__ import annotations

import anyio
import pytest

from asyncflask import pace


class Clock:
    """Stands for the clock that `asyncflask.pace` looks at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.slept = 100.0, 0.0
        monkeypatch.setattr(pace, "monotonic", lambda: self.now)
        monkeypatch.setattr(anyio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds
