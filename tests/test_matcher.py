"""The compiled matcher: against werkzeug's own, what it is sure of, and what it costs."""

from __future__ import annotations

import sys
import threading
import typing as t
from types import FrameType

import flask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.routing import BaseConverter, RequestRedirect

from asyncflask import Flask
from asyncflask.matcher import Matcher
from asyncflask.routing import Map, Rule, has_custom_converters

from .matching import CONVERTERS, GROWING, MAPS, Tally, Upper, bytecodes, many_rules, paths, strings

#: Examples, each a rule set for which some 50 cases are compared: well above 5,000 in all.
EXAMPLES = 200


@pytest.mark.time_limit(120)
def test_whatever_the_matcher_answers_werkzeug_answers() -> None:
    tally = Tally()

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(MAPS, st.integers(0, 2**32))
    def compare(url_map: Map, seed: int) -> None:
        tally.compare(url_map, seed, 6)

    compare()
    assert tally.cases >= 5_000
    assert tally.answered > tally.matched / 3  # it would be in vain otherwise


def test_websockets_have_rules_of_their_own() -> None:
    made = [Rule("/a", endpoint="page"), Rule("/a", endpoint="socket", websocket=True)]
    url_map = Map([*made, Rule("/b", endpoint="other")])
    for websocket, endpoint in ((False, "page"), (True, "socket")):
        matcher = Matcher(url_map, websocket)
        found = matcher.find("/a", "GET")
        assert found is not None
        assert found[0].endpoint == endpoint
        assert (matcher.find("/b", "GET") is None) is websocket


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
    found = matcher.find(path, "GET")
    assert found is not None
    assert (found[0].endpoint, found[1]) == (endpoint, args)


@pytest.mark.parametrize(
    ("path", "method", "args"),
    [
        ("/small/5", "GET", {"n": 5}),
        ("/small/50", "GET", None),  # the converter refuses it
        ("/small/5", "POST", None),
        ("/given/5", "GET", {"n": 5, "more": "given"}),
        ("/text/5", "GET", {"s": "5"}),
        ("/text/", "GET", None),
    ],
)
def test_a_variable_that_ends_a_path(path: str, method: str, args: dict[str, t.Any] | None) -> None:
    url_map = Map(
        [
            Rule("/small/<int(max=9):n>", endpoint="small", methods=["GET"]),
            Rule("/given/<int:n>", endpoint="given", defaults={"more": "given"}),
            Rule("/text/<s>", endpoint="text"),
        ]
    )
    matcher = Matcher(url_map)
    for find in matcher.find, matcher.search:
        found = find(path, method)
        assert (None if found is None else found[1]) == args
    if args is not None:
        assert url_map.bind("").match(path, method)[1] == args


@pytest.mark.parametrize(
    ("path", "method", "found"),
    [
        ("/user/5/edit", "GET", ("edit", {"n": 5})),
        ("/user/5/edit", "POST", ("save", {"n": 5})),
        ("/user/5/edit", "DELETE", None),
        ("/user/5/other", "GET", ("text", {"s": "5", "more": "other"})),
        ("/user/x/edit", "GET", ("text", {"s": "x", "more": "edit"})),
        ("/user/me/edit", "GET", ("me", {})),
        ("/user/5/", "GET", ("slash", {"n": 5})),
        ("/user//edit", "GET", None),
        ("/5/top", "GET", ("top", {"n": 5})),
        ("5/top", "GET", None),
        ("/user/5/small", "GET", ("small", {"n": 5})),
        (
            "/user/50/small",
            "GET",
            None,
        ),  # the converter refuses it, and werkzeug tries what is next
        ("/given/5/edit", "GET", ("given", {"n": 5, "v": "given"})),
        ("/wide//edit", "GET", None),  # slashes are merged before anything is matched
    ],
)
def test_a_variable_before_the_last_segment(
    path: str, method: str, found: tuple[str, dict[str, t.Any]] | None
) -> None:
    url_map = Map(
        [
            Rule("/user/<int:n>/edit", endpoint="edit", methods=["GET"]),
            Rule("/user/<int:n>/edit", endpoint="save", methods=["POST"]),
            Rule("/user/<int:n>/", endpoint="slash"),
            Rule("/user/<s>/<more>", endpoint="text", methods=["GET"]),
            Rule("/user/me/edit", endpoint="me", methods=["GET"]),
            Rule("/<int:n>/top", endpoint="top"),
            Rule("/user/<int(max=9):n>/small", endpoint="small"),
            Rule("/given/<int:n>/edit", endpoint="given", defaults={"v": "given"}),
            Rule("/wide/<string(minlength=0):s>/edit", endpoint="wide"),
        ]
    )
    for find in Matcher(url_map).find, Matcher(url_map).search:
        answer = find(path, method)
        assert (answer and (answer[0].endpoint, answer[1])) == found
    if found is not None:
        assert url_map.bind("").match(path, method) == found


