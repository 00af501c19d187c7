"""Limits that a run has to keep: what makes the exit status 1."""

from __future__ import annotations

import typing as t
from collections.abc import Callable
from dataclasses import dataclass

from .durations import shown
from .record import Record

#: Reads a figure off a record.
Read: t.TypeAlias = Callable[[Record], float]


def _percentile(percent: float) -> Read:
    return lambda record: record.total.histogram.percentile(percent)


#: The limits on durations, which are in nanoseconds, by the names of their options.
DURATIONS: dict[str, Read] = {
    "mean": lambda record: record.total.histogram.mean,
    "p50": _percentile(50),
    "p95": _percentile(95),
    "p99": _percentile(99),
}


@dataclass(frozen=True)
class Verdict:
    """What became of one limit.

    :param name: the option's, without its dashes.
    :param limit: as it was given.
    :param found: what the run had.
    :param holds: whether that is within the limit.
    """

    name: str
    limit: str
    found: str
    holds: bool


@dataclass(frozen=True)
class Share:
    """A number of errors, or a percentage of all requests.

    :param value: which.
    :param is_percent: whether it is a percentage.
    """

    value: float
    is_percent: bool

    def __str__(self) -> str:
        return f"{self.value:g}%" if self.is_percent else f"{self.value:g}"

    def found(self, errors: int, requests: int) -> float:
        """Return the figure that is compared with the limit."""
        return errors / requests * 100 if self.is_percent and requests else float(errors)


@dataclass(frozen=True)
class Thresholds:
    """The limits of a run; what is None has none.

    :param mean: seconds that the mean may take.
    :param p50: seconds that the median may take.
    :param p95: seconds that 95 % of the requests may take.
    :param p99: seconds that 99 % of them may take.
    :param errors: how many errors there may be.
    :param rate: answers a second that there must be.
    """

    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    errors: Share | None = None
    rate: float | None = None

    def verdicts(self, record: Record) -> list[Verdict]:
        """Return what became of each limit that is set."""
        found = [
            _slow(name, limit, read(record))
            for name, read in DURATIONS.items()
            if (limit := getattr(self, name)) is not None
        ]
        if self.errors is not None:
            found.append(self._errors(self.errors, record))
        if self.rate is not None:
            rate, limit = f"{record.rate:,.1f}/s", f"{self.rate:g}/s"
            found.append(Verdict("min-rate", limit, rate, record.rate >= self.rate))
        return found

    def _errors(self, limit: Share, record: Record) -> Verdict:
        errors = limit.found(record.errors, record.requests)
        text = f"{errors:.3g}%" if limit.is_percent else f"{errors:,.0f}"
        return Verdict("max-errors", str(limit), text, errors <= limit.value)


def _slow(name: str, limit: float, nanoseconds: float) -> Verdict:
    # NOTE: a run without any answer has no durations, and keeps no limit on them.
    holds = 0 < nanoseconds <= limit * 1e9
    found = shown(nanoseconds) if nanoseconds else "no answer"
    return Verdict(f"max-{name}", shown(limit * 1e9), found, holds)
