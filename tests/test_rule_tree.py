"""The tree of rules: which ways a segment may take, and how that is told."""

from __future__ import annotations

import re
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.routing import Map as WerkzeugMap
from werkzeug.routing import Rule as RuleBase

from asyncflask import rule_tree
from asyncflask.rule_tree import Index, Way, _frames, _starts

from .matching import CONVERTERS, TEXTS, VARIABLES


@pytest.mark.parametrize(
    ("rule", "starts"),
    [
        ("/<a>", {""}),
        ("/pre.-<a>", {"pre.-"}),
        ("/<any(a, b):x>", {"a", "b"}),
        ('/p-<any("a.b", "c|d"):x>y', {"p-a.b", "p-c|d"}),
        ("/<grouped:x>", {""}),
    ],
)
def test_what_a_pattern_begins_with(rule: str, starts: set[str]) -> None:
    assert {*_starts(part(rule).content)} == starts


def test_a_choice_of_patterns_is_not_one_of_texts() -> None:
    assert {*_starts(r"(?P<__werkzeug_0>(?:\d|x))\Z")} == {""}
    assert {*_starts(r"(?P<__werkzeug_0>(?:a+|x))\Z")} == {""}


@given(st.sampled_from(VARIABLES), st.sampled_from(TEXTS))
def test_what_fits_a_pattern_begins_as_was_told(variable: str, text: str) -> None:
    content = part("/" + variable.format(n=0)).content
    if re.match(content, text):
        assert any(text.startswith(start) for start in _starts(content))


@pytest.mark.parametrize(
    ("rule", "frames"),
    [
        ("/<a>", {("", "")}),
        ("/<a>.html", {("", ".html")}),
        ("/pre-<int:a>-(x)", {("pre-", "-(x)")}),
        ("/<a>-<b>\\)", {("", "\\)")}),
        ("/<any(a, b):x>.y", {("a", ".y"), ("b", ".y")}),
        ("/<grouped:x>)", {("", ")")}),
        ("/p-<path:x>.html", {("p-", "")}),  # which may end in another segment
    ],
)
def test_what_a_pattern_begins_and_ends_with(rule: str, frames: set[tuple[str, str]]) -> None:
    found = part(rule)
    assert {*_frames(found.content, found.final)} == frames


def test_an_end_that_is_a_pattern_is_not_taken_for_text() -> None:
    assert {*_frames(r"(?P<__werkzeug_0>[^/]+)(?:x|y)\Z", False)} == {("", "")}
    assert {*_frames(r"(?P<__werkzeug_0>[^/]+)\.html", False)} == {("", "")}


@given(
    st.sampled_from(VARIABLES),
    st.sampled_from(["", ".html", ")", "-(", "\\", "ä"]),
    st.sampled_from(TEXTS),
)
def test_what_fits_a_pattern_ends_as_was_told(variable: str, end: str, text: str) -> None:
    found = part(f"/{variable.format(n=0)}{end}")
    whole = text + end
    if re.match(found.content, whole):
        frames = _frames(found.content, found.final)
        assert any(whole.startswith(start) and whole.endswith(own) for start, own in frames)


Frames = set[tuple[str, str]]


@given(
    st.lists(
        st.sets(
            st.tuples(st.text("ab", max_size=3), st.text("ab", max_size=2)), min_size=1, max_size=3
        ),
        max_size=12,
    ),
    st.text("abc", max_size=5),
)
def test_the_index_picks_what_may_fit_in_order(frames: list[Frames], segment: str) -> None:
    def fits(start: str, end: str) -> bool:
        room = len(start) + len(end) <= len(segment)
        return room and segment.startswith(start) and segment.endswith(end)

    ways = [Way(len, None) for _ in frames]
    index = Index(list(zip(ways, frames, strict=True)))
    expected = [
        way
        for way, own in zip(ways, frames, strict=True)
        if any(fits(start, end) for start, end in own)
    ]
    assert [*index.pick(segment)] == expected


@pytest.mark.parametrize("text", ["5", "٣", "²", "a", "", "5\n", "-5", "½", "1.5"])
def test_tests_without_a_pattern_take_the_same(text: str) -> None:
    for regex, test in rule_tree._TESTS.items():
        assert bool(test(text)) is bool(re.fullmatch(regex, text))


def part(rule: str) -> t.Any:
    """Return the last part of a rule."""
    bound = RuleBase(rule)
    bound.bind(WerkzeugMap(converters=CONVERTERS))
    return bound._parts[-1]
