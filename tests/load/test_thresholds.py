from __future__ import annotations

import pytest

from asyncflask.load.record import Record
from asyncflask.load.thresholds import Share, Thresholds

MS = 1_000_000


def record() -> Record:
    """99 answers in 1 to 99 ms, and one of 500 ms with an error's status; 10 a second."""
    made = Record()
    for number in range(1, 100):
        made.answer(0, number * MS, 200, 0, 0)
    made.answer(0, 500 * MS, 503, 0, 0)
    made.elapsed = 10_000 * MS
    return made


@pytest.mark.parametrize(
    ("limits", "name", "found", "holds"),
    [
        (Thresholds(mean=0.0545), "max-mean", "54.5 ms", True),
        (Thresholds(mean=0.0544), "max-mean", "54.5 ms", False),
        (Thresholds(p50=0.051), "max-p50", "50.1 ms", True),
        (Thresholds(p50=0.049), "max-p50", "50.1 ms", False),
        (Thresholds(p95=0.096), "max-p95", "95.2 ms", True),
        (Thresholds(p99=0.1), "max-p99", "98.8 ms", True),
        (Thresholds(p99=0.09), "max-p99", "98.8 ms", False),
        (Thresholds(errors=Share(1, False)), "max-errors", "1", True),
        (Thresholds(errors=Share(0, False)), "max-errors", "1", False),
        (Thresholds(errors=Share(1, True)), "max-errors", "1%", True),
        (Thresholds(errors=Share(0.9, True)), "max-errors", "1%", False),
        (Thresholds(rate=10), "min-rate", "10.0/s", True),
        (Thresholds(rate=10.1), "min-rate", "10.0/s", False),
    ],
)
def test_limits(limits: Thresholds, name: str, found: str, holds: bool) -> None:
    (verdict,) = limits.verdicts(record())
    assert (verdict.name, verdict.holds) == (name, holds)
    number = float(found.split()[0].rstrip("%/s"))
    assert float(verdict.found.split()[0].rstrip("%/s")) == pytest.approx(number, rel=0.01)


def test_no_limits() -> None:
    assert Thresholds().verdicts(record()) == []


def test_all_that_are_set_are_looked_at() -> None:
    limits = Thresholds(mean=1, p50=1, p95=1, p99=1, errors=Share(5, True), rate=1)
    verdicts = limits.verdicts(record())
    assert [verdict.name for verdict in verdicts] == [
        "max-mean", "max-p50", "max-p95", "max-p99", "max-errors", "min-rate",
    ]  # fmt: skip
    assert all(verdict.holds for verdict in verdicts)
    assert [verdict.limit for verdict in verdicts][3:] == ["1.00 s", "5%", "1/s"]


def test_without_an_answer_no_limit_on_durations_holds() -> None:
    (verdict,) = Thresholds(p99=1).verdicts(Record())
    assert (verdict.found, verdict.holds) == ("no answer", False)


def test_a_share_of_nothing() -> None:
    (verdict,) = Thresholds(errors=Share(1, True)).verdicts(Record())
    assert verdict.holds
