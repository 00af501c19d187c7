"""URL rules, and what is added or answered where URLs are built."""

from __future__ import annotations

import typing as t

import pytest
from werkzeug.routing import BuildError, Map, Rule

from asyncflask.sansio.app import App

Attributes = dict[str, t.Any]


def rule_for(app: App, endpoint: str) -> t.Any:
    (rule,) = app.url_map.iter_rules(endpoint)
    return rule


def view() -> str:
    return ""


def view_with(**attributes: t.Any) -> t.Any:
    def view() -> str:
        return ""

    vars(view).update(attributes)
    return view


AUTO = {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize(
    ("attributes", "options", "methods", "automatic"),
    [
        ({}, {}, AUTO, True),
        ({}, {"methods": []}, {"OPTIONS"}, True),
        ({}, {"methods": ["post"]}, {"POST", "OPTIONS"}, True),
        ({}, {"methods": ("GET", "OPTIONS")}, AUTO, False),
        ({}, {"provide_automatic_options": False}, {"GET", "HEAD"}, False),
        ({}, {"provide_automatic_options": True}, {"GET", "HEAD"}, True),
        ({"methods": ["PUT"]}, {}, {"PUT", "OPTIONS"}, True),
        ({"methods": None}, {}, AUTO, True),
        ({"methods": ["PUT"]}, {"methods": ["POST"]}, {"POST", "OPTIONS"}, True),
        ({"required_methods": ["DELETE"]}, {}, AUTO | {"DELETE"}, True),
        ({"provide_automatic_options": False}, {}, {"GET", "HEAD"}, False),
        ({"provide_automatic_options": None}, {}, AUTO, True),
        ({"provide_automatic_options": True}, {"methods": ["OPTIONS"]}, {"OPTIONS"}, True),
        (
            {"provide_automatic_options": False},
            {"provide_automatic_options": True},
            {"GET", "HEAD"},
            True,
        ),
    ],
)
def test_methods(
    app: App, attributes: Attributes, options: Attributes, methods: set[str], automatic: bool
) -> None:
    app.add_url_rule("/", view_func=view_with(**attributes), **options)
    rule = rule_for(app, "view")
    assert rule.methods == methods
    assert rule.provide_automatic_options is automatic


def test_automatic_options_can_be_switched_off(app: App) -> None:
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.add_url_rule("/", view_func=view)
    assert rule_for(app, "view").methods == {"GET", "HEAD"}
    assert rule_for(app, "view").provide_automatic_options is False


def test_required_methods_are_left_alone(app: App) -> None:
    function = view_with(required_methods=["PUT"])
    app.add_url_rule("/", view_func=function)
    assert function.required_methods == ["PUT"]


def test_methods_as_a_string(app: App) -> None:
    with pytest.raises(TypeError, match=r"list of strings.*`methods=\['POST'\]`"):
        app.add_url_rule("/", view_func=view, methods="POST")


def test_one_view_for_several_rules(app: App) -> None:
    app.add_url_rule("/a", view_func=view)
    app.add_url_rule("/b", view_func=view)
    assert len(list(app.url_map.iter_rules("view"))) == 2


def test_another_view_for_an_endpoint(app: App) -> None:
    app.add_url_rule("/a", view_func=view)
    with pytest.raises(AssertionError, match="'view' has a view function already"):
        app.add_url_rule("/b", view_func=view_with())
    assert app.view_functions["view"] is view


def test_rule_needs_a_name(app: App) -> None:
    with pytest.raises(AssertionError, match="nothing to name it by"):
        app.add_url_rule("/a")


def test_classes_of_rule_and_map(make_app: t.Any) -> None:
    class OwnRule(Rule):
        pass

    class OwnMap(Map):
        pass

    class OwnApp(make_app):  # type: ignore[misc]
        url_rule_class = OwnRule
        url_map_class = OwnMap

    app = OwnApp(host_matching=True)
    app.add_url_rule("/", "x", host="example.com")
    assert type(app.url_map) is OwnMap
    assert app.url_map.host_matching
    assert type(rule_for(app, "x")) is OwnRule


def test_options_reach_the_rule(app: App) -> None:
    app.add_url_rule("/<x>/", "x", defaults={"y": 1}, strict_slashes=False, subdomain="s")
    rule = rule_for(app, "x")
    assert (rule.defaults, rule.strict_slashes, rule.subdomain) == ({"y": 1}, False, "s")


def test_redirect(app: App) -> None:
    response = app.redirect("/there?a=1", code=307)
    assert type(response) is app.response_class
    assert (response.status_code, response.location) == (307, "/there?a=1")


def test_inject_url_defaults(app: App) -> None:
    def add(scope: str | None, value: str) -> None:
        def default(endpoint: str, values: dict[str, t.Any]) -> None:
            values.setdefault("seen", []).append(value)

        app.url_default_functions[scope].append(default)

    for scope, value in ((None, "app"), ("a", "a"), ("a.b", "a.b"), ("b", "b")):
        add(scope, value)
    add(None, "app again")

    def injected(endpoint: str) -> list[str]:
        values: dict[str, t.Any] = {}
        app.inject_url_defaults(endpoint, values)
        return t.cast("list[str]", values["seen"])

    assert injected("index") == ["app", "app again"]
    assert injected("a.index") == ["app", "app again", "a"]
    assert injected("a.b.index") == ["app", "app again", "a", "a.b"]
    assert injected(".index") == ["app", "app again"]
    assert set(app.url_default_functions) == {None, "a", "a.b", "b"}


def build_error() -> BuildError:
    return BuildError("x", {}, None)


def test_url_build_error_is_raised_again(app: App) -> None:
    error = build_error()
    with pytest.raises(BuildError) as caught:
        app.handle_url_build_error(error, "x", {})
    assert caught.value is error


def test_url_build_error_keeps_its_traceback(app: App) -> None:
    def build() -> None:
        raise build_error()

    def build_or_ask() -> None:
        try:
            build()
        except BuildError as error:
            app.handle_url_build_error(error, "x", {})

    with pytest.raises(BuildError) as caught:
        build_or_ask()
    assert [entry.name for entry in caught.traceback][-1] == "build"


def test_url_build_error_handlers(app: App) -> None:
    seen: list[t.Any] = []
    newer = build_error()

    def knows_nothing(error: Exception, endpoint: str, values: dict[str, t.Any]) -> None:
        seen.append((error, endpoint, values))

    def raises(error: Exception, endpoint: str, values: dict[str, t.Any]) -> str:
        seen.append(error)
        raise newer

    def knows(error: Exception, endpoint: str, values: dict[str, t.Any]) -> str:
        seen.append(error)
        return "/known"

    error = build_error()
    app.url_build_error_handlers.extend([knows_nothing, raises])
    with pytest.raises(BuildError) as caught:
        app.handle_url_build_error(error, "x", {"a": 1})
    assert caught.value is newer
    assert seen == [(error, "x", {"a": 1}), error]

    app.url_build_error_handlers.append(knows)
    assert app.handle_url_build_error(error, "x", {}) == "/known"
    assert seen[-1] is newer
