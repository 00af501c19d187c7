"""Tagged JSON: everything comes back as it was, in Flask's bytes."""

from __future__ import annotations

import typing as t
from collections import OrderedDict
from datetime import UTC, datetime
from uuid import UUID

import flask
import flask.json.tag
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from asyncflask import Flask
from asyncflask.json.tag import JSONTag, TagDict, TaggedJSONSerializer

ours_app, theirs_app = Flask(__name__), flask.Flask(__name__)
ours, theirs = TaggedJSONSerializer(), flask.json.tag.TaggedJSONSerializer()

moments = st.datetimes(
    min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)
).map(lambda moment: moment.replace(microsecond=0))
tag_like = st.sampled_from([" di", " t", " b", " m", " u", " d", " x", " t__", "__", ""])
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8")),
    st.binary(),
    st.text(st.characters(codec="utf-8")).map(Markup),
    st.uuids(),
    moments,
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(tag_like | st.text(st.characters(codec="utf-8")), inner)
    ),
    max_leaves=20,
)


def kinds(value: t.Any) -> t.Any:
    """The value's types, all the way in: equal values may be of different ones."""
    if isinstance(value, dict):
        return {key: kinds(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [*map(kinds, value)]
    return type(value)


@given(values)
def test_comes_back_the_same(value: t.Any) -> None:
    with ours_app.app_context():
        back = ours.loads(ours.dumps(value))
    assert back == value
    assert kinds(back) == kinds(value)


@given(values)
def test_is_what_flask_writes_and_reads(value: t.Any) -> None:
    with ours_app.app_context(), theirs_app.app_context():
        text = ours.dumps(value)
        assert text == theirs.dumps(value)
        assert theirs.loads(text) == value
    assert ours.dumps(value) == theirs.dumps(value)  # without an app, keys stay unsorted


def test_fractions_of_a_second_are_dropped() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    assert ours.loads(ours.dumps(moment)) == moment.replace(microsecond=0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{" t":[1]}', (1,)),
        ('{" b":"/w=="}', b"\xff"),
        ('{" u":"00000000000000000000000000000001"}', UUID(int=1)),
        ('{" di":{" t__":1}}', {" t": 1}),
        ('{" unknown":1}', {" unknown": 1}),
        ('{" t":[1],"more":2}', {" t": [1], "more": 2}),
        ("[]", []),
    ],
)
def test_reads(text: str, value: t.Any) -> None:
    assert ours.loads(text) == value


class Pair(tuple[int, int]):
    __slots__ = ()


class TagPair(JSONTag):
    __slots__ = ()
    key = " p"

    def check(self, value: t.Any) -> bool:
        return isinstance(value, Pair)

    def to_json(self, value: t.Any) -> t.Any:
        return [self.serializer.tag(item) for item in value]

    def to_python(self, value: t.Any) -> t.Any:
        return Pair(value)


class TestRegister:
    def test_the_first_tag_that_fits_is_used(self) -> None:
        last, first = TaggedJSONSerializer(), TaggedJSONSerializer()
        last.register(TagPair)
        first.register(TagPair, index=0)
        pair = Pair((1, 2))
        assert type(last.loads(last.dumps(pair))) is tuple
        assert type(first.loads(first.dumps(pair))) is Pair

    def test_index_counts_as_in_lists(self) -> None:
        serializer = TaggedJSONSerializer()
        serializer.register(TagPair, index=-1)
        assert isinstance(serializer.order[-2], TagPair)

    def test_a_taken_key(self) -> None:
        class Other(TagPair):
            key = " t"

        serializer = TaggedJSONSerializer()
        with pytest.raises(KeyError, match="TagTuple already"):
            serializer.register(Other)
        assert not any(isinstance(tag, Other) for tag in serializer.order)
        serializer.register(Other, force=True)
        assert isinstance(serializer.tags[" t"], Other)

    def test_a_dict_subclass_before_dicts(self) -> None:
        class TagOrdered(JSONTag):
            __slots__ = ()
            key = " od"

            def check(self, value: t.Any) -> bool:
                return isinstance(value, OrderedDict)

            def to_json(self, value: t.Any) -> t.Any:
                return [[key, self.serializer.tag(inner)] for key, inner in value.items()]

            def to_python(self, value: t.Any) -> t.Any:
                return OrderedDict(value)

        serializer = TaggedJSONSerializer()
        serializer.register(TagOrdered, index=0)
        ordered = OrderedDict([("z", (1,)), ("a", b"2")])
        back = serializer.loads(serializer.dumps(ordered))
        assert type(back) is OrderedDict
        assert [*back.items()] == [*ordered.items()]

    def test_serializers_share_nothing(self) -> None:
        one, two = TaggedJSONSerializer(), TaggedJSONSerializer()
        one.register(TagPair)
        assert " p" not in two.tags

    def test_a_subclass_names_its_own_tags(self) -> None:
        class Small(TaggedJSONSerializer):
            __slots__ = ()
            default_tags: t.ClassVar[list[type[JSONTag]]] = [TagDict]

        assert [*Small().tags] == [" di"]


def test_a_tag_must_say_what_it_does() -> None:
    tag = JSONTag(ours)
    for method in (tag.check, tag.to_json, tag.to_python):
        with pytest.raises(NotImplementedError):
            method(None)
