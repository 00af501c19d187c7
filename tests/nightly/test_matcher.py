"""The compiled matcher against werkzeug's, over more than 100,000 cases."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncflask.matcher import Matcher
from asyncflask.routing import Map

from ..matching import GROWING, MAPS, Tally, bytecodes, many_rules

#: Rule sets; for each of them some 120 cases are compared.
EXAMPLES = 1_500


@pytest.mark.time_limit(3600)
def test_a_great_many_cases() -> None:
    tally, begun = Tally(), time.monotonic()

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(MAPS, st.integers(0, 2**32))
    def compare(url_map: Map, seed: int) -> None:
        tally.compare(url_map, seed, 12)

    compare()
    print(f"\n{tally}, in {time.monotonic() - begun:.0f} s")
    assert tally.cases >= 100_000
    assert tally.answered > tally.matched / 3


@pytest.mark.time_limit(600)
@pytest.mark.parametrize(("rule", "path"), GROWING)
def test_the_cost_is_the_same_for_10_and_for_10_000_rules(rule: str, path: str) -> None:
    # NOTE: werkzeug compares each new pattern below a place with all those that are there.
    counts = (10, 100, 1_000) if "pre{n}" in rule or "any" in rule else (10, 100, 1_000, 10_000)
    costs = [bytecodes(Matcher(many_rules(rule, count)), path) for count in counts]
    print(f"\n{rule}: {costs} bytecodes")
    assert max(costs) <= 1.2 * costs[0]
