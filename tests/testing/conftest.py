"""Tests marked ``anyio`` run on asyncio and on trio; no test leaves a task behind."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

import anyio
import pytest

from asyncflask.testing import tasks


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem() -> Generator[None, Any, Any]:
    """Turn the tests marked ``anyio`` into plain functions that run an event loop of their own.

    Otherwise pytest-asyncio, in its auto mode, runs them on asyncio whatever the parameter says.
    """
    made = yield
    for item in made if isinstance(made, list) else [made]:
        if (
            isinstance(item, pytest.Function)
            and item.get_closest_marker("anyio")
            and inspect.iscoroutinefunction(item.obj)
        ):
            item.obj = _run_by(item.callspec.params["anyio_backend"], item.obj)
    return made


def _run_by(backend: Any, test: Callable[..., Any]) -> Callable[..., None]:
    def run(**arguments: Any) -> None:
        anyio.run(partial(test, **arguments), backend=str(backend))

    return run


@pytest.fixture(autouse=True)
def no_task_is_left() -> Iterator[None]:
    """Fail the test that leaves a task running, or a stream open (a warning of the collector's)."""
    yield
    left = [task for task in tasks._running if not task.ended]
    tasks._running.clear()
    assert left == []
    gc.collect(1)  # what a test leaves is young; a full collection would take 20 ms
