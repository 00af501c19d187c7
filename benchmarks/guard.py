"""The guard: what the hot paths execute is kept in a file, and may not grow unseen.

    python -m benchmarks.guard [--write] [--outside] [--instructions]

Counted are the bytecodes that our own functions execute for a request, and the calls that they
make: figures that are the same on a fast and a slow machine, on a quiet and a busy one. They depend
on the Python minor version, and so are kept for each. What dependencies execute is shown if asked
for, and never judged: a new release of one is not our doing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import typing as t
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import asyncflask
from asyncflask.asgi import outgoing

from . import instructions
from .counting import Counter, Counts, per_call
from .hot_paths import FEW, MANY, HotPath, hot_paths

FILE = Path(__file__).with_name("guard.json")

#: Where the functions lie whose work is judged.
OURS = os.path.dirname(asyncflask.__file__)

#: How much a count may grow, or fall, before somebody must have a look.
TOLERANCE = 0.05

#: How often what seems to have grown is counted, and everything that is to be written.
LOOKS = 3

#: Seconds that a thread keeps the interpreter to itself: longer than any has work for. It goes on
#: until it waits, so that threads take turns at the same places each time.
UNINTERRUPTED = 10.0

#: What is judged. A count of very few is let off one more.
JUDGED = ("bytecodes", "calls")

_WHAT_TO_DO = (
    "Every request pays for it. Find what was added (git diff; a step done for each request, though"
    " few need it?) and take it off the hot path. If it is worth its price, accept it, and"
    " say why in the commit:"
)

#: The counts of each hot path, by its name.
Found = Mapping[str, Counts]

#: What the file holds of one Python version.
Kept = Mapping[str, Mapping[str, float]]


class Change(t.NamedTuple):
    """A count that is not what the file says."""

    path: str
    what: str
    before: float
    now: float

    @property
    def grew(self) -> bool:
        """Whether it is more than it was."""
        return self.now > self.before

    def __str__(self) -> str:
        more = (self.now / self.before - 1) * 100 if self.before else 100.0
        return f"{self.path}: {self.before:g} {self.what}, now {self.now:g} ({more:+.1f} %)"


def version() -> str:
    """Return the minor version of this Python: what its counts are kept under."""
    return "{}.{}".format(*sys.version_info)


@contextmanager
def timeless() -> Iterator[None]:
    """Keep time out of what is executed: no thread is interrupted, no piece of a stream is late."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(UNINTERRUPTED)
    try:
        with patch.object(outgoing, "monotonic", (0.0).conjugate):  # it is always 0, and no Python
            yield
    finally:
        sys.setswitchinterval(before)


async def count(counter: Counter, path: HotPath) -> Counts:
    """Return what one call of a hot path executes, or one item of what it streams."""
    found = await per_call(counter, path.call)
    if path.longer is None:
        return found
    return (await per_call(counter, path.longer)).less(found, MANY - FEW)


async def measure(paths: Mapping[str, HotPath], folder: str = OURS, outside: bool = False) -> Found:
    """Return the counts of each hot path.

    :param folder: where the functions lie that are judged.
    :param outside: whether to count what others execute, too.
    """
    counter = Counter(folder, outside)
    with timeless(), counter.counting():
        return {name: await count(counter, path) for name, path in paths.items()}


def look(paths: Mapping[str, HotPath], kept: Kept, outside: bool = False) -> Found:
    """Return the counts of each hot path, after another look at those that seem to have grown.

    Threads that meet otherwise only add to a count: the least of all looks is what counts.
    """
    found = {**asyncio.run(measure(paths, outside=outside))}
    for _ in range(LOOKS - 1):
        grown = {each.path for each in compare(kept, found) if each.grew} if kept else set(paths)
        again = asyncio.run(measure({path: paths[path] for path in grown}, outside=outside))
        found |= {path: min(found[path], counts) for path, counts in again.items()}
    return found


def compare(kept: Kept, found: Found) -> list[Change]:
    """Return the counts that are further from those kept than is tolerated.

    What is not kept at all counts as grown, from nothing.
    """
    changes: list[Change] = []
    for path, counts in found.items():
        for what in JUDGED:
            before, now = kept.get(path, {}).get(what, 0.0), t.cast("float", getattr(counts, what))
            if abs(now - before) > max(before * TOLERANCE, 1.0):
                changes.append(Change(path, what, before, now))
    return changes


def report(changes: list[Change]) -> str:
    """Return what to do about changes; nothing where there is nothing to do."""
    grown = [each for each in changes if each.grew]
    fallen = [each for each in changes if not each.grew]
    lines: list[str] = []
    if grown:
        lines += [
            f"These hot paths execute over {TOLERANCE:.0%} more than {FILE.name} says:",
            *(f"  {each}" for each in grown),
            _WHAT_TO_DO,
            "  make guard ARGS=--write",
        ]
    if fallen:
        lines += [
            f"These execute over {TOLERANCE:.0%} less: well done. Keep it:",
            *(f"  {each}" for each in fallen),
            "  make guard ARGS=--write",
        ]
    return "\n".join(lines)


def table(found: Found, kept: Kept) -> str:
    """Return the counts, a line each, with how they have changed."""
    lines = [
        f"| Python {version()} | bytecodes | kept | calls | kept | outside |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for path, counts in found.items():
        before = [kept.get(path, {}).get(what, "-") for what in JUDGED]
        lines.append(
            f"| {path} | {counts.bytecodes:g} | {before[0]} | {counts.calls:g} | {before[1]} |"
            f" {counts.outside or ''} |"
        )
    return "\n".join(lines)


def read() -> dict[str, dict[str, dict[str, float]]]:
    """Return what the file holds, by Python version."""
    return t.cast("dict[str, t.Any]", json.loads(FILE.read_text())) if FILE.exists() else {}


def _order(name: str) -> tuple[int, ...]:
    return tuple(map(int, name.split(".")))


def write(found: Found) -> None:
    """Put the counts of this Python into the file, beside those of the others."""
    ours = {
        path: {what: getattr(counts, what) for what in JUDGED} for path, counts in found.items()
    }
    kept = read() | {version(): ours}
    ordered = {name: kept[name] for name in sorted(kept, key=_order)}
    lines = ",\n".join(
        f'"{name}": {{\n'
        + ",\n".join(f"  {json.dumps(path)}: {json.dumps(each)}" for path, each in paths.items())
        + "\n}"
        for name, paths in ordered.items()
    )
    FILE.write_text(f"{{\n{lines}\n}}\n")


def main(arguments: list[str] | None = None) -> int:
    """Count, show, and compare with the file or write it.

    :return: 1 if something has grown.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="accept the counts as they are")
    parser.add_argument("--outside", action="store_true", help="count what others execute, too")
    parser.add_argument(
        "--instructions", action="store_true", help="count the processor's, too (valgrind)"
    )
    asked = parser.parse_args(arguments)
    kept = read().get(version(), {})
    with tempfile.TemporaryDirectory() as folder:
        found = look(hot_paths(Path(folder)), {} if asked.write else kept, asked.outside)
    print(table(found, kept))
    if asked.instructions:
        print(instructions.table([*found]))
    if asked.write:
        write(found)
        return 0
    if not kept:
        print(f"Nothing is kept for Python {version()} yet: make guard ARGS=--write")
        return 0
    changes = compare(kept, found)
    print(report(changes), file=sys.stderr)
    return int(any(each.grew for each in changes))


if __name__ == "__main__":
    sys.exit(main())
