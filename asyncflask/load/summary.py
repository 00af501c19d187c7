"""The report as JSON: a fixed set of members, of which none goes away within a `VERSION`.

Durations are milliseconds, sizes bytes, rates per second.
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict

from .._version import __version__
from .histogram import Histogram
from .outcome import PERCENTILES, Outcome
from .record import Tally

#: Of the members' names and meanings.
VERSION = 1


def summary(outcome: Outcome) -> dict[str, t.Any]:
    """Return what is written to the file of ``--json``."""
    record, plan = outcome.record, outcome.plan
    return {
        "version": VERSION,
        "asyncflask": __version__,
        "began": outcome.began.isoformat(timespec="seconds"),
        "interrupted": outcome.interrupted,
        "status": outcome.status,
        "plan": _plan(outcome),
        "seconds": _rounded(record.elapsed / 1e9),
        "rate": _rounded(record.rate),
        "errors": record.errors,
        "unsent": record.unsent,
        "unfinished": record.unfinished,
        "requests": tally(record.total),
        "steps": {name: tally(each) for name, each in record.steps.items()},
        "runs": None if plan.scenario is None else _runs(outcome),
        "timeline": _timeline(outcome),
        "client": _client(outcome),
        "remarks": [*outcome.remarks()],
        "thresholds": [asdict(verdict) for verdict in outcome.verdicts],
    }


def _plan(outcome: Outcome) -> dict[str, t.Any]:
    plan = asdict(outcome.plan)
    for internal in ("part", "parts", "headers", "body"):  # headers: often a password is there
        del plan[internal]
    return plan | {"body_bytes": len(outcome.plan.body), "place": outcome.place}


def tally(what: Tally) -> dict[str, t.Any]:
    """Return the figures of some requests."""
    return {
        "answered": what.answered,
        "failed": what.failed,
        "statuses": {str(status): n for status, n in sorted(what.statuses.items())},
        "failures": dict(what.failures.most_common()),
        "examples": what.examples,
        "sent_body_bytes": what.sent,
        "received_body_bytes": what.received,
        "latency": latency(what.histogram),
    }


def latency(histogram: Histogram) -> dict[str, t.Any]:
    """Return what is known of durations; of none of them, zeros."""
    smallest = histogram.smallest if histogram.count else 0
    return {
        "count": histogram.count,
        "mean": _ms(histogram.mean),
        "deviation": _ms(histogram.deviation),
        "min": _ms(smallest),
        **{f"p{percent:g}": _ms(histogram.percentile(percent)) for percent in PERCENTILES},
        "max": _ms(histogram.largest),
        "buckets": [[_ms(high), times] for _, high, times in histogram.buckets()],
    }


def _runs(outcome: Outcome) -> dict[str, t.Any]:
    record = outcome.record
    ended = {"done": record.done_runs, "failed": record.failed_runs}
    return ended | {"latency": latency(record.runs)}


def _timeline(outcome: Outcome) -> list[dict[str, t.Any]]:
    line = outcome.record.timeline
    return [
        {
            "seconds": _rounded(number * line.width / 1e9),
            "count": slot.count,
            "errors": slot.errors,
            "mean": _ms(slot.total / slot.count if slot.count else 0),
            "max": _ms(slot.largest),
        }
        for number, slot in enumerate(line.slots)
    ]


def _client(outcome: Outcome) -> dict[str, t.Any]:
    strain = outcome.strain
    return {
        "cpu": [_rounded(share) for share in strain.shares],
        "loop_lag_p99": _ms(strain.lag.percentile(99)),
        "late_start_p99": _ms(strain.late.percentile(99)),
        "was_limit": bool(outcome.limits),
    }


def _ms(nanoseconds: float) -> float:
    return _rounded(nanoseconds / 1e6)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
