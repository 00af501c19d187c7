"""A histogram of durations, whose size does not depend on how many there were.

Log-linear, as HdrHistogram's: below `FINE` nanoseconds each value has a bucket of its own, and
each doubling above is cut into `FINE` equal ones. A bucket's middle thus differs from any value
in it by at most 1 part in 2 * `FINE`.
"""

from __future__ import annotations

import math
import typing as t
from array import array
from collections.abc import Iterator

#: Buckets for each doubling: what is read off is wrong by 0.4 % at most.
FINE_BITS = 7
FINE = 1 << FINE_BITS
#: Values take that many bits at most: 2 ** 42 ns are 73 minutes, more than any sane timeout.
VALUE_BITS = 42
LARGEST = (1 << VALUE_BITS) - 1
#: 4,608 buckets of 8 bytes.
BUCKETS = (VALUE_BITS - FINE_BITS + 1) * FINE


def bucket(value: int) -> int:
    """Return the index of the bucket of a value from 0 to `LARGEST`."""
    if value < FINE:
        return value
    shift = value.bit_length() - FINE_BITS - 1
    return (shift << FINE_BITS) + (value >> shift)


def bounds(index: int) -> tuple[int, int]:
    """Return the smallest and the largest value of a bucket."""
    if index < FINE:
        return index, index
    shift = (index >> FINE_BITS) - 1
    low = (FINE + (index & (FINE - 1))) << shift
    return low, low + (1 << shift) - 1


class Histogram:
    """How often which duration was seen. All durations are integers, in nanoseconds.

    Count, sum, smallest and largest are exact; percentiles within 0.4 %. What is longer than
    `LARGEST` is counted there.
    """

    def __init__(self) -> None:
        self.count = self.total = self.largest = 0
        self.smallest = LARGEST
        self._counts = array("Q", bytes(8 * BUCKETS))

    def add(self, value: int, times: int = 1) -> None:
        """Count a duration; one below zero, as a clock that was set back gives, is zero."""
        value = min(max(value, 0), LARGEST)
        self.count += times
        self.total += value * times
        if value > self.largest:
            self.largest = value
        if value < self.smallest:
            self.smallest = value
        self._counts[bucket(value)] += times

    @property
    def mean(self) -> float:
        """The mean; 0 if there is nothing."""
        return self.total / self.count if self.count else 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation, as the buckets' middles have it."""
        if not self.count:
            return 0.0
        middles = ((self._middle(low, high), times) for low, high, times in self.buckets())
        squares = sum(times * (middle - self.mean) ** 2 for middle, times in middles)
        return math.sqrt(squares / self.count)

    def _middle(self, low: int, high: int) -> int:
        """Return what stands for the values of a bucket."""
        return min(max((low + high) // 2, self.smallest), self.largest)

    def percentile(self, percent: float) -> int:
        """Return the duration that `percent` of all durations do not exceed (nearest rank).

        :param percent: above 0, up to 100; the last is the exact largest.
        """
        rank = math.ceil(self.count * percent / 100)
        if rank >= self.count:
            return self.largest
        seen = 0
        for low, high, times in self.buckets():
            seen += times
            if seen >= rank:
                return self._middle(low, high)
        return self.largest

    def buckets(self) -> Iterator[tuple[int, int, int]]:
        """Iterate over smallest value, largest value and count of each bucket that has any."""
        for index, times in enumerate(self._counts):
            if times:
                yield *bounds(index), times

    def merge(self, other: Histogram) -> None:
        """Add all of another histogram."""
        self.count += other.count
        self.total += other.total
        self.largest = max(self.largest, other.largest)
        self.smallest = min(self.smallest, other.smallest)
        for index, times in enumerate(other._counts):
            if times:
                self._counts[index] += times

    def as_data(self) -> dict[str, t.Any]:
        """Return all of it as what JSON can carry."""
        counts = {str(index): times for index, times in enumerate(self._counts) if times}
        ends = [self.smallest, self.largest]
        return {"count": self.count, "total": self.total, "ends": ends, "counts": counts}

    @classmethod
    def from_data(cls, data: dict[str, t.Any]) -> t.Self:
        """Return the histogram that `as_data` was called on."""
        made = cls()
        made.count, made.total = data["count"], data["total"]
        made.smallest, made.largest = data["ends"]
        for index, times in data["counts"].items():
            made._counts[int(index)] = times
        return made
