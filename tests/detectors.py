"""Detectors that watch every test: for what it leaves behind, and for event loops that it blocks.

What counts as left behind, once the test and its fixtures are done:

- a task that is still pending, and not being cancelled, when its event loop is closed, in whichever
  thread;
- a thread that is new and at work. Idle threads of a pool are none: they end by themselves, and
  are known by where they stand, see `AT_REST`;
- a file descriptor that is new;
- a file in the folder for temporary files;
- a context that is still current.

A test that leaves something only for a moment (a server that has yet to notice that its client
closed) is waited for.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
import threading
import time
import typing as t
from contextvars import Context
from types import FrameType

from asyncflask import _current

from . import awake

#: Seconds that leftovers get to go away by themselves.
GRACE = 5.0

#: Seconds for which one callback may keep an event loop. Far more than any needs, since a machine
#: with other work may stop a process for a while; far less than a deadlock or a sleep takes.
LOOP_LIMIT = 2.0

#: Seconds from which on a callback's time is noted, for tests with a limit of their own.
_WORTH_NOTING = 0.1

#: Where a thread stands that has no work: module and function of its innermost frame, not counting
#: the frames of the queue that it waits at.
AT_REST = {
    ("asyncflask.pools", "_rest"),
    ("anyio._backends._asyncio", "run"),
    ("concurrent.futures.thread", "_worker"),
    ("trio._core._thread_cache", "_work"),
}
_QUEUES = {"asyncflask.wakeups", "threading", "queue"}

#: Tasks that others than this project leave to the closing of the loop.
_FOREIGN_TASKS = {"TestRunner._run_tests_and_fixtures"}


def slowness() -> float:
    """Return how many times longer than usual things take, for what else the machine has to do.

    It is the work of the last minute by the number of cores; 1 where the system does not tell.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return max(1.0, load / (os.cpu_count() or 1))


class LoopWatch:
    """Watches all asyncio loops of the process, through the two places that every one passes.

    uvloop has callbacks of its own, so that blocking is not noticed there; tasks are.
    """

    def __init__(self) -> None:
        self.pending: list[str] = []
        self.blocked: list[tuple[float, str]] = []
        self.last_context: Context | None = None

    def install(self) -> None:
        """Start watching, for the rest of the process's life."""
        runner: t.Any = asyncio.Runner
        handle: t.Any = asyncio.Handle
        runner.close = self._watching_close(runner.close)
        runner.run = self._watching_run(runner.run)
        handle._run = self._timing(handle._run)

    def _watching_close(self, close: t.Callable[[t.Any], None]) -> t.Callable[[t.Any], None]:
        def watched(runner: t.Any) -> None:
            loop = getattr(runner, "_loop", None)
            if loop is not None:
                for task in asyncio.all_tasks(loop):
                    if (
                        not task.cancelling()
                        and getattr(task.get_coro(), "__qualname__", "") not in _FOREIGN_TASKS
                    ):
                        self.pending.append(repr(task))
            close(runner)

        return watched

    def _watching_run(self, run: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        def watched(runner: t.Any, coro: t.Any, *, context: Context | None = None) -> t.Any:
            if threading.current_thread() is threading.main_thread():
                self.last_context = context
            return run(runner, coro, context=context)

        return watched

    def _timing(self, run: t.Callable[[t.Any], None]) -> t.Callable[[t.Any], None]:
        def timed(handle: t.Any) -> None:
            began, stopped = time.perf_counter(), awake.clock.stopped
            run(handle)
            seconds = time.perf_counter() - began
            if seconds > _WORTH_NOTING:
                awake.now()  # and so look how long it was stopped
                seconds -= awake.clock.stopped - stopped
                callback = getattr(handle, "_callback", None)
                self.blocked.append((seconds, repr(getattr(callback, "__self__", callback))))

        return timed

    def leaked_context(self) -> t.Any:
        """Return the context that the last coroutine run in the main thread left current."""
        context, self.last_context = self.last_context, None
        return None if context is None else context.get(_current.context)

    def reset(self) -> None:
        """Forget what was seen."""
        self.pending.clear()
        self.blocked.clear()
        self.last_context = None


class Leftovers:
    """Remembers what is there when it is made, and says what has come to it since."""

    def __init__(self) -> None:
        self.threads = set(threading.enumerate())
        self.files = _open_files()
        self.temporary = _temporary_files()

    def settled(self, grace: float = GRACE) -> list[str]:
        """Return what is left over after a grace period; empty as soon as nothing is.

        :param grace: the period, in seconds.
        """
        began = awake.now()
        pause = threading.Event()
        collected = False
        while (found := self.found()) and awake.now() < began + grace:
            pause.wait(0.001)
            if not collected and awake.now() > began + 0.1:
                gc.collect()  # what is kept by a cycle is no leak, and warns if it should
                collected = True
        return found

    def found(self) -> list[str]:
        """Return what has come and is still there."""
        frames = sys._current_frames()
        files = sorted(_open_files() - self.files, key=_is_wakeup)
        for frame in frames.values():  # an idle thread of a pool has one, and closes it
            if files and _is_wakeup(files[-1]) and _is_at_rest(frame):
                del files[-1]
        return [
            *(
                f"thread {thread.name}, in {_where(frames.get(thread.ident or 0))}"
                for thread in threading.enumerate()
                if thread not in self.threads and not _is_at_rest(frames.get(thread.ident or 0))
            ),
            *(f"open file: {name}" for name in sorted(files)),
            *(f"temporary file: {name}" for name in sorted(_temporary_files() - self.temporary)),
        ]


def _is_wakeup(file: str) -> bool:
    return file.endswith("[eventfd]")


def _is_at_rest(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_globals.get("__name__") in _QUEUES:
        frame = frame.f_back
    return frame is not None and (frame.f_globals.get("__name__"), frame.f_code.co_name) in AT_REST


def _where(frame: FrameType | None) -> str:
    places = []
    while frame is not None:
        places.append(f"{frame.f_globals.get('__name__')}.{frame.f_code.co_name}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(places) or "no Python code"


def _open_files() -> set[str]:
    """Return the open file descriptors with what they refer to, where the system tells (Linux)."""
    folder = "/proc/self/fd"
    found = set()
    if os.path.isdir(folder):
        for number in os.listdir(folder):
            try:
                found.add(f"{number} -> {os.readlink(f'{folder}/{number}')}")
            except FileNotFoundError:  # the one that listed the folder
                continue
    return found


def _temporary_files() -> set[str]:
    return set(os.listdir(tempfile.gettempdir()))
