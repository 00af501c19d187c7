"""Tests that leave something behind, each in its way; `test_detectors` has them run and blamed.

The file's name keeps them out of every other run.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
import typing as t

import pytest

from asyncflask import Flask
from asyncflask.loops import Loop
from asyncflask.pools import Pool
from asyncflask.workers import Lane

pytestmark = pytest.mark.grace(0.3)
kept: list[t.Any] = []


async def test_task() -> None:
    kept.append(asyncio.create_task(asyncio.sleep(60)))


async def test_context_in_a_coroutine() -> None:
    context = Flask("guilty").app_context()
    context.push()
    kept.append(context)


def test_context(request: pytest.FixtureRequest) -> None:
    context = Flask("guilty").app_context()
    context.push()
    request.session.config.add_cleanup(context.pop)


@pytest.mark.loop_limit(0.25)
async def test_loop() -> None:
    time.sleep(0.5)  # noqa: ASYNC251 - it is what this is about


def test_thread() -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def test_file() -> None:
    kept.append(tempfile.TemporaryFile())  # noqa: SIM115 - it is what this is about


def test_temporary_file() -> None:
    kept.append(tempfile.NamedTemporaryFile(delete=False))  # noqa: SIM115
    kept[-1].close()


async def test_lane() -> None:
    pool = Pool(Loop(), 1, 1)
    lane = Lane(pool, held=True)
    await lane.run(int)
    kept.append(lane)


@pytest.mark.time_limit(0.5)
def test_time() -> None:
    threading.Event().wait()


async def test_innocent() -> None:
    async with Flask("innocent").app_context(), asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0))
    with tempfile.NamedTemporaryFile():
        await asyncio.to_thread(int)
