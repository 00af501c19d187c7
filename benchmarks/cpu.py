"""How much processor time a server has used, children included, as Linux counts it."""

from __future__ import annotations

import os
import time
import typing as t
from contextlib import contextmanager, suppress
from pathlib import Path

#: The cores that this process may use; none, where the system does not tell.
ALLOWED = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def family(pid: int) -> list[int]:
    """Return a process and everything that descends from it."""
    found = [pid]
    for parent in found:  # grows while it is read
        for task in Path(f"/proc/{parent}/task").iterdir():
            with suppress(OSError):  # a thread that has ended just now
                found += map(int, (task / "children").read_text().split())
    return found


def seconds(pid: int) -> float:
    """Return the seconds, user and system, of a process and of its living descendants.

    By their own clocks, which count nanoseconds and threads that have ended; ``/proc`` has ticks
    of ten milliseconds.
    """
    return sum(time.clock_gettime(clock(each)) for each in family(pid))


def clock(pid: int) -> int:
    """Return the clock of a process's processor time, as clock_getcpuclockid(3) makes it.

    Linux's include/linux/posix-timers_types.h: the complement of the process, and that it is the
    scheduler's time (2) which is asked for.
    """
    return (~pid << 3) | 2


def pin(core: int, pid: int = 0) -> None:
    """Keep a process on one core, where the system can do that; what it starts stays there, too.

    :param core: its place among the cores that this process may use.
    :param pid: the process, else this one.
    """
    if not ALLOWED:
        return
    os.sched_setaffinity(pid, {ALLOWED[core % len(ALLOWED)]})


@contextmanager
def pinned(core: int) -> t.Iterator[None]:
    """Keep this process on one core for the time of a block, where the system can do that."""
    if not ALLOWED:
        yield
        return
    allowed = os.sched_getaffinity(0)
    pin(core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
