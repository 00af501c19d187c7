from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asyncflask.load.plan import Plan
from asyncflask.load.schedule import AtOnce, Schedule, Steady, schedule

SECOND = 10**9


def taken(when: Schedule, now: int = 0) -> list[int]:
    found = []
    while (due := when.take(now)) is not None:
        found.append(due)
    return found


def test_at_once_is_now() -> None:
    when = AtOnce(3)
    assert [when.take(5), when.take(9), when.take(9), when.take(9)] == [5, 9, 9, None]
    assert [*when.unsent(100)] == []


def test_at_once_until_the_end() -> None:
    when = AtOnce(None, end=10)
    assert [when.take(9), when.take(10)] == [9, None]


def test_steady_times_are_fixed_beforehand() -> None:
    when = Steady(7, rate=10, count=4)
    assert taken(when) == [7 + number * SECOND // 10 for number in range(4)]


def test_steady_times_do_not_depend_on_when_they_are_taken() -> None:
    when = Steady(0, rate=10, count=3)
    assert [when.take(0), when.take(5 * SECOND), when.take(9 * SECOND)] == [
        0,
        SECOND // 10,
        SECOND // 5,
    ]


def test_after_the_end_nothing_starts_and_what_was_due_is_unsent() -> None:
    when = Steady(0, rate=10, count=None, end=SECOND)
    assert when.take(0) == 0
    assert when.take(SECOND // 2) == SECOND // 10
    assert when.take(SECOND) is None
    assert [*when.unsent(2 * SECOND)] == [number * SECOND // 10 for number in range(2, 10)]


def test_what_is_not_due_yet_is_not_unsent() -> None:
    when = Steady(0, rate=10, count=100)
    when.take(0)
    assert [*when.unsent(SECOND // 4)] == [SECOND // 10, SECOND // 5]


def test_times_do_not_drift() -> None:
    when = Steady(0, rate=3, count=3_000_001)
    assert [*when.unsent(1000 * SECOND + 1)][-1] == 1000 * SECOND


@given(
    rate=st.floats(0.1, 10_000),
    count=st.integers(1, 200),
    parts=st.integers(1, 7),
    began=st.just(3),
)
def test_parts_make_up_the_whole(rate: float, count: int, parts: int, began: int) -> None:
    whole = Plan("http://x", rate=rate, requests=count, connections=10)
    together = sorted(due for part in whole.split(parts) for due in taken(schedule(part, began)))
    exact = taken(schedule(whole, began))
    assert len(together) == len(exact)
    # Each part rounds to a nanosecond for itself.
    assert all(abs(a - b) <= 1 for a, b in zip(together, exact, strict=True))


def test_the_schedule_of_a_plan() -> None:
    assert isinstance(schedule(Plan("http://x", requests=1), 0), AtOnce)
    steady = schedule(Plan("http://x", rate=2, duration=2), 0)
    assert taken(steady) == [0, SECOND // 2, SECOND, 3 * SECOND // 2]
