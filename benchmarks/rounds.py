"""Rounds: each measures every cell once, so that a slow moment of the machine hits all of them."""

from __future__ import annotations

import statistics
import sys
import typing as t
from collections.abc import Callable, Mapping

#: What is measured, and in which framework.
Key = tuple[str, str]

#: Measures once and returns microseconds per request.
Cell = Callable[[], float]

Cells = Mapping[Key, Cell]

#: What the rounds found, in their order.
Found = dict[Key, list[float]]


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
        return [ours / theirs for ours, theirs in pairs]

    def ratio(self, found: Found) -> float:
        """Return the median of the rounds' ratios."""
        return statistics.median(self.ratios(found))


def measure(what: str, cells: Cells, rounds: int) -> Found:
    """Measure everything once a round.

    :param what: named on the terminal, beside the number of the round.
    """
    found: Found = {key: [] for key in cells}
    for number in range(rounds):
        print(f"{what}: round {number + 1} of {rounds}", file=sys.stderr)
        for key, cell in cells.items():
            found[key].append(cell())
    return found