@pytest.mark.parametrize("path", ["//a", "a", "/a//b", "/a/", "/up/x", "/nowhere", "/p/1", "/"])
def test_the_rest_is_left_to_werkzeug(path: str) -> None:
    url_map = Map(
        [
            Rule("/a", endpoint="a"),
            Rule("/up/<upper:name>", endpoint="up"),
            Rule("/p/", endpoint="page", defaults={"page": 1}),
            Rule("/p/<int:page>", endpoint="page"),  # the first page's is a redirect
        ],
        converters={"upper": Upper},
    )
    assert Matcher(url_map).find(path, "GET") is None


def test_rules_with_custom_converters_are_left_to_werkzeug() -> None:
    class Twice(BaseConverter):
        def to_python(self, value: str) -> str:
            return value * 2

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
        found = matcher.find(path, "GET")
        assert found is not None
        assert found[0].endpoint == endpoint
    assert matcher.find("/a/1", "GET") is matcher.find("/c/1", "GET") is None


def test_a_map_that_matches_hosts_is_left_to_werkzeug() -> None:
    url_map = Map([Rule("/a", endpoint="a", host="example.com")], host_matching=True)
    assert Matcher(url_map).find("/a", "GET") is None


def test_a_converter_with_no_more_than_a_pattern_is_no_stranger() -> None:
    url_map = Map([Rule("/<hex:x>/<grouped:y>", endpoint="x")], converters=CONVERTERS)
    found = Matcher(url_map).find("/ff/b", "GET")
    assert found is not None
    assert found[1] == {"x": "ff", "y": "b"}


def test_a_pattern_that_is_none_is_for_werkzeug_to_tell() -> None:
    class Broken(BaseConverter):
        regex = "("

    url_map = Map(
        [Rule("/a", endpoint="a"), Rule("/<broken:x>", endpoint="x")],
        converters={"broken": Broken},
    )
    assert Matcher(url_map).find("/a", "GET") is None


def test_the_order_is_that_in_which_rules_were_added() -> None:
    url_map = Map(
        [
            Rule("/other", endpoint="late", methods=["GET"]),
            Rule("/a", endpoint="early", methods=["GET"]),
            Rule("/a", endpoint="late", methods=["GET"]),
        ]
    )
    found = Matcher(url_map).find("/a", "GET")
    assert found is not None
    assert found[0].endpoint == "early"


class TestCost:
    """Bytecodes: the same on every machine."""

    @pytest.mark.parametrize(("rule", "path"), GROWING)
    @pytest.mark.time_limit(60)
    def test_is_the_same_for_10_and_for_1_000_rules(self, rule: str, path: str) -> None:
        few, many = (bytecodes(Matcher(many_rules(rule, n)), path) for n in (10, 1_000))
        assert many <= 1.2 * few

    def test_of_many_rules_is_one_call(self) -> None:
        matcher = Matcher(Map([Rule("/a/b/c", endpoint="a", methods=["GET"])]))
        calls = []

        def note(frame: FrameType, event: str, arg: object) -> None:
            if event == "call":
                calls.append(frame.f_code.co_name)

        sys.setprofile(note)
        matcher.find("/a/b/c", "GET")
        sys.setprofile(None)
        assert calls == ["find"]


