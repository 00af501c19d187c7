"""The compiled matcher against its oracle: werkzeug's own."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter
from werkzeug.routing import Map as WerkzeugMap

from asyncflask.routing import Map, Matcher, Rule, has_custom_converters

WORDS = st.sampled_from(["a", "b", "user", "5", "1.5", "-3", "x.y"])
SEGMENTS = st.one_of(
    WORDS,
    st.sampled_from(
        [
            "<v{n}>",
            "<int:v{n}>",
            "<float:v{n}>",
            "<uuid:v{n}>",
            "<path:v{n}>",
            "<string(length=2):v{n}>",
            "<int(signed=True):v{n}>",
            "<any(a, b):v{n}>",
            "pre-<v{n}>",
            "<int:v{n}>.<w{n}>",
        ]
    ),
)
METHODS = st.sampled_from([None, ["GET"], ["POST"], ["GET", "POST"], ["DELETE"]])
UUID = "11111111-2222-3333-4444-555555555555"
PATH_SEGMENTS = st.one_of(WORDS, st.sampled_from(["", "pre-a", "7.a", "ab", UUID, "٣", "5\n", "ü"]))


@st.composite
def rules(draw: st.DrawFn) -> list[Rule]:
    made = []
    for number in range(draw(st.integers(1, 7))):
        drawn = draw(st.lists(SEGMENTS, min_size=0, max_size=3))
        parts = [part.format(n=place) for place, part in enumerate(drawn)]
        websocket: bool = draw(st.sampled_from([False, False, True]))
        slash = "/" if draw(st.booleans()) and parts else ""
        made.append(
            Rule(
                "/" + "/".join(parts) + slash,
                endpoint=f"e{number}",
                methods=draw(st.sampled_from([None, ["GET"]])) if websocket else draw(METHODS),
                strict_slashes=draw(st.sampled_from([None, False])),
                defaults=draw(st.sampled_from([None, None, None, {"extra": 1}])),
                build_only=draw(st.sampled_from([False, False, False, True])),
                websocket=websocket,
            )
        )
    return made


PATHS = st.builds(
    lambda parts, slash: "/" + "/".join(parts) + slash,
    st.lists(PATH_SEGMENTS, max_size=4),
    st.sampled_from(["", "/"]),
)


def by_werkzeug(url_map: WerkzeugMap, path: str, method: str, websocket: bool) -> t.Any:
    adapter = url_map.bind("localhost")
    try:
        rule, args = adapter.match(path, method, return_rule=True, websocket=websocket)
    except HTTPException as error:
        return type(error).__name__
    return rule.endpoint, rule.rule, args


@pytest.mark.time_limit(120)
@settings(max_examples=1500)
@given(rules(), PATHS, st.sampled_from(["GET", "HEAD", "POST", "PUT"]), st.booleans())
def test_whatever_the_matcher_answers_werkzeug_answers(
    made: list[Rule], path: str, method: str, websocket: bool
) -> None:
    url_map = Map(made)
    found = Matcher(url_map, websocket).match(path, method)
    if found is not None:
        rule, args = found
        answer = by_werkzeug(url_map, path, method, websocket)
        assert (rule.endpoint, rule.rule, args) == answer


def test_websockets_have_rules_of_their_own() -> None:
    made = [Rule("/a", endpoint="page"), Rule("/a", endpoint="socket", websocket=True)]
    url_map = Map([*made, Rule("/b", endpoint="other")])
    for websocket, endpoint in ((False, "page"), (True, "socket")):
        matcher = Matcher(url_map, websocket)
        found = matcher.match("/a", "GET")
        assert found is not None
        assert found[0].endpoint == endpoint
        assert (matcher.match("/b", "GET") is None) is websocket


@pytest.mark.parametrize(
    ("path", "endpoint", "args"),
    [
        ("/", "root", {}),
        ("/a/b", "static", {}),
        ("/a/5", "int", {"n": 5}),
        ("/a/x", "text", {"s": "x"}),
        ("/deep/1/two", "deep", {"n": 1, "s": "two"}),
    ],
)
def test_the_common_case_is_answered(path: str, endpoint: str, args: dict[str, t.Any]) -> None:
    matcher = Matcher(
        Map(
            [
                Rule("/", endpoint="root"),
                Rule("/a/<s>", endpoint="text"),
                Rule("/a/<int:n>", endpoint="int"),
                Rule("/a/b", endpoint="static"),
                Rule("/deep/<int:n>/<s>", endpoint="deep"),
            ]
        )
    )
    found = matcher.match(path, "GET")
    assert found is not None
    assert (found[0].endpoint, found[1]) == (endpoint, args)


@pytest.mark.parametrize("path", ["//a", "a", "/a//b", "/a/", "/files/x/y", "/nowhere", "/both/x"])
def test_the_rest_is_left_to_werkzeug(path: str) -> None:
    url_map = Map(
        [
            Rule("/a", endpoint="a"),
            Rule("/files/<path:name>", endpoint="files"),
            Rule("/both/<x>", endpoint="page", defaults={"page": 1}),
        ]
    )
    assert Matcher(url_map).match(path, "GET") is None


def test_rules_with_custom_converters_are_left_to_werkzeug() -> None:
    class Twice(BaseConverter):
        pass

    url_map = Map(
        [
            Rule("/a", endpoint="a"),
            Rule("/a/<int:x>", endpoint="x"),
            Rule("/b/<float:x>", endpoint="x"),
            Rule("/c/<twice:x>", endpoint="x"),
            Rule("/c/c", endpoint="c"),
        ],
        converters={"twice": Twice, "int": Twice},
    )
    assert has_custom_converters(url_map)
    assert not has_custom_converters(Map())
    matcher = Matcher(url_map)
    for path, endpoint in (("/a", "a"), ("/b/1.5", "x"), ("/c/c", "c")):
        found = matcher.match(path, "GET")
        assert found is not None
        assert found[0].endpoint == endpoint
    assert matcher.match("/a/1", "GET") is matcher.match("/c/1", "GET") is None


def test_a_map_that_matches_hosts_is_left_to_werkzeug() -> None:
    url_map = Map([Rule("/a", endpoint="a", host="example.com")], host_matching=True)
    assert Matcher(url_map).match("/a", "GET") is None


def test_the_map_counts_its_changes() -> None:
    url_map = Map()
    before = url_map.changes
    url_map.add(Rule("/a", endpoint="a"))
    assert url_map.changes == before + 1


def test_a_copied_rule_keeps_its_options() -> None:
    copied: t.Any = Rule("/up", endpoint="up", stream_body=True).empty()
    assert copied.stream_body is True
