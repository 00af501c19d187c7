"""Rounds: each measures every cell once, and what is compared one right after the other.

So a slow moment of the machine hits both sides of a ratio.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
import typing as t
from collections.abc import Callable, Mapping

#: What is measured, and in which framework.
Key = tuple[str, str]

#: Measures once and returns a figure, such as microseconds per request.
Cell = Callable[[], float]

Cells = Mapping[Key, Cell]

#: What the rounds found, in their order.
Found = dict[Key, list[float]]

T = t.TypeVar("T")

BEGAN = time.monotonic()


class CellError(Exception):
    """Raised when something cannot be measured."""


class Bound(t.NamedTuple):
    """A promise: one figure is at most so many times another."""

    what: str
    ours: Key
    theirs: list[Key]  # the best of them counts
    at_most: float

    def best(self, found: Found) -> Key:
        """Return the one of theirs to be compared with."""
        return min(self.theirs, key=lambda key: statistics.median(found[key]))

    def ratios(self, found: Found) -> list[float]:
        """Return the ratio of each round, whose two sides saw the same machine."""
        pairs = zip(found[self.ours], found[self.best(found)], strict=True)
        return [ours / theirs if theirs else math.inf for ours, theirs in pairs]

    def ratio(self, found: Found) -> float:
        """Return the median of the rounds' ratios."""
        return statistics.median(self.ratios(found))


def measure(
    what: str,
    cells: Mapping[Key, Callable[[], T]],
    rounds: int,
    failures: list[str] | None = None,
) -> dict[Key, list[T]]:
    """Measure everything once a round: all frameworks' figures of a workload, then the next's.

    :param what: named on the terminal, beside the number of the round.
    :param failures: told what cannot be measured, which is left out then.
    :raises Exception: if something cannot be measured, and there are no `failures`.
    """
    works = dict.fromkeys(work for work, _ in cells)
    found: dict[Key, list[T]] = {key: [] for work in works for key in cells if key[0] == work}
    for number in range(rounds if cells else 0):
        say(f"{what}: round {number + 1} of {rounds}, {len(found)} figures")
        for key in tuple(found):
            try:
                found[key].append(cells[key]())
            except Exception as error:  # whatever it is, the other figures are not lost
                if failures is None:
                    raise
                del found[key]
                failures.append(f"{what}, {' '.join(key)}: {error!r}")
                say(failures[-1])
    return found


def say(what: str) -> None:
    """Tell who waits how far it is."""
    print(f"[{time.monotonic() - BEGAN:5.0f} s] {what}", file=sys.stderr, flush=True)
