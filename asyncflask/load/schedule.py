"""When each request starts.

- `AtOnce`: as soon as a connection is free. A server that is slow is asked less: good for finding
  what it can do, not for how long users wait.
- `Steady`: at times that are fixed beforehand. What cannot start in time, as every connection
  waits for its answer, starts late, and its duration counts from when it was to start (otherwise
  the requests that a stalled server kept from being sent would be missing among the slow ones:
  "coordinated omission").

Times are those of `time.perf_counter_ns`.
"""

from __future__ import annotations

import math
import typing as t
from collections.abc import Iterator

from .plan import Plan

#: A time for "never" that compares with integers.
NEVER = math.inf


class Schedule(t.Protocol):
    """Tells when to start; asked by each connection that is free."""

    def take(self, now: int) -> int | None:
        """Return when to start the next request, which may be in the past; None for no more."""

    def unsent(self, now: int) -> Iterator[int]:
        """Iterate over the times that have come, and that nobody took."""


class AtOnce:
    """Start at once, until there were enough or the time is over.

    :param count: how many, or None.
    :param end: when to stop.
    """

    def __init__(self, count: int | None, end: float = NEVER) -> None:
        self._left = NEVER if count is None else count
        self._end = end

    def take(self, now: int) -> int | None:
        """Return `now`, or None."""
        if self._left <= 0 or now >= self._end:
            return None
        self._left -= 1
        return now

    def unsent(self, now: int) -> Iterator[int]:
        """Nothing is due that is not sent."""
        return iter(())


class Steady:
    """Start at fixed times, `rate` of them in a second.

    :param began: the first time.
    :param rate: starts a second.
    :param count: how many starts there are, or None.
    :param end: from when on there are none.
    :param part: of several processes, which one this is: it takes the starts part,
        part + parts, ...
    :param parts: how many processes there are.
    """

    def __init__(
        self,
        began: int,
        rate: float,
        count: int | None,
        end: float = NEVER,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        self._began = began + round(part / rate * 1e9)
        self._every = parts / rate * 1e9
        self._count = NEVER if count is None else count
        self._end = end
        self._next = 0

    def _due(self, number: int) -> int | None:
        """Return the time of a start, computed from the beginning so that no errors add up."""
        due = self._began + round(number * self._every)
        return due if number < self._count and due < self._end else None

    def take(self, now: int) -> int | None:
        """Return the next start; None also where the end came before all had been taken."""
        due = self._due(self._next)
        if due is None or now >= self._end:
            return None
        self._next += 1
        return due

    def unsent(self, now: int) -> Iterator[int]:
        """Iterate over the starts that have come and were not taken."""
        number = self._next
        while (due := self._due(number)) is not None and due < now:
            yield due
            number += 1


def schedule(plan: Plan, began: int) -> Schedule:
    """Return the schedule of a plan that begins at a time."""
    end = NEVER if plan.duration is None else began + round(plan.duration * 1e9)
    if plan.rate is None:
        return AtOnce(plan.requests, end)
    return Steady(began, plan.rate, plan.requests, end, plan.part, plan.parts)
