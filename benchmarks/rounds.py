"""Rounds: each measures every cell, and those that are compared in short turns.

So a slow moment of the machine hits both sides of a ratio. How long such a moment is was measured
on a machine with neighbours, by a loop that always did the same: a millisecond of it costs what the
one before did (correlation 0.87), after 8 ms it is 0.6, after 65 ms 0.3, after 0.25 s 0.2. Each
turn has another order: who comes behind whom makes one or two percent, by what caches hold.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
import time
import typing as t
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from itertools import product

#: What is measured, and in which framework.
Key = tuple[str, str]

#: Measures once and returns a figure, such as microseconds per request.
Cell = Callable[[], float]

#: What the rounds found, in their order.
Found = dict[Key, list[float]]

T = t.TypeVar("T")

#: What measures once, in the context that it needs for the time of a round.
Opening = Callable[[], t.ContextManager[Callable[[], T]]]

BEGAN = time.monotonic()


class CellError(Exception):
    """Raised when something cannot be measured."""


class Pace(t.NamedTuple):
    """How often, and how long.

    In a round the frameworks take so many turns at a workload, each for so many seconds, and before
    the first of them each is asked for some seconds more, uncounted.
    """

    rounds: int
    seconds: float
    turns: int = 1
    warm_up: float = 0.0


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


def plain(cells: Mapping[Key, Callable[[], T]]) -> dict[Key, Opening[T]]:
    """Return cells that need no context."""

    def opening(cell: Callable[[], T]) -> Opening[T]:
        return lambda: nullcontext(cell)

    return {key: opening(cell) for key, cell in cells.items()}


def measure(
    what: str,
    cells: Mapping[Key, Opening[T]],
    rounds: int,
    failures: list[str] | None = None,
    turns: int = 1,
) -> dict[Key, list[T]]:
    """Measure everything in each round: all frameworks' figures of a workload, then the next's.

    :param what: named on the terminal, beside the number of the round.
    :param failures: told what cannot be measured, which is left out then.
    :param turns: how often the frameworks take turns at a workload in a round, each time with a
        figure of its own.
    :raises Exception: if something cannot be measured, and there are no `failures`.
    """
    order = random.Random(0)
    works = dict.fromkeys(work for work, _ in cells)
    found: dict[Key, list[T]] = {key: [] for work in works for key in cells if key[0] == work}
    for number, work in product(range(rounds), works):
        keys = [key for key in found if key[0] == work]
        say(f"{what}: round {number + 1} of {rounds}, {work}, {len(keys)} figures")
        once: dict[Key, Callable[[], T]] = {}
        with ExitStack() as opened:
            for key in (key for _ in range(turns) for key in order.sample(keys, len(keys))):
                if key not in found:
                    continue
                try:
                    if key not in once:
                        once[key] = opened.enter_context(cells[key]())
                    found[key].append(once[key]())
                except Exception as error:  # whatever it is, the other figures are not lost
                    if failures is None:
                        raise
                    del found[key]
                    failures.append(f"{what}, {' '.join(key)}: {error!r}")
                    say(failures[-1])
    return found


def means(found: Found, turns: int) -> Found:
    """Return one figure for the turns of each round."""
    return {
        key: [statistics.fmean(values[at : at + turns]) for at in range(0, len(values), turns)]
        for key, values in found.items()
    }


def costs(what: str, cells: Mapping[Key, Opening[float]], pace: Pace, failures: list[str]) -> Found:
    """Measure at a pace, and return one figure for each round; else as `measure`."""
    return means(measure(what, cells, pace.rounds, failures, pace.turns), pace.turns)


def joined(starts: t.Sequence[Mapping[Key, list[T]]]) -> dict[Key, list[T]]:
    """Return the figures of all starts, in their order, of what was measured in each."""
    keys = [key for key in starts[0] if all(key in start for start in starts)]
    return {key: [figure for start in starts for figure in start[key]] for key in keys}


def say(what: str) -> None:
    """Tell who waits how far it is."""
    print(f"[{time.monotonic() - BEGAN:5.0f} s] {what}", file=sys.stderr, flush=True)
