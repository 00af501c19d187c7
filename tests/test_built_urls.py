"""URLs remembered, against their oracles: werkzeug, and Flask with the same rules."""

from __future__ import annotations

import typing as t
from functools import partial
from types import MethodType

import flask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from werkzeug.routing import BaseConverter, BuildError, IntegerConverter, MapAdapter
from werkzeug.routing import Map as WerkzeugMap

from asyncflask import Blueprint, Flask, render_template_string
from asyncflask.built_urls import KINDS, LONGEST, MOST, BuiltUrls, Linking
from asyncflask.routing import Map, Rule


class Shouting(BaseConverter):
    """A converter with code of its own, which looks at more than the value."""

    mark = "!"

    def to_url(self, value: t.Any) -> str:
        return super().to_url(str(value).upper()) + self.mark


class Positive(IntegerConverter):
    """A converter that only has arguments of its own."""

    def __init__(self, url_map: WerkzeugMap) -> None:
        super().__init__(url_map, min=1)


RULES: dict[str, dict[str, t.Any]] = {
    "/": {},
    "/<a>": {},
    "/x/<int:a>": {},
    "/x/<int(fixed_digits=4):a>/": {},
    "/f/<float:a>": {},
    "/p/<path:a>/end": {},
    "/u/<uuid:a>": {},
    "/any/<any(b, c):a>": {},
    "/s/<shouting:a>": {},
    "/i/<positive:a>": {},
    "/ü &?/<a>-<b>": {},
    "/d/": {"defaults": {"a": 1}},
    "/d/<int:a>": {},
    "/post": {"methods": ["POST"]},
    "/post/<a>": {"methods": ["PUT", "POST"]},
    "/w/<a>": {"websocket": True},
    "/b/<a>": {"build_only": True},
}
VALUES = st.one_of(
    st.sampled_from(
        [None, True, False, 0, 1, "1", 1.0, -3, 2**70, "", "b", "a/b", "é ?#&=%+", "\ud800"]
    ),
    st.sampled_from([Markup("<b>"), ["x", "y"], [], ("x",), {"k": "v"}, b"bytes"]),
    st.text(max_size=6),
    st.integers(),
)
CALLS = st.lists(
    st.tuples(
        st.sampled_from(["e0", "e1", "e2", ".e0", "unknown"]),
        st.dictionaries(st.sampled_from(["a", "b", "q"]), VALUES, max_size=3),
        st.fixed_dictionaries(
            {},
            optional={
                "_anchor": st.sampled_from([None, "top", "a b#ü%20"]),
                "_method": st.sampled_from([None, "GET", "POST"]),
                "_scheme": st.sampled_from([None, "https", "http", "", "ws"]),
                "_external": st.sampled_from([None, True, False]),
            },
        ),
    ),
    min_size=1,
    max_size=8,
)
BASES = st.sampled_from(
    ["http://a.example/", "https://b.example:8000/below/", "http://a.example/x/y"]
)


def outcome(build: t.Callable[..., str], *args: t.Any, **kwargs: t.Any) -> object:
    """Return the URL, or the exception as far as it can be compared."""
    try:
        return build(*args, **kwargs)
    except Exception as error:
        return type(error).__name__


def with_rules(app: t.Any, rules: list[str]) -> t.Any:
    app.url_map.converters.update(shouting=Shouting, positive=Positive)
    for number, rule in enumerate(rules):
        app.add_url_rule(rule, f"e{number % 3}", **RULES[rule])
    return app


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from([*RULES]), min_size=1, max_size=5),
    CALLS,
    BASES,
    st.sampled_from(["GET", "POST", "PUT"]),
)
def test_url_for_answers_as_flask_does(
    rules: list[str],
    calls: list[tuple[str, dict[str, t.Any], dict[str, t.Any]]],
    base: str,
    method: str,
) -> None:
    ours = with_rules(Flask("ours", static_folder=None), rules)
    theirs = with_rules(flask.Flask("theirs", static_folder=None), rules)
    with (
        ours.test_request_context("/", base_url=base, method=method),
        theirs.test_request_context("/", base_url=base, method=method),
    ):
        for endpoint, values, choices in calls * 2:  # the second time some of them are remembered
            expected = outcome(theirs.url_for, endpoint, **values, **choices)
            assert outcome(ours.url_for, endpoint, **values, **choices) == expected


