"""What all tests share: the detectors that watch them, a time limit, and a live server."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import inspect
import signal
import tempfile
import typing as t
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from types import FrameType

import anyio
import pytest
import uvloop
from hypothesis import HealthCheck, settings

from asyncflask import _current, portal

from . import awake
from .awake import STOPPED
from .detectors import GRACE, LOOP_LIMIT, Leftovers, LoopWatch, slowness
from .live.server import LiveServer, serving

#: Seconds for one test, its fixtures not counted.
TIME_LIMIT = 20.0

WATCH = LoopWatch()

Live = Callable[..., LiveServer]

# A machine with other work is slow for a moment; what is slow for ever, `TIME_LIMIT` ends.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--strict-limits",
        action="store_true",
        help="do not extend the tests' time limits while the machine has more work than cores",
    )


def pytest_configure(config: pytest.Config) -> None:
    for marker in (
        "time_limit(seconds): how long the test may take, if longer than 20 seconds",
        "loop_limit(seconds): how long a callback may keep an event loop, if not as long as usual",
        "grace(seconds): how long what the test leaves gets to go away, if not as long as usual",
    ):
        config.addinivalue_line("markers", marker)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # NOTE: a shell has its background jobs ignore it, and whatever they start (POSIX, 2.11)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    WATCH.install()
    awake.clock.start()


def pytest_collection_finish() -> None:
    """Hide what there is by now, thousands of tests above all, from the garbage collector.

    PERF: a full collection, as many a test asks for, took 150 ms; it takes 2 ms.
    """
    gc.collect()
    gc.freeze()


def _limit(item: pytest.Item, marker: str, usual: float) -> float:
    """Return a test's limit, in seconds: its own or the usual one; longer on a busy machine."""
    found = item.get_closest_marker(marker)
    limit = usual if found is None else float(found.args[0])
    return limit if item.config.option.strict_limits else limit * slowness()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> t.Generator[None, t.Any, t.Any]:
    """End a test that hangs, showing where each thread is; and look at the context that it left."""
    seconds, began = _limit(item, "time_limit", TIME_LIMIT), awake.now()

    def give_up(number: int, frame: FrameType | None) -> None:
        if (left := began + seconds - awake.now()) > STOPPED:  # it was not its fault
            signal.setitimer(signal.ITIMER_REAL, left)
            return
        faulthandler.dump_traceback()
        raise TimeoutError(f"The test took longer than {seconds:g} seconds.")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        result = yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    left = WATCH.leaked_context()
    assert left is None or left is _current.context.get(None), f"{left!r} is still current"
    return result


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> t.Generator[None, t.Any, t.Any]:
    """After the fixtures, and with them the test's event loop, are gone: what did loops see?"""
    result = yield
    limit = _limit(item, "loop_limit", LOOP_LIMIT)
    pending, blocked = [*WATCH.pending], [what for what in WATCH.blocked if what[0] > limit]
    WATCH.reset()
    assert pending == [], "tasks were pending when their event loop was closed"
    assert blocked == [], f"callbacks blocked their event loop for more than {limit:g} seconds"
    return result


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem() -> t.Generator[None, t.Any, t.Any]:
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


def _run_by(backend: t.Any, test: Callable[..., t.Any]) -> Callable[..., None]:
    def run(**arguments: t.Any) -> None:
        anyio.run(partial(test, **arguments), backend=str(backend))

    return run


@pytest.fixture(scope="session", autouse=True)
def what_the_process_keeps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Start what lives as long as the process; give temporary files a folder of their own."""

    async def on_background_loop() -> None:
        portal.call_async(anyio.sleep, 0)

    portal.call_async(on_background_loop)  # the process's own event loop, and the one below it
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # libuv's pipe for signals
        runner.run(asyncio.sleep(0))
    previous, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("temporary"))
    yield
    tempfile.tempdir = previous


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest, what_the_process_keeps: None) -> Iterator[None]:
    """Fail the test that leaves a thread at work, a file open, or a context current."""
    around = _current.context.get(None)
    before = Leftovers()
    yield
    assert _current.context.get(None) is around, "a context is still current"
    assert before.settled(_limit(request.node, "grace", GRACE)) == []


@pytest.fixture
def live() -> Iterator[Live]:
    """Serve apps until the test ends: ``server = live(app, loop="uvloop", http="httptools")``."""
    with ExitStack() as servers:
        yield lambda app, **options: servers.enter_context(serving(app, **options))
