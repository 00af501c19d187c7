"""A response's headers, against werkzeug's."""

from __future__ import annotations

import copy
import pickle
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from asyncflask import Response
from asyncflask.wrappers.headers import Headers as ResponseHeaders

NAMES = st.sampled_from(["Vary", "vary", "X-A", "x-a", "Content-Type", "İ", ""])
VALUES = st.one_of(
    st.sampled_from(["a", "", "a\nb", "a\rb", "a\tb", "é", "\u2028", "\ud800", 7, None, True]),
    st.text(max_size=4),
)
ENTRIES = st.lists(st.tuples(NAMES, st.sampled_from(["a", "b", ""])), max_size=4)


def outcome(headers: Headers, key: t.Any, value: t.Any) -> object:
    try:
        return headers.setdefault(key, value), [*headers]
    except Exception as error:
        return type(error), str(error), [*headers]


@given(ENTRIES, st.lists(st.tuples(NAMES, VALUES), max_size=4))
def test_a_default_is_set_as_by_werkzeug(
    entries: list[tuple[str, str]], defaults: list[tuple[str, t.Any]]
) -> None:
    ours, theirs = ResponseHeaders(entries), Headers(entries)
    for key, value in defaults:
        assert outcome(ours, key, value) == outcome(theirs, key, value)


def test_a_key_that_is_no_text_fails_as_in_werkzeug() -> None:
    assert outcome(ResponseHeaders(), 1, "a") == outcome(Headers(), 1, "a")


@given(ENTRIES, ENTRIES)
def test_they_equal_werkzeugs(one: list[tuple[str, str]], other: list[tuple[str, str]]) -> None:
    expected = Headers(one) == Headers(other)
    assert (ResponseHeaders(one) == Headers(other)) is expected
    assert (Headers(one) == ResponseHeaders(other)) is expected
    assert (ResponseHeaders(one) == ResponseHeaders(other)) is expected
    assert (ResponseHeaders(one) != Headers(other)) is not expected
    assert ResponseHeaders(one) != [*one]


def test_a_subclass_has_its_own_way() -> None:
    class Own(ResponseHeaders):
        def set(self, key: str, value: t.Any, /, **kwargs: t.Any) -> None:
            super().set(key, value.upper(), **kwargs)

    assert Own().setdefault("a", "b") == "B"


@pytest.mark.parametrize("made", [Response("x"), Response(), Response("x", headers={"X-A": "b"})])
def test_a_response_has_them(made: Response) -> None:
    headers = made.headers
    assert type(headers) is ResponseHeaders
    assert repr(headers) == repr(Headers([*headers]))
    with pytest.raises(TypeError):
        hash(headers)
    for copied in (copy.copy(headers), copy.deepcopy(headers), pickle.loads(pickle.dumps(headers))):
        assert copied == headers
        copied.setdefault("X-New", "1")
        assert "X-New" not in headers