class TestChanges:
    def test_a_rule_that_an_extension_adds_late_is_seen(self) -> None:
        app = Flask(__name__)
        app.add_url_rule("/<name>", "any", lambda name: name)
        app.add_url_rule("/int/<int:x>", "int", lambda x: str(x))
        client = app.test_client()
        assert [client.get(path).data for path in ("/late", "/int/1")] == [b"late", b"1"]
        app.view_functions["late"] = lambda: "own"
        app.url_map.add(Rule("/late", endpoint="late", methods=["GET"]))
        assert [client.get(path).data for path in ("/late", "/int/1")] == [b"own", b"1"]

    @pytest.mark.anyio
    async def test_under_asgi_too(self) -> None:
        app = Flask(__name__)
        app.add_url_rule("/<name>", "any", lambda name: name)
        async with app.async_client() as client:
            for _ in range(2):
                assert (await client.get("/late")).text == "late"
            app.view_functions["late"] = lambda: "own"
            app.url_map.add(Rule("/late", endpoint="late", methods=["GET"]))
            assert (await client.get("/late")).text == "own"

    def test_a_setting_that_is_changed_late_counts(self) -> None:
        app = Flask(__name__)
        app.add_url_rule("/", "first", str, defaults={"object": 1})
        app.add_url_rule("/<int:object>", "first", str)
        client = app.test_client()
        assert client.get("/1").status_code == 308
        app.url_map.redirect_defaults = False
        assert client.get("/1").data == b"1"

    def test_setup_after_the_first_request_is_refused(self) -> None:
        app = Flask(__name__)
        app.test_client().get("/")
        with pytest.raises(AssertionError, match="add_url_rule"):
            app.add_url_rule("/late", "late", lambda: "")

    def test_another_map_is_taken_as_it_is(self) -> None:
        class Own(Map):
            def bind(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
                kwargs["path_info"] = "/a"
                return super().bind(*args, **kwargs)

        app = Flask(__name__)
        app.url_map = Own()
        app.add_url_rule("/a", "a", lambda: "a")
        assert app.test_client().get("/b").data == b"a"

    def test_rules_are_added_while_others_are_found(self) -> None:
        app = Flask(__name__)
        app.add_url_rule("/<int:x>/a", "int", lambda x: "")
        over, wrong = threading.Event(), []

        def ask() -> None:
            while not over.is_set():
                found = app._find_rule("/5/a", "GET", app._matcher)
                if found is None or found[1] != {"x": 5}:
                    wrong.append(found)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(200):
            app.url_map.add(Rule(f"/<int:x>/{number}", endpoint="int"))
            found = app._find_rule(f"/5/{number}", "GET", app._matcher)
            assert found is not None
        over.set()
        for thread in threads:
            thread.join()
        assert wrong == []


@st.composite
def sites(draw: st.DrawFn) -> tuple[list[tuple[str, dict[str, t.Any]]], dict[str, t.Any], str]:
    """Draw rules for apps, what the apps are made with, and the URL that they are asked below."""
    hosts = draw(st.sampled_from(["", "", "subdomain_matching", "host_matching"]))
    rules = []
    for number in range(draw(st.integers(1, 6))):
        options: dict[str, t.Any] = {"endpoint": f"e{number}"}
        options["methods"] = draw(st.sampled_from([["GET"], ["POST"], ["GET", "PUT"]]))
        options["strict_slashes"] = draw(st.sampled_from([None, False]))
        if hosts == "host_matching":
            options["host"] = draw(st.sampled_from(["a.example", "<host>.example", "b.example"]))
        elif hosts or draw(st.sampled_from([False] * 5 + [True])):
            options["subdomain"] = draw(st.sampled_from([None, "www", "<sub>"]))
        rules.append((draw(strings()), options))
    base = draw(st.sampled_from(["http://a.example", "http://www.a.example", "http://c.example/x"]))
    return rules, {hosts: True} if hosts else {}, base


@pytest.mark.time_limit(120)
@pytest.mark.filterwarnings("ignore:Current server name")
@settings(max_examples=60, deadline=None)
@given(sites(), st.integers(0, 2**32))
def test_apps_answer_as_flask_does(site: t.Any, seed: int) -> None:
    """Redirects, 404 and 405 too, whoever of the two matchers gives them."""
    import random

    rules, kinds, base = site
    apps: list[t.Any] = [kind("app", static_folder=None, **kinds) for kind in (Flask, flask.Flask)]
    for app in apps:
        app.config["SERVER_NAME"] = "a.example"
        app.url_map.converters.update(CONVERTERS)
        for rule, options in rules:
            app.add_url_rule(rule, view_func=str, **options)
    chance = random.Random(seed)
    for path in sorted(set(paths(apps[0].url_map, chance, 3))):
        if "\ud800" in path or not path.startswith("/"):
            continue
        method = chance.choice(["GET", "POST", "HEAD", "DELETE"])
        mine, theirs = (outcome(app, path, base, method) for app in apps)
        assert mine == theirs, (rules, kinds, base, path, method)


def outcome(app: t.Any, path: str, base: str, method: str) -> object:
    """Return what an app's matching comes to."""
    environ = {"PATH_INFO": path.encode().decode("latin-1")}
    with app.test_request_context("/", base, method=method, environ_overrides=environ) as ctx:
        error = ctx.request.routing_exception
        if error is not None:
            where = error.new_url if isinstance(error, RequestRedirect) else ""
            return type(error), where, sorted(getattr(error, "valid_methods", None) or ())
        return ctx.request.url_rule.rule, repr(ctx.request.view_args)
