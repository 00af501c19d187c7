from __future__ import annotations

import re
import sys
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncflask.load.charts import HEIGHT, WIDTH, Series, bars, lines, round_step

heights = st.lists(st.integers(0, 10**9), min_size=1, max_size=60)


@given(st.floats(1e-6, 1e12))
def test_steps_are_round_and_not_too_many(largest: float) -> None:
    step = round_step(largest)
    digits = f"{step:.3e}"
    assert digits[0] in "125"
    assert digits[1:5] == ".000"
    assert largest / step <= 5.0001
    assert largest / step > 1.9


def test_a_step_of_nothing() -> None:
    assert round_step(0) == 1
    assert round_step(5e-324) == 1
    assert 0 < round_step(sys.float_info.min) < 1e-300


@given(heights)
def test_bars_stay_in_the_picture(counts: list[int]) -> None:
    picture = bars("counts", [(f"<{n}>", count) for n, count in enumerate(counts)], str)
    tree = ElementTree.fromstring(picture)
    rects = tree.findall("rect")
    assert len(rects) == len(counts)
    for rect in rects:
        x, y, width, height = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        assert -0.1 <= height <= HEIGHT
        assert x + width <= WIDTH
        assert y >= 0
    tallest = max(range(len(counts)), key=lambda number: counts[number])
    assert float(rects[tallest].attrib["height"]) == max(
        float(rect.attrib["height"]) for rect in rects
    )


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e12)), min_size=2, max_size=50))
def test_lines_stay_in_the_picture(points: list[tuple[float, float]]) -> None:
    picture = lines("a line", [Series("mean", points)], [(points[0][0], "here & there")], str)
    (line,) = ElementTree.fromstring(picture).findall("polyline")
    places = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
    assert len(places) == len(points)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)


def test_a_line_goes_up_where_the_values_do() -> None:
    picture = lines("up", [Series("max", [(0, 0), (1, 5), (2, 10)])], [(0, "0"), (2, "2")], str)
    found = re.search(r'points="([^"]+)"', picture)
    assert found is not None
    xs, ys = zip(*(map(float, pair.split(",")) for pair in found[1].split()), strict=True)
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys, reverse=True)


@pytest.mark.parametrize("count", [8, 40])
def test_labels_do_not_crowd(count: int) -> None:
    picture = bars("many", [(f"label {n}", n) for n in range(count)], str)
    shown = re.findall(r">(label \d+)</text>", picture)
    assert len(shown) <= 8
    assert f"label {count - 1}" in shown
