"""Outcomes of tests that were never made, for reports."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime

from asyncflask.load.outcome import Outcome
from asyncflask.load.plan import Plan
from asyncflask.load.record import Record
from asyncflask.load.strain import Strain
from asyncflask.load.thresholds import Thresholds

MS = 1_000_000
URL = "http://127.0.0.1:8000/a?b=<c>"
BEGAN = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)


def record(answers: int = 100, step: str | None = None, status: int = 200) -> Record:
    """Return a record of answers in 1, 2, 3, ... ms, one each 10 ms."""
    made = Record()
    for number in range(1, answers + 1):
        at = number * 10 * MS
        made.answer(at - number * MS, at, status, 1000, 10, step)
    return made


def outcome(of: Record | None = None, limits: Thresholds | None = None, **more: t.Any) -> Outcome:
    """Return an outcome, of 100 answers if nothing else is said."""
    made = record() if of is None else of
    strain = Strain()
    strain.shares.append(more.pop("share", 0.25))
    strain.lag.add(2 * MS)
    settings = {"connections": 3, "duration": 5.0, **more.pop("plan", {})}
    return Outcome(
        plan=Plan(URL, **settings),
        place=more.pop("place", "url"),
        record=made,
        strain=strain,
        began=BEGAN,
        verdicts=(limits or Thresholds()).verdicts(made),
        **more,
    )


def scenario_outcome(**more: t.Any) -> Outcome:
    """Return the outcome of a scenario with two steps, one of which has failed once."""
    made = record(50, "GET /")
    made.merge(record(25, "<b>buy</b>"))
    made.fail(0, 600 * MS, "timeout", "late & <slow>", "<b>buy</b>", waited=True)
    made.end_run(40 * MS)
    made.failed_runs = 2
    return outcome(made, plan={"scenario": "visit.py", "rate": 20.0}, **more)
