from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asyncflask.load.plan import Plan

PLAN = Plan("http://127.0.0.1/", connections=5, requests=7, duration=3.0, warm_up=1.0)


@given(st.binary(), st.lists(st.tuples(st.text(), st.text())))
def test_it_comes_back_from_json(body: bytes, headers: list[tuple[str, str]]) -> None:
    plan = Plan("http://x/", "POST", tuple(headers), body, rate=1.5, scenario="s.py", part=1)
    line = plan.as_json()
    assert "\n" not in line
    assert Plan.from_json(line) == plan


def test_parts_share_connections_and_requests() -> None:
    parts = PLAN.split(3)
    assert [part.connections for part in parts] == [2, 2, 1]
    assert [part.requests for part in parts] == [3, 2, 2]
    assert [(part.part, part.parts) for part in parts] == [(0, 3), (1, 3), (2, 3)]


def test_no_part_is_without_a_connection_or_a_request() -> None:
    assert len(PLAN.split(100)) == 5
    assert len(Plan("http://x", connections=50, requests=2).split(10)) == 2
    assert [part.requests for part in Plan("http://x", duration=1).split(2)] == [None, None]


def test_the_warm_up_has_its_own_duration_and_no_number() -> None:
    warming = PLAN.warming()
    assert (warming.duration, warming.requests, warming.warm_up) == (1.0, None, 0.0)
    assert warming.connections == PLAN.connections
