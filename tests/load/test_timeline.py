from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from asyncflask.load.timeline import FIRST_WIDTH, SLOTS, Timeline

#: When something ended, within a day; how long it took; whether it failed.
events = st.lists(
    st.tuples(st.integers(0, 86_400 * 10**9), st.integers(0, 10**10), st.booleans()), max_size=60
)
Events = list[tuple[int, int, bool]]


def filled(happened: Events) -> Timeline:
    timeline = Timeline()
    for at, duration, failed in happened:
        timeline.add(at, duration, failed)
    return timeline


def totals(timeline: Timeline) -> tuple[int, int, int, int]:
    slots = timeline.slots
    return (
        sum(slot.count for slot in slots),
        sum(slot.errors for slot in slots),
        sum(slot.total for slot in slots),
        max((slot.largest for slot in slots), default=0),
    )


@given(events)
def test_nothing_is_lost_and_the_size_is_bounded(happened: Events) -> None:
    timeline = filled(happened)
    assert len(timeline.slots) <= SLOTS
    longest = max((duration for _, duration, _ in happened), default=0)
    assert totals(timeline) == (
        len(happened),
        sum(failed for _, _, failed in happened),
        sum(duration for _, duration, _ in happened),
        longest,
    )


@given(events, events)
def test_merging_is_adding_up(first: Events, second: Events) -> None:
    merged = filled(first)
    merged.merge(filled(second))
    assert merged.as_data() == filled(first + second).as_data()


@given(events)
def test_it_comes_back_from_json(happened: Events) -> None:
    data = filled(happened).as_data()
    assert Timeline.from_data(json.loads(json.dumps(data))).as_data() == data


def test_a_slot_holds_what_ended_in_it() -> None:
    timeline = filled([(0, 5, False), (FIRST_WIDTH - 1, 7, True), (FIRST_WIDTH, 1, False)])
    assert [(slot.count, slot.errors, slot.total, slot.largest) for slot in timeline.slots] == [
        (2, 1, 12, 7),
        (1, 0, 1, 1),
    ]


def test_slots_become_wider_as_time_goes_on() -> None:
    timeline = filled([(number * FIRST_WIDTH, 1, False) for number in range(SLOTS + 1)])
    assert timeline.width == 2 * FIRST_WIDTH
    assert [slot.count for slot in timeline.slots] == [2] * (SLOTS // 2) + [1]


def test_a_time_before_the_beginning_is_the_beginning() -> None:
    assert [slot.count for slot in filled([(-3, 1, False)]).slots] == [1]
