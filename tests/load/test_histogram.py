from __future__ import annotations

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncflask.load.histogram import BUCKETS, FINE, LARGEST, Histogram, bounds, bucket

#: Durations of every size, small ones as often as large ones.
durations = st.integers(0, 41).flatmap(lambda bits: st.integers(0, (2 << bits) - 1))
many = st.lists(durations, min_size=1, max_size=300)
percents = st.one_of(st.sampled_from([50.0, 75.0, 90.0, 99.0, 99.9, 100.0]), st.floats(0.001, 100))

#: Half of a bucket's width, as a share of the values in it.
ERROR = 1 / (2 * FINE)


def filled(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@given(durations)
def test_a_value_lies_in_its_bucket(value: int) -> None:
    low, high = bounds(bucket(value))
    assert low <= value <= high
    assert high - low <= max(value, 1) / FINE


def test_the_buckets_follow_each_other_without_a_gap() -> None:
    edges = [bounds(index) for index in range(BUCKETS)]
    assert edges[0] == (0, 0)
    assert edges[-1][1] == LARGEST
    assert all(after[0] == before[1] + 1 for before, after in itertools.pairwise(edges))


@given(many, percents)
def test_percentiles_are_those_of_the_sorted_values(values: list[int], percent: float) -> None:
    exact = sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1]
    assert abs(filled(values).percentile(percent) - exact) <= exact * ERROR + 1


@given(many)
def test_count_mean_and_ends_are_exact(values: list[int]) -> None:
    histogram = filled(values)
    assert histogram.count == len(values)
    assert histogram.mean == sum(values) / len(values)
    assert (histogram.smallest, histogram.largest) == (min(values), max(values))
    assert histogram.percentile(100) == max(values)


@given(many)
def test_the_deviation_is_close(values: list[int]) -> None:
    mean = sum(values) / len(values)
    exact = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    assert abs(filled(values).deviation - exact) <= max(values) * ERROR + 1


@given(many, many)
def test_merging_is_adding_up(first: list[int], second: list[int]) -> None:
    merged = filled(first)
    merged.merge(filled(second))
    assert merged.as_data() == filled(first + second).as_data()


@given(many)
def test_it_comes_back_from_json(values: list[int]) -> None:
    data = filled(values).as_data()
    assert Histogram.from_data(json.loads(json.dumps(data))).as_data() == data


def test_an_empty_one() -> None:
    empty = Histogram()
    assert (empty.count, empty.mean, empty.deviation, empty.percentile(99)) == (0, 0, 0, 0)
    assert [*empty.buckets()] == []
    merged = filled([7])
    merged.merge(empty)
    assert merged.smallest == 7


@pytest.mark.parametrize(("value", "kept"), [(-5, 0), (LARGEST + 1, LARGEST), (2**60, LARGEST)])
def test_what_is_out_of_range_counts_at_the_end(value: int, kept: int) -> None:
    assert next(filled([value]).buckets())[:2] == bounds(bucket(kept))


def test_many_at_once() -> None:
    histogram = Histogram()
    histogram.add(10, 1000)
    assert (histogram.count, histogram.total) == (1000, 10_000)
