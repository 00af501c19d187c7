"""Where the rules of one registration end up, against Flask's own computation."""

from __future__ import annotations

import typing as t

import flask
from hypothesis import given
from hypothesis import strategies as st

from .conftest import PlainApp, PlainBlueprint

paths = st.sampled_from([None, "", "/", "/a", "/a/", "b", "//c//"])
hosts = st.sampled_from([None, "", "s", "s.t"])
defaults = st.dictionaries(st.sampled_from("xyz"), st.integers(0, 3))
options = st.fixed_dictionaries(
    {},
    optional={
        "url_prefix": paths,
        "subdomain": hosts,
        "url_defaults": defaults,
        "name": st.just("called"),
    },
)
rules = st.fixed_dictionaries({}, optional={"subdomain": hosts, "defaults": defaults})


def placed(app: t.Any, blueprint: t.Any, drawn: t.Any) -> list[tuple[t.Any, ...]]:
    outer, inner, outer_options, inner_options, rule_options = drawn
    one = blueprint("one", "plain", url_prefix=outer[0], subdomain=outer[1])
    two = blueprint("two", "plain", url_prefix=inner[0], subdomain=inner[1])
    for bp, rule in ((one, "/x"), (two, "/y"), (two, "/<z>/")):
        bp.add_url_rule(rule, f"at{len(rule)}", **rule_options)
    one.register_blueprint(two, **inner_options)
    app.register_blueprint(one, **outer_options)
    found = (rule for rule in app.url_map.iter_rules() if rule.endpoint != "static")
    return [(rule.endpoint, rule.rule, rule.subdomain, rule.defaults) for rule in found]


@given(st.tuples(st.tuples(paths, hosts), st.tuples(paths, hosts), options, options, rules))
def test_same_rules_as_flask(drawn: t.Any) -> None:
    def outcome(app: t.Any, blueprint: t.Any) -> t.Any:
        try:
            return placed(app, blueprint, drawn)
        except ValueError:
            return ValueError  # a rule without a leading slash

    ours = outcome(PlainApp(), PlainBlueprint)
    assert ours == outcome(flask.Flask("plain"), flask.Blueprint)
