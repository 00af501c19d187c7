from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from asyncflask.load.record import KINDS, OTHER_KINDS, OTHER_STEPS, STEPS, Record, Tally

MS = 1_000_000


def one(status: int = 200, step: str | None = None) -> Record:
    record = Record(began=100)
    record.answer(100, 100 + 3 * MS, status, received=10, sent=4, step=step)
    return record


def test_an_answer() -> None:
    record = one()
    total = record.total
    assert (total.answered, total.received, total.sent) == (1, 10, 4)
    assert total.statuses == {200: 1}
    assert total.histogram.largest == 3 * MS
    assert record.elapsed == 3 * MS
    assert (record.errors, record.requests) == (0, 1)
    assert round(record.rate) == 333


def test_an_error_status_is_an_answer_and_an_error() -> None:
    record = one(404)
    assert (record.total.answered, record.total.refused, record.errors) == (1, 1, 1)
    assert [slot.errors for slot in record.timeline.slots] == [1]


def test_a_failure_has_no_duration_unless_it_was_waited_for() -> None:
    record = Record()
    record.fail(0, 5 * MS, "connection refused", "no")
    assert (record.total.failed, record.total.histogram.count) == (1, 0)
    record.fail(0, 7 * MS, "timeout", "late", waited=True)
    assert (record.total.histogram.count, record.total.histogram.largest) == (1, 7 * MS)
    assert (record.errors, record.total.answered, record.rate) == (2, 0, 0)


def test_what_was_never_sent_is_an_error_that_has_waited() -> None:
    record = Record()
    record.miss(9 * MS, is_run=False)
    assert (record.errors, record.requests, record.unsent) == (1, 1, 1)
    assert record.total.histogram.largest == 9 * MS
    assert record.runs.count == 0
    record.miss(9 * MS, is_run=True)
    assert record.runs.largest == 9 * MS


def test_steps_are_told_apart_up_to_a_number() -> None:
    record = Record()
    for number in range(STEPS + 10):
        record.answer(0, 1, 200, 0, 0, step=f"GET /user/{number}")
    assert len(record.steps) == STEPS + 1
    assert record.steps[OTHER_STEPS].answered == 10
    assert record.total.answered == STEPS + 10


def test_kinds_of_failures_are_told_apart_up_to_a_number() -> None:
    tally = Tally()
    for number in range(KINDS + 5):
        tally.fail(f"kind {number}", "x" * 10_000)
    tally.fail("kind 0", "another")
    assert len(tally.failures) == KINDS + 1
    assert tally.failures[OTHER_KINDS] == 5
    assert tally.failures["kind 0"] == 2
    assert {len(example) for example in tally.examples.values()} == {500}


def full() -> Record:
    record = one(step="GET /")
    record.answer(100, 100 + 5 * MS, 500, 1, 2, step="GET /b")
    record.fail(100, 200, "timeout", "late", step="GET /b", waited=True)
    record.miss(4 * MS, is_run=True)
    record.end_run(8 * MS)
    record.failed_runs = 1
    record.unfinished = 2
    return record


def test_merging_is_adding_up() -> None:
    merged, other = full(), full()
    other.elapsed = 60 * MS
    merged.merge(other)
    assert (merged.total.answered, merged.total.failed, merged.unsent) == (4, 2, 2)
    assert (merged.done_runs, merged.failed_runs, merged.unfinished) == (2, 2, 4)
    assert merged.elapsed == 60 * MS
    assert {name: tally.answered for name, tally in merged.steps.items()} == {
        "GET /": 2,
        "GET /b": 2,
    }
    assert merged.total.statuses == {200: 2, 500: 2}
    assert merged.runs.count == 4
    assert merged.timeline.slots[0].count == 6


def test_merging_into_nothing_is_a_copy() -> None:
    merged = Record()
    merged.merge(full())
    assert merged.as_data() == full().as_data()


def test_it_comes_back_from_json() -> None:
    data = full().as_data()
    assert Record.from_data(json.loads(json.dumps(data))).as_data() == data


#: What may happen to a request: how it ended, when, after how long, in which step and process.
happenings = st.lists(
    st.tuples(
        st.sampled_from(["200", "404", "503", "reset", "timeout", "never sent", "run"]),
        st.integers(0, 10**11),
        st.integers(0, 10**10),
        st.sampled_from([None, "GET /", "POST /"]),
        st.integers(0, 2),
    ),
    max_size=40,
)
Happening = tuple[str, int, int, str | None, int]


def happen(record: Record, happening: Happening) -> None:
    what, at, duration, step, _ = happening
    latest = record.elapsed
    if what.isdecimal():
        record.answer(at - duration, at, int(what), 7, 3, step)
    elif what == "never sent":
        record.miss(duration, is_run=step is not None)
    elif what == "run":
        record.end_run(duration)
    else:
        record.fail(at - duration, at, what, f"of {what}", step, what == "timeout")
    record.elapsed = max(record.elapsed, latest)  # here, time goes forward and back


def comparable(record: Record) -> object:
    """Return all of a record, in an order that does not depend on what came first."""
    return json.dumps(record.as_data(), sort_keys=True)


@given(happenings)
def test_several_processes_are_as_good_as_one(events: list[Happening]) -> None:
    whole, merged = Record(), Record()
    parts = [Record(), Record(), Record()]
    for event in events:
        happen(whole, event)
        happen(parts[event[4]], event)
    for part in parts:
        merged.merge(Record.from_data(json.loads(json.dumps(part.as_data()))))
    assert comparable(merged) == comparable(whole)


@given(happenings)
def test_the_figures_agree_with_each_other(events: list[Happening]) -> None:
    record = Record()
    for event in events:
        happen(record, event)
    total = record.total
    asked = [event for event in events if event[0] != "run"]
    assert record.requests == len(asked)
    assert record.errors == sum(event[0] != "200" for event in asked)
    assert total.histogram.count == total.answered + total.failures["timeout"] + record.unsent
    assert sum(slot.count for slot in record.timeline.slots) == total.answered + total.failed
    named = [event for event in asked if event[3] is not None and event[0] != "never sent"]
    assert sum(step.answered + step.failed for step in record.steps.values()) == len(named)
