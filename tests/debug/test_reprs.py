"""Reprs that are short, whatever the object."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncflask.debug.bounded import Bounded
from asyncflask.debug.redaction import Redactor
from asyncflask.debug.reprs import LONGEST, MOST, SafeRepr


def shown(value: object) -> str:
    with Bounded(per_call=20, per_page=20) as bounded:
        return SafeRepr(Redactor(), bounded)(value)


class Raises:
    def __repr__(self) -> str:
        raise ZeroDivisionError


class Huge:
    def __repr__(self) -> str:
        return "x" * 10_000_000


class NoText:
    def __repr__(self) -> str:
        return 3  # type: ignore[return-value]


class Odd(Mapping[str, Any]):
    def __init__(self, size: int) -> None:
        self.size = size

    def __getitem__(self, key: str) -> str:
        return "value"

    def __iter__(self) -> Iterator[str]:
        return map(str, range(self.size))

    def __len__(self) -> int:
        return self.size


def test_bad_items_do_not_spoil_the_rest() -> None:
    assert shown([1, Raises(), 2]) == "[1, <Raises, whose repr raised ZeroDivisionError>, 2]"
    assert shown({"a": Raises()}) == "{'a': <Raises, whose repr raised ZeroDivisionError>}"
    assert "TypeError" in shown(NoText())


@pytest.mark.parametrize(
    "value",
    [
        Huge(),
        [Huge()] * 50,
        "x" * 10**7,
        b"x" * 10**7,
        bytearray(10**6),
        10**2000,
        deque("x" * 10**6),
    ],
    ids=type,
)
def test_huge_values_are_cut(value: object) -> None:
    assert len(shown(value)) < LONGEST + 50


def test_lengths_are_told() -> None:
    assert shown("x" * 5000).endswith("\N{HORIZONTAL ELLIPSIS} (5,000 in all)")


def test_containers_are_cut() -> None:
    assert shown(list(range(100))).endswith(f"{MOST - 1}, ...]")
    assert shown(dict.fromkeys(range(100))).endswith(f"{MOST - 1}: None, ...}}")
    assert shown([[[[[1]]]]]) == "[[[[...]]]]"
    assert shown({1: {2: {3: {4: 5}}}}) == "{1: {2: {3: {...}}}}"
    assert shown([[[{}]]]) == "[[[{}]]]"


def test_items_keep_their_order() -> None:
    assert shown({"b": 1, "a": 2}) == "{'b': 1, 'a': 2}"


def test_mappings_are_shown_as_such() -> None:
    assert shown(Odd(2)) == "Odd({'0': 'value', '1': 'value'})"
    assert shown(Odd(100)).endswith("...})")


def test_itself_inside() -> None:
    value: list[Any] = []
    value.append(value)
    assert shown(value) == "[[[[...]]]]"


def test_classes_that_are_named_like_built_in_ones() -> None:
    impostor = type("list", (), {"__repr__": lambda self: "impostor"})
    assert shown([impostor()]) == "[impostor]"


def test_integers_too_long_to_print() -> None:
    assert shown(10**5000).startswith("<int, whose repr raised") or "..." in shown(10**5000)


plain = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.binary(max_size=20)


@given(
    st.recursive(
        plain, lambda inner: st.lists(inner) | st.dictionaries(plain, inner), max_leaves=40
    )
)
def test_any_value_has_a_short_one_line_repr(value: object) -> None:
    text = shown(value)
    assert type(text) is str
    assert len(text) <= LONGEST + 50
    assert "\n" not in text
