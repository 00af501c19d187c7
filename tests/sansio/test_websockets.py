"""Websockets on apps and blueprints: what is registered where."""

from __future__ import annotations

import typing as t

import pytest

from asyncflask import Blueprint, Flask


async def handler() -> None: ...


def test_a_route(app: Flask) -> None:
    assert app.websocket("/ws/<int:id>", endpoint="ws")(handler) is handler
    (rule,) = app.url_map.iter_rules("ws")
    assert rule.websocket
    assert rule.methods == {"GET", "HEAD"}  # werkzeug adds the latter
    found: t.Any = app.view_functions["ws"]
    assert found is handler


def test_the_call(app: Flask) -> None:
    app.add_websocket("/ws", view_func=handler, defaults={"a": 1})
    (rule,) = app.url_map.iter_rules("handler")
    assert (rule.rule, rule.defaults) == ("/ws", {"a": 1})


def test_a_view_may_have_the_same_rule(app: Flask) -> None:
    app.add_url_rule("/", "page", lambda: "page")
    app.websocket("/")(handler)
    adapter = app.url_map.bind("localhost")
    assert adapter.match("/") == ("page", {})
    assert adapter.match("/", websocket=True) == ("handler", {})
    assert adapter.build("handler") == "ws://localhost/"


def test_one_endpoint_has_one_handler(app: Flask) -> None:
    app.websocket("/a", endpoint="same")(handler)
    with pytest.raises(AssertionError, match="'same' has a view function already"):
        app.websocket("/b", endpoint="same")(lambda: None)


HOOKS = ["before_websocket", "after_websocket", "teardown_websocket"]


@pytest.mark.parametrize("name", HOOKS)
def test_hooks(app: Flask, name: str) -> None:
    hook: t.Any = lambda *args: None  # noqa: E731
    assert getattr(app, name)(hook) is hook
    assert getattr(app, f"{name}_funcs") == {None: [hook]}


@pytest.mark.parametrize("name", HOOKS)
def test_hooks_of_a_blueprint(app: Flask, name: str) -> None:
    own: t.Any = lambda *args: None  # noqa: E731
    everywhere: t.Any = lambda *args: None  # noqa: E731
    blueprint = Blueprint("part", "plain")
    getattr(blueprint, name)(own)
    first, _, last = name.partition("_")
    assert getattr(blueprint, f"{first}_app_{last}")(everywhere) is everywhere
    app.register_blueprint(blueprint)
    assert getattr(app, f"{name}_funcs") == {"part": [own], None: [everywhere]}


def test_a_blueprint_s_route(app: Flask) -> None:
    blueprint = Blueprint("part", "plain", url_prefix="/part")
    blueprint.websocket("/ws")(handler)
    app.register_blueprint(blueprint)
    (rule,) = app.url_map.iter_rules("part.handler")
    assert rule.rule == "/part/ws"
    assert rule.websocket


@pytest.mark.parametrize("name", [*HOOKS, "websocket", "add_websocket"])
def test_setup_is_over_after_the_first_request(app: Flask, name: str) -> None:
    app._got_first_request = True
    with pytest.raises(AssertionError, match=f"'{name}' was called"):
        getattr(app, name)("/")
