from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncflask.load.histogram import Histogram
from asyncflask.load.record import Record
from asyncflask.load.text import groups, report, size
from asyncflask.load.thresholds import Share, Thresholds

from .outcomes import MS, outcome, record, scenario_outcome


def lines(*args: object, **more: object) -> list[str]:
    return [*report(outcome(*args, **more))]  # type: ignore[arg-type]


def test_what_it_says() -> None:
    text = lines()
    assert text[:2] == ["GET http://127.0.0.1:8000/a?b=<c>", "3 connections, 5 s"]
    assert "Requests      100 answered in 1.00 s, 100.0/s" in text
    assert "Status        200: 100" in text
    assert "Failures      none" in text
    assert "Bodies        100 kB received (100 kB/s), 1 kB sent" in text
    assert "Client        25% of a core, event loop up to 2.00 ms late (p99)" in text
    assert "Latency       mean 50.5 ms, deviation 28.9 ms, min 1.00 ms" in text
    head = text.index(next(line for line in text if line.endswith("max") and "p99.9" in line))
    assert text[head].split() == ["p50", "p75", "p90", "p95", "p99", "p99.9", "max"]
    values = text[head + 1].split()[::2]
    assert [round(float(value)) for value in values] == [50, 75, 90, 95, 99, 100, 100]


def test_the_histogram_has_a_bar_for_each_row() -> None:
    rows = [line for line in lines() if line.startswith("  <= ")]
    assert 2 <= len(rows) <= 12
    assert sum(int(row.split()[-1]) for row in rows) == 100
    longest = max(rows, key=lambda row: row.count("#"))
    assert longest.count("#") == 40
    assert all("#" in row for row in rows if not row.endswith("  0"))


def test_a_few_requests_have_no_histogram() -> None:
    assert [line for line in lines(record(5)) if line.startswith("  <= ")] == []


def test_statuses_and_failures_are_sorted() -> None:
    made = record(3)
    made.merge(record(2, status=404))
    made.fail(0, 1, "timeout", "no complete answer within 10 s")
    for _ in range(2):
        made.fail(0, 1, "connection reset", "ReadError")
    text = lines(made)
    assert "Status        200: 3, 404: 2" in text
    place = text.index("Failures      connection reset: 2  (ReadError)")
    assert text[place + 1] == "              timeout: 1  (no complete answer within 10 s)"


def test_nothing_at_all() -> None:
    text = lines(Record())
    assert "Requests      0 answered in 0.00 s, 0.0/s" in text
    assert "Status        none" in text
    assert "Latency       none" in text


def test_what_was_lost_is_said() -> None:
    made = record()
    made.unfinished = 2
    made.miss(MS, is_run=False)
    assert "Requests      100 answered in 1.00 s, 100.0/s, 1 never sent, 2 cut short" in lines(made)


def test_a_scenario_has_its_steps_and_runs() -> None:
    text = [*report(scenario_outcome())]
    assert "Runs          1 done, 2 failed" in text
    (step,) = (line for line in text if line.startswith("<b>buy</b>"))
    assert step.split()[1:3] == ["25", "1"]
    assert any(line.startswith("Runs          mean 40.0 ms") for line in text)


def test_limits() -> None:
    text = lines(limits=Thresholds(p99=0.01, errors=Share(0, False)))
    assert text[-3] == "Limits"
    assert text[-2].startswith("  BROKEN  --max-p99 10.0 ms: ")
    assert text[-1] == "  ok      --max-errors 0: 0"


def test_no_line_is_too_long() -> None:
    made = record()
    made.fail(0, 1, "what", "long " * 90)
    assert max(map(len, lines(made, share=0.99))) <= 96


durations = st.lists(st.integers(0, 10**12), min_size=1, max_size=50)


@given(durations, st.integers(1, 50))
def test_groups_hold_all(values: list[int], most: int) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    rows = groups(histogram, most)
    assert 1 <= len(rows) <= most
    assert sum(times for _, times in rows) == len(values)
    uppers = [upper for upper, _ in rows]
    assert uppers == sorted(uppers)


def test_groups_of_nothing() -> None:
    assert groups(Histogram(), 5) == []


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_234_000, "1.23 MB"), (5e15, "5e+03 TB")],
)
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text