def linking(url_map: WerkzeugMap, method: str = "GET", prefix: str = "/") -> Linking:
    return Linking(url_map.bind("a.example", script_name=prefix, default_method=method))


@pytest.fixture
def built() -> BuiltUrls:
    return BuiltUrls()


def remembered(built: BuiltUrls) -> int:
    return sum(map(len, built._known[2].values()))


def test_a_url_is_built_once(built: BuiltUrls, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    build = MapAdapter.build

    def counted(self: MapAdapter, *args: t.Any) -> str:
        asked.append(args)
        return build(self, *args)

    monkeypatch.setattr(MapAdapter, "build", counted)
    url_map = Map([Rule("/<int:a>", endpoint="e")])
    for prefix, expected in (("/", "/1?q=x+y"), ("/below", "/below/1?q=x+y")) * 2:
        here = linking(url_map, prefix=prefix)
        assert built.build(here, "e", {"a": 1, "q": "x y"}) == expected
    assert len(asked) == 2  # once for each prefix


@pytest.mark.parametrize("value", [1, "1", True, 1.0])
def test_equal_values_that_are_written_differently_are_told_apart(
    built: BuiltUrls, value: object
) -> None:
    url_map = Map([Rule("/<a>", endpoint="e")])
    for first in (1, "1", True, 1.0):
        built.build(linking(url_map), "e", {"a": first})
    assert built.build(linking(url_map), "e", {"a": value}) == f"/{value}"


def test_the_order_of_values_is_the_order_of_the_query(built: BuiltUrls) -> None:
    url_map = Map([Rule("/", endpoint="e")])
    assert built.build(linking(url_map), "e", {"a": 1, "b": 2}) == "/?a=1&b=2"
    assert built.build(linking(url_map), "e", {"b": 2, "a": 1}) == "/?b=2&a=1"
    assert built.build(linking(url_map), "e", {"a": "b", "b": "a"}) == "/?a=b&b=a"


def test_the_method_chooses_among_an_endpoints_rules(built: BuiltUrls) -> None:
    rules = [
        Rule("/read", endpoint="e", methods=["GET"]),
        Rule("/write", endpoint="e", methods=["POST"]),
    ]
    url_map = Map(rules)
    for _ in range(2):
        assert built.build(linking(url_map), "e", {}) == "/read"
        assert built.build(linking(url_map, "POST"), "e", {}) == "/write"


def test_a_new_rule_counts_at_once(built: BuiltUrls) -> None:
    url_map = Map([Rule("/<a>", endpoint="e")])
    assert built.build(linking(url_map), "e", {"a": 1, "b": 2}) == "/1?b=2"
    url_map.add(Rule("/<a>/<b>", endpoint="e"))
    assert built.build(linking(url_map), "e", {"a": 1, "b": 2}) == "/1/2"


def test_another_map_counts_at_once(built: BuiltUrls) -> None:
    assert built.build(linking(Map([Rule("/old", endpoint="e")])), "e", {}) == "/old"
    assert built.build(linking(Map([Rule("/new", endpoint="e")])), "e", {}) == "/new"


def test_parameters_are_sorted_from_when_the_map_says_so(built: BuiltUrls) -> None:
    url_map = Map([Rule("/", endpoint="e")])
    assert built.build(linking(url_map), "e", {"b": 1, "a": 2}) == "/?b=1&a=2"
    url_map.sort_parameters = True
    assert built.build(linking(url_map), "e", {"b": 1, "a": 2}) == "/?a=2&b=1"
    assert remembered(built) == 0


def test_a_converter_with_code_of_its_own_is_always_asked(
    built: BuiltUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    url_map = Map([Rule("/<shouting:a>", endpoint="e")], converters={"shouting": Shouting})
    assert built.build(linking(url_map), "e", {"a": "x"}) == "/X!"
    monkeypatch.setattr(Shouting, "mark", "?")
    assert built.build(linking(url_map), "e", {"a": "x"}) == "/X?"


def test_a_rule_class_with_code_of_its_own_is_always_asked(built: BuiltUrls) -> None:
    class Own(Rule):
        answers = iter(["/one", "/two"])

        def build(self, *args: t.Any, **kwargs: t.Any) -> tuple[str, str]:
            return "", next(self.answers)

    url_map = Map([Own("/", endpoint="e")])
    assert built.build(linking(url_map), "e", {}) == "/one"
    assert built.build(linking(url_map), "e", {}) == "/two"


def test_a_map_that_does_not_count_its_changes_is_always_asked(built: BuiltUrls) -> None:
    url_map = WerkzeugMap([Rule("/<a>", endpoint="e")])
    assert built.build(linking(url_map), "e", {"a": 1, "b": 2}) == "/1?b=2"
    url_map.add(Rule("/<a>/<b>", endpoint="e"))
    assert built.build(linking(url_map), "e", {"a": 1, "b": 2}) == "/1/2"


def test_urls_of_other_hosts_are_not_kept(built: BuiltUrls) -> None:
    url_map = Map([Rule("/", endpoint="e", subdomain="www")])
    assert built.build(linking(url_map), "e", {}) == "http://www.a.example/"
    assert built.build(Linking(url_map.bind("b.example")), "e", {}) == "http://www.b.example/"
    hosts = Map([Rule("/", endpoint="e", host="<host>")], host_matching=True)
    assert built.build(Linking(hosts.bind("a.example")), "e", {"host": "a.example"}) == "/"
    assert (
        built.build(Linking(hosts.bind("b.example")), "e", {"host": "a.example"})
        == "http://a.example/"
    )


def test_what_visitors_choose_fills_no_memory(built: BuiltUrls) -> None:
    url_map = Map([Rule("/<a>", endpoint="e"), Rule("/int/<int:a>", endpoint="int")])
    for number in range(MOST + 10):
        assert built.build(linking(url_map), "e", {"a": number}) == f"/{number}"
    assert 0 < remembered(built) <= MOST
    before = remembered(built)
    built.build(linking(url_map), "e", {"a": "x" * LONGEST})
    built.build(linking(url_map), "e", {"a": 10**LONGEST})
    built.build(linking(url_map), "e", {"a": 1, "x" * LONGEST: None})
    built.build(linking(url_map, "X" * LONGEST), "e", {"a": "y"})
    assert built.build(linking(url_map), "int", {"a": " " * LONGEST + "1"}) == "/int/1"
    assert remembered(built) == before


def test_url_defaults_and_the_blueprint_count_for_each_url() -> None:
    app = Flask(__name__)
    bp = Blueprint("bp", __name__, url_prefix="/<lang>")
    languages = iter(["de", "fr"])

    @bp.url_defaults
    def add_language(endpoint: str, values: dict[str, t.Any]) -> None:
        if "lang" not in values:
            values["lang"] = next(languages)

    bp.add_url_rule("/", "index", lambda lang: lang)
    app.register_blueprint(bp)
    with app.test_request_context("/en/"):
        assert app.url_for(".index", lang="en") == "/en/"
        assert [app.url_for(".index"), app.url_for(".index")] == ["/de/", "/fr/"]


def test_build_error_handlers_are_asked_each_time() -> None:
    app = Flask(__name__)
    answers = iter(["/one", "/two"])
    app.url_build_error_handlers.append(lambda error, endpoint, values: next(answers))
    with app.test_request_context():
        assert [app.url_for("nowhere"), app.url_for("nowhere")] == ["/one", "/two"]


def test_any_number_of_methods_fills_no_memory(built: BuiltUrls) -> None:
    url_map = Map([Rule("/<a>", endpoint="e", build_only=True)])
    for number in range(KINDS + 10):
        assert built.build(linking(url_map, f"WORD{number}"), "e", {"a": number}) == f"/{number}"
    assert 0 < len(built._known[2]) <= KINDS
    before = len(built._known[2])
    for number in range(3):
        long = linking(url_map, "X" * LONGEST + str(number))
        assert built.build(long, "e", {"a": 1}) == "/1"
        assert not long.urls
    assert len(built._known[2]) == before


def test_a_request_that_builds_too_many_urls_keeps_few(built: BuiltUrls) -> None:
    url_map = Map([Rule("/<a>", endpoint="e")])
    here, other = linking(url_map), linking(url_map, prefix="/x")
    built.build(other, "e", {"a": 1})
    for number in range(3 * MOST):
        assert built.build(here, "e", {"a": number}) == f"/{number}"
        assert len(here.urls) + len(other.urls) <= MOST
    assert built.build(other, "e", {"a": 1}) == "/x/1"


LINKS = "{{ url_for('e') }} {{ url_for('.e', a=1) }} {{ url_for('e', a=a) }}"


@pytest.fixture
def linked() -> Flask:
    """An app whose page has links, and which has shown it before."""
    app = Flask(__name__)
    app.add_url_rule("/e", "e", lambda: render_template_string(LINKS, a="x y"))
    assert page(app) == page(app) == "/e /e?a=1 /e?a=x+y"
    return app


def page(app: Flask) -> str:
    return app.test_client().get("/e").text


def test_links_of_a_page_follow_what_is_registered_later(linked: Flask) -> None:
    linked._got_first_request = False
    linked.url_defaults(lambda endpoint, values: values.update(lang="de"))
    assert page(linked) == "/e?lang=de /e?a=1&lang=de /e?a=x+y&lang=de".replace("&", "&amp;")


@pytest.mark.parametrize("owner", ["class", "instance"])
@pytest.mark.parametrize("name", ["url_for", "inject_url_defaults"])
def test_links_of_a_page_are_asked_of_who_overrides_a_method(
    linked: Flask, monkeypatch: pytest.MonkeyPatch, name: str, owner: str
) -> None:
    asked = []
    own: t.Any = getattr(Flask, name)

    def overriding(app: Flask, endpoint: str, *args: t.Any, **values: t.Any) -> t.Any:
        asked.append(endpoint)
        return own(app, endpoint, *args, **values)

    if owner == "class":
        monkeypatch.setattr(Flask, name, overriding)
    else:
        monkeypatch.setattr(linked, name, partial(overriding, linked))
    assert page(linked) == "/e /e?a=1 /e?a=x+y"
    bound_before = name == "url_for"  # a template's `url_for` is what it was when Jinja was set up
    assert len(asked) == (0 if bound_before else 3)


def test_a_subclass_of_its_own_url_for_is_asked_by_templates() -> None:
    class Own(Flask):
        def url_for(self, /, endpoint: str, **values: t.Any) -> str:
            return f"{super().url_for(endpoint, **values)}#{len(values)}"

    app = Own(__name__)
    app.add_url_rule("/e", "e", lambda: render_template_string(LINKS, a=2))
    assert page(app) == page(app) == "/e#0 /e?a=1#1 /e?a=2#1"


def test_links_follow_the_rule_and_the_adapter_of_their_request() -> None:
    app = Flask(__name__)
    for name in ("one", "two"):
        bp = Blueprint(name, __name__, url_prefix=f"/{name}")
        bp.add_url_rule("/", "index", lambda: "")
        app.register_blueprint(bp)
    with app.test_request_context("/one/") as ctx:
        assert [app.url_for(".index"), app.url_for(".index")] == ["/one/"] * 2
        ctx.request.url_rule = next(app.url_map.iter_rules("two.index"))
        assert app.url_for(".index") == "/two/"
        ctx.url_adapter = app.url_map.bind("a.example", script_name="/below")
        assert app.url_for(".index") == "/below/two/"
        with app.test_request_context("/one/"):
            assert app.url_for(".index") == "/one/"
        assert app.url_for("one.index", _external=False) == "/below/one/"
    with app.test_request_context("/nowhere"), pytest.raises(BuildError):
        app.url_for(".index")


def test_another_method_of_the_apps_by_that_name_is_called(linked: Flask) -> None:
    def url_for(app: Flask, endpoint: str, **values: t.Any) -> str:
        return f"{app.name}:{endpoint}"

    linked.jinja_env.globals["url_for"] = MethodType(url_for, linked)
    name = linked.name
    assert page(linked) == f"{name}:e {name}:.e {name}:e"
