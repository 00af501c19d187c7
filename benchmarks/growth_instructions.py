"""The processor's instructions for the subjects of `benchmarks.growth`, as valgrind counts them.

Time grows with the work and with what the processor's caches have no room for; instructions grow
with the work alone, and are the same on a machine that is busy with something else.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import shutil
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

from .environment import HOME
from .growing import SUBJECTS
from .instructions import MARK, mark, total_of
from .requests import Call

#: Calls of which each is counted, and the least is taken: threads wait now longer, now shorter.
CALLS = 3


async def work(call: Call) -> None:
    """Make the calls; each lies between two marks."""
    for _ in range(2):
        await call()  # what is done the first time
    for _ in range(CALLS):
        gc.collect()
        mark()
        await call()
        mark()


def count(name: str, sizes: t.Sequence[int]) -> list[int]:
    """Return a subject's instructions at each size; none if there is no valgrind."""
    if shutil.which("valgrind") is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *("valgrind", "--tool=callgrind"),
            f"--callgrind-out-file={folder}/out",
            f"--dump-before={MARK}",
            *(sys.executable, "-m", __name__, name, *map(str, sizes)),
        ]
        subprocess.run(command, cwd=HOME, check=True, capture_output=True)
        # The odd ones hold what was before a call.
        counts = [
            total_of(Path(folder, f"out.{2 * number}"))
            for number in range(1, CALLS * len(sizes) + 1)
        ]
    return [min(counts[at : at + CALLS]) for at in range(0, len(counts), CALLS)]


def main(arguments: list[str] | None = None) -> None:
    """Do a subject's work at each size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("sizes", type=int, nargs="+")
    asked = parser.parse_args(arguments)
    with asyncio.Runner() as runner:
        for size in asked.sizes:
            runner.run(work(SUBJECTS[asked.name].make(size)))


if __name__ == "__main__":
    main()
