"""No test of the clients leaves a task behind."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from asyncflask.testing import tasks


@pytest.fixture(autouse=True)
def no_task_is_left() -> Iterator[None]:
    """Fail the test that leaves a task running, or a stream open (a warning of the collector's)."""
    yield
    left = [task for task in tasks._running if not task.ended]
    tasks._running.clear()
    assert left == []
    gc.collect(1)  # what a test leaves is young; a full collection would take 20 ms
