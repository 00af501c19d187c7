"""The processor's instructions for one call of each hot path, as valgrind counts them.

For information: they depend on the Python build and on the machine's libraries. One process runs
under callgrind, which writes what it has counted whenever the process calls a function of the C
library that nobody else calls.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

from .environment import HOME
from .hot_paths import FEW, MANY, hot_paths

#: Calls that are counted together, after as many that are not.
CALLS = 20

#: Calling it has callgrind write, and begin anew.
MARK = "getpriority"


def mark() -> None:
    """Have callgrind write."""
    os.getpriority(os.PRIO_PROCESS, 0)


async def work(name: str) -> None:
    """Call a hot path; what is between two marks is what counts."""
    with tempfile.TemporaryDirectory() as folder:
        path = hot_paths(Path(folder))[name]
        for call in filter(None, path):
            for counted in (False, True):
                if counted:
                    mark()
                for _ in range(CALLS):
                    await call()
            mark()


def count(name: str) -> float:
    """Return the instructions of one call, or of one item of a stream."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={folder}/out",
            f"--dump-before={MARK}",
            sys.executable,
            "-m",
            __name__,
            name,
        ]
        subprocess.run(command, cwd=HOME, check=True, capture_output=True)
        parts = [
            total_of(Path(folder, f"out.{number}")) for number in (2, 4)[: _written(folder) // 2]
        ]
    each = [part / CALLS for part in parts]
    return each[0] if len(each) == 1 else (each[1] - each[0]) / (MANY - FEW)


def _written(folder: str) -> int:
    return len([*Path(folder).glob("out.*")])


def total_of(file: Path) -> int:
    """Return the instructions that callgrind has written to a file."""
    lines = file.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(("totals:", "summary:")))


def table(names: t.Iterable[str]) -> str:
    """Return the instructions of each hot path, a line each."""
    if shutil.which("valgrind") is None:
        return "There is no valgrind here, so the processor's instructions are not counted."
    lines = ["", "| callgrind | instructions |", "|---|---:|"]
    lines += [f"| {name} | {count(name):,.0f} |" for name in names]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    asyncio.run(work(parser.parse_args().name))
