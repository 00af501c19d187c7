"""Counts what the interpreter does for a piece of work, in all threads.

Time depends on the machine and on who else uses it; what the interpreter executes depends on the
Python minor version alone. Counted are:

- ``bytecodes``: instructions executed in functions whose file lies in a folder,
- ``calls``: what those functions call, in C or in Python: the work that their instructions hide,
- ``outside``, if asked for: instructions executed anywhere else (the dependencies, the loop).

Python 3.12 and later have `sys.monitoring` (PEP 669) for it; before, there are the trace and the
profile function of each thread.
"""

from __future__ import annotations

import gc
import itertools
import os
import sys
import threading
import time
import typing as t
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType

#: Calls that are counted, of which the least counts: the one in which no thread had to wait for
#: another. With a thread at work that may be one in sixteen.
CALLS = 64

#: Seconds in which no thread does anything any more once it is idle.
QUIET = 0.005

#: How often it is looked whether they are, before something must be wrong: seconds.
MOST_LOOKS = 1000


class Counts(t.NamedTuple):
    """What was executed."""

    bytecodes: float
    calls: float
    outside: float

    def less(self, other: Counts, parts: int) -> Counts:
        """Return what is more here than in `other`, for each of so many parts."""
        return difference(other, self, parts)


def difference(before: tuple[float, ...], after: tuple[float, ...], parts: int) -> Counts:
    """Return what was executed in the meantime, for each of so many parts."""
    pairs = zip(before, after, strict=True)
    return Counts(*(round((now - then) / parts, 2) for then, now in pairs))


class Counter:
    """Counts while it is entered, in threads that are started meanwhile too.

    :param folder: where the files lie whose functions are counted.
    :param outside: whether what is executed elsewhere is counted, too, which takes its time.
    """

    def __init__(self, folder: str, outside: bool = False) -> None:
        self.outside = outside
        self.folder = os.path.join(folder, "")
        # NOTE: `next` of a count is atomic, which `+= 1` in two threads is not.
        self._bytecodes, self._calls, self._outside = (itertools.count() for _ in range(3))
        self._read = 0
        self._kinds: dict[CodeType, bool] = {}

    def is_ours(self, code: CodeType) -> bool:
        """Whether a function's file lies in the folder."""
        known = self._kinds.get(code)
        if known is None:
            known = self._kinds[code] = code.co_filename.startswith(self.folder)
        return known

    def now(self) -> tuple[int, ...]:
        """Return what was executed so far, in the order of `Counts`."""
        counts = (self._bytecodes, self._calls, self._outside)
        read, self._read = self._read, self._read + 1
        return tuple([next(count) - read for count in counts])

    def settled(self) -> tuple[int, ...]:
        """Return the same when no thread executes anything of ours any more.

        :raises RuntimeError: if some thread is never idle.
        """
        before: tuple[int, ...] = ()
        now = self.now()
        for _ in range(MOST_LOOKS):
            if now[:2] == before[:2] or threading.active_count() == 1:
                return now
            time.sleep(QUIET)
            before, now = now, self.now()
        raise RuntimeError("Some thread is never idle, so that nothing can be counted.")

    if sys.version_info >= (3, 12):

        @contextmanager
        def counting(self) -> Iterator[t.Self]:
            """Count for the time of a block."""
            tool, events = sys.monitoring.PROFILER_ID, sys.monitoring.events
            bytecodes, calls, outside = self._bytecodes, self._calls, self._outside
            is_ours, everywhere, here = self.is_ours, self.outside, __file__

            def instruction(code: CodeType, offset: int) -> t.Any:
                if is_ours(code):
                    next(bytecodes)
                    return None
                if not everywhere or code.co_filename == here:
                    return sys.monitoring.DISABLE
                next(outside)
                return None

            def call(code: CodeType, offset: int, func: t.Any, first: t.Any) -> t.Any:
                if not is_ours(code):
                    return sys.monitoring.DISABLE
                next(calls)
                return None

            sys.monitoring.use_tool_id(tool, "asyncflask's guard")
            try:
                sys.monitoring.register_callback(tool, events.INSTRUCTION, instruction)
                sys.monitoring.register_callback(tool, events.CALL, call)
                sys.monitoring.set_events(tool, events.INSTRUCTION | events.CALL)
                yield self
            finally:
                sys.monitoring.set_events(tool, 0)
                sys.monitoring.register_callback(tool, events.INSTRUCTION, None)
                sys.monitoring.register_callback(tool, events.CALL, None)
                sys.monitoring.free_tool_id(tool)

    else:

        @contextmanager
        def counting(self) -> Iterator[t.Self]:
            """Count for the time of a block."""
            before = sys.gettrace(), sys.getprofile()
            threads = threading.gettrace(), threading.getprofile()
            threading.settrace(self._trace)
            threading.setprofile(self._profile)
            sys.settrace(self._trace)
            sys.setprofile(self._profile)
            try:
                yield self
            finally:
                sys.settrace(before[0])
                sys.setprofile(before[1])
                threading.settrace(threads[0])
                threading.setprofile(threads[1])

        def _trace(self, frame: FrameType, event: str, arg: t.Any) -> t.Any:
            """Say what to call for each instruction of a function that begins or goes on."""
            ours = self.is_ours(frame.f_code)
            if not ours and (not self.outside or frame.f_code.co_filename == __file__):
                return None
            frame.f_trace_lines, frame.f_trace_opcodes = False, True
            count = self._bytecodes if ours else self._outside

            def executed(frame: FrameType, event: str, arg: t.Any) -> t.Any:
                if event == "opcode":
                    next(count)
                return executed

            return executed

        def _profile(self, frame: FrameType, event: str, arg: t.Any) -> None:
            caller = frame.f_back if event == "call" else frame if event == "c_call" else None
            if caller is not None and self.is_ours(caller.f_code):
                next(self._calls)


async def per_call(counter: Counter, call: Callable[[], Awaitable[None]]) -> Counts:
    """Return what a call executes, once what it does the first times is done."""
    for _ in range(3):
        await call()
    found: list[Counts] = []
    gc.collect()
    gc.disable()  # else finalizers run in the middle of a call
    try:
        before = counter.settled()
        for _ in range(CALLS):
            await call()
            after = counter.settled()
            found.append(difference(before, after, 1))
            before = after
    finally:
        gc.enable()
    return min(found)
