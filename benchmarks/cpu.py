"""How much processor time a server has used, children included, as Linux counts it."""

from __future__ import annotations

import os
import typing as t
from contextlib import contextmanager
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")  # a second


def family(pid: int) -> list[int]:
    """Return a process and everything that descends from it."""
    found = [pid]
    for parent in found:  # grows while it is read
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def seconds(pid: int) -> float:
    """Return the seconds, user and system, of a process and of its living descendants."""
    spent = 0
    for each in family(pid):
        # The name, in brackets, may hold blanks and brackets; the 14th and 15th field are ours.
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        spent += int(fields[11]) + int(fields[12])
    return spent / TICKS


def pin(core: int, pid: int = 0) -> None:
    """Keep a process on one core; what it starts later stays there, too.

    :param core: its place among the cores that this process may use.
    :param pid: the process, else this one.
    """
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(pid, {allowed[core % len(allowed)]})


@contextmanager
def pinned(core: int) -> t.Iterator[None]:
    """Keep this process on one core for the time of a block, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    pin(core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
