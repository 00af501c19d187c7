"""What came with a request, by name: as werkzeug keeps it, and no different for who looks."""

from __future__ import annotations

import copy
import pickle
import typing as t
from operator import itemgetter

import pytest
from werkzeug.datastructures import ImmutableMultiDict as Theirs
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequestKeyError

from asyncflask import Flask, request
from asyncflask.wrappers.fields import ImmutableMultiDict
from asyncflask.wrappers.urlencoded import urlencoded_fields

PAIRS = [("a", "1"), ("b", "two"), ("a", "3"), ("", "")]


def outcome(ask: t.Callable[[t.Any], t.Any], fields: t.Any) -> tuple[t.Any, t.Any]:
    """Return what a question comes to: a value, or an error and what it says."""
    try:
        return None, ask(fields)
    except Exception as error:
        return type(error), str(error)


def both() -> tuple[t.Any, t.Any]:
    """Return ours and theirs of the same pairs, with a name that has no value any more."""
    found: tuple[t.Any, t.Any] = ImmutableMultiDict(PAIRS), Theirs(PAIRS)
    for fields in found:
        dict.__setitem__(fields, "none", [])
    return found


@pytest.mark.parametrize(
    "ask",
    [
        *map(itemgetter, ("a", "b", "", "none", "missing", 1, [])),
        lambda fields: fields.get("a"),
        lambda fields: fields.get("none"),
        lambda fields: fields.get("none", "x"),
        lambda fields: fields.get("missing"),
        lambda fields: fields.get("missing", 1),
        lambda fields: fields.get("missing", default=1, type=int),
        lambda fields: fields.get("a", type=int),
        lambda fields: fields.get("a", 7, int),
        lambda fields: fields.get("b", 7, int),
        lambda fields: fields.get("b", type=int),
        lambda fields: fields.get("a", type=lambda value: len(value.none)),
        lambda fields: fields.get("a", type=lambda value: value + 1),
        lambda fields: fields.get([]),
        lambda fields: fields.getlist("a", type=int),
        lambda fields: fields.getlist("missing"),
        lambda fields: fields.to_dict(flat=False),
        lambda fields: [*fields.lists()],
        lambda fields: fields | {"c": "4"},
        lambda fields: fields.add("a", "2"),
        lambda fields: fields.update(a="2"),
        lambda fields: fields.__setitem__("a", "2"),
        lambda fields: fields.pop("a"),
        lambda fields: fields.nothing,
        repr,
        str,
        len,
        bool,
        list,
        lambda fields: "none" in fields,
        lambda fields: fields.copy().__class__,
        lambda fields: copy.copy(fields) is fields,
    ],
)
def test_it_answers_as_theirs(ask: t.Callable[[t.Any], t.Any]) -> None:
    ours, theirs = both()
    assert outcome(ask, ours) == outcome(ask, theirs)


def test_it_equals_theirs() -> None:
    ours, theirs = ImmutableMultiDict(PAIRS), Theirs(PAIRS)
    assert ours == theirs
    assert theirs == ours
    assert hash(ours) == hash(theirs)
    assert ours != Theirs(PAIRS[:2])
    assert isinstance(ours, Theirs)
    assert urlencoded_fields(b"a=1&b=two&a=3&=") == theirs


def test_its_copies() -> None:
    ours = ImmutableMultiDict(PAIRS)
    deep = copy.deepcopy(ours)
    assert (type(deep), deep) == (ImmutableMultiDict, ours)
    mutable = ours.copy()
    assert (type(mutable), mutable) == (MultiDict, MultiDict(PAIRS))
    mutable.add("a", "4")
    assert ours.getlist("a") == ["1", "3"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_pickled_as_theirs(protocol: int) -> None:
    """So that it is read where there is werkzeug alone."""
    sent = pickle.dumps(ImmutableMultiDict(PAIRS), protocol)
    assert sent == pickle.dumps(Theirs(PAIRS), protocol)
    assert type(pickle.loads(sent)) is Theirs


def test_a_value_that_is_not_there_is_a_bad_request() -> None:
    with pytest.raises(BadRequestKeyError) as caught:
        ImmutableMultiDict[str, str]()["a"]
    assert caught.value.args == ("a",)
    assert caught.value.code == 400


async def test_what_a_request_has_is_kept_so() -> None:
    app, kinds = Flask(__name__), set[type]()

    @app.post("/")
    async def index() -> list[str | None]:
        kinds.update(map(type, (request.form, request.args, request.cookies)))
        given = request.form["a"], request.args["a"], request.values["a"], request.cookies["a"]
        return [*given, request.form.get("b"), request.args.get("b"), request.values.get("b")]

    client = app.async_client()
    for file in ({}, {"files": {"file": b"content"}}):
        sent: t.Any = {"data": {"a": "1"}, **file}
        answer = await client.post("/?a=2", headers={"cookie": "a=3"}, **sent)
        assert answer.json() == ["1", "2", "2", "3", None, None, None]
        assert kinds == {ImmutableMultiDict}
