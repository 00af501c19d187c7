"""Blueprints on an app without I/O: what registration adds to it."""

from __future__ import annotations

import itertools
import typing as t

import click
import pytest
from werkzeug.exceptions import NotFound

from asyncflask.sansio.app import App
from asyncflask.sansio.blueprints import Blueprint, BlueprintSetupState

from .conftest import PlainBlueprint


def hook(*args: t.Any) -> t.Any:
    return None


def view(**values: t.Any) -> str:
    return ""


def rules(app: App) -> dict[str, str]:
    return {rule.endpoint: rule.rule for rule in app.url_map.iter_rules()}


@pytest.mark.parametrize("name", ["", "a.b"])
def test_bad_name(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Blueprint(name, "plain")


def test_attributes() -> None:
    bp = Blueprint("bp", "plain", url_prefix="/p", subdomain="s", url_defaults={"a": 1})
    assert (bp.name, bp.url_prefix, bp.subdomain) == ("bp", "/p", "s")
    assert bp.url_values_defaults == {"a": 1}
    assert bp.deferred_functions == []
    assert bp.static_folder is None
    assert bp.template_folder is None
    assert bp.jinja_loader is None
    assert Blueprint("bp", "plain").url_values_defaults == {}
    assert repr(bp) == "<Blueprint 'bp'>"


def test_positional_arguments() -> None:
    bp = Blueprint("n", "plain", "st", "/u", "te", "/p", "s", {"a": 1}, "/root", "group")
    assert bp.static_folder == "/root/st"
    assert (bp.static_url_path, bp.template_folder) == ("/u", "te")
    assert (bp.url_prefix, bp.subdomain, bp.url_values_defaults) == ("/p", "s", {"a": 1})
    assert (bp.root_path, bp.cli_group) == ("/root", "group")


@pytest.mark.parametrize(
    ("prefix", "rule", "expected"),
    [
        (None, "/x", "/x"),
        ("", "/", "/"),
        ("/", "", "/"),
        ("/foo", "", "/foo"),
        ("/foo/", "", "/foo/"),
        ("/foo//", "//bar", "/foo/bar"),
        ("/foo", "bar/", "/foo/bar/"),
    ],
)
def test_prefix(app: App, prefix: str | None, rule: str, expected: str) -> None:
    bp = PlainBlueprint(url_prefix=prefix)
    bp.add_url_rule(rule, view_func=view)
    app.register_blueprint(bp)
    assert rules(app) == {"bp.view": expected}


def test_options_of_the_registration_win(app: App) -> None:
    bp = PlainBlueprint(url_prefix="/own", subdomain="own", url_defaults={"a": 1, "b": 1})
    bp.add_url_rule("/x", view_func=view, defaults={"c": 3})
    bp.add_url_rule("/y", "y", subdomain="its")
    bp.add_url_rule("/z", "z", defaults=None)
    app.register_blueprint(
        bp, url_prefix="/given", subdomain="given", url_defaults={"b": 2}, name="called"
    )
    found = {rule.endpoint: rule for rule in app.url_map.iter_rules()}
    assert found["called.view"].rule == "/given/x"
    assert found["called.view"].subdomain == "given"
    assert found["called.view"].defaults == {"a": 1, "b": 2, "c": 3}
    assert found["called.y"].subdomain == "its"
    assert found["called.z"].defaults == {"a": 1, "b": 2}
    assert list(app.blueprints) == ["called"]


def test_several_registrations(app: App) -> None:
    bp = PlainBlueprint()
    calls: list[t.Any] = []
    bp.add_url_rule("/x", view_func=view, defaults={"a": 1})
    bp.record(lambda state: calls.append(state.name))
    bp.record_once(lambda state: calls.append("once"))
    bp.before_app_request(hook)
    bp.before_request(hook)
    app.register_blueprint(bp)
    app.register_blueprint(bp, name="again", url_prefix="/again")
    assert rules(app) == {"bp.view": "/x", "again.view": "/again/x"}
    assert calls == ["bp", "once", "again"]
    assert app.before_request_funcs == {None: [hook], "bp": [hook], "again": [hook]}


def test_name_is_taken(app: App) -> None:
    bp = PlainBlueprint()
    app.register_blueprint(bp)
    with pytest.raises(ValueError, match="this blueprint registered as 'bp' already"):
        app.register_blueprint(bp)
    with pytest.raises(ValueError, match="another blueprint registered as 'bp' already"):
        app.register_blueprint(PlainBlueprint())
    app.register_blueprint(PlainBlueprint(), name="other")
    with pytest.raises(ValueError, match="'other' already"):
        app.register_blueprint(bp, name="other")


def test_setup_after_registration(app: App, bp: PlainBlueprint) -> None:
    app.register_blueprint(bp)
    for name in ("record", "route", "before_app_request", "register_blueprint", "post"):
        with pytest.raises(AssertionError, match=f"setup method '{name}'.*blueprint 'bp'"):
            getattr(bp, name)("/")


def test_dots(bp: PlainBlueprint) -> None:
    with pytest.raises(ValueError, match=r"'a\.b' has a dot"):
        bp.add_url_rule("/", endpoint="a.b")

    def dotted() -> str:
        return ""

    dotted.__name__ = "a.b"
    with pytest.raises(ValueError, match="cannot be the endpoint"):
        bp.add_url_rule("/", view_func=dotted)


def test_callable_without_a_name(app: App, bp: PlainBlueprint) -> None:
    class Callable:
        def __call__(self) -> str:
            return ""

    bp.add_url_rule("/", "x", Callable())
    app.register_blueprint(bp)
    assert "bp.x" in app.view_functions


def test_automatic_options_are_passed_on(app: App, bp: PlainBlueprint) -> None:
    bp.add_url_rule("/a", "a", provide_automatic_options=False)
    bp.add_url_rule("/b", "b")
    app.register_blueprint(bp)
    methods = {rule.endpoint: rule.methods for rule in app.url_map.iter_rules()}
    assert methods == {"bp.a": {"GET", "HEAD"}, "bp.b": {"GET", "HEAD", "OPTIONS"}}


HOOKS = [
    ("before_request", "before_request_funcs"),
    ("after_request", "after_request_funcs"),
    ("teardown_request", "teardown_request_funcs"),
    ("context_processor", "template_context_processors"),
    ("url_value_preprocessor", "url_value_preprocessors"),
    ("url_defaults", "url_default_functions"),
]
APP_HOOKS = {
    "before_request": "before_app_request",
    "after_request": "after_app_request",
    "teardown_request": "teardown_app_request",
}


@pytest.mark.parametrize(("decorator", "registry"), HOOKS)
@pytest.mark.parametrize("plain_dict", [False, True])
def test_hooks(
    app: App, bp: PlainBlueprint, decorator: str, registry: str, plain_dict: bool
) -> None:
    def known(*args: t.Any) -> None:
        pass

    if plain_dict:
        setattr(app, registry, {})
    own = [*getattr(app, registry).get(None, ())]
    of_blueprint = [*getattr(bp, registry).get(None, ())]
    for_app = APP_HOOKS.get(decorator, f"app_{decorator}")
    getattr(app, decorator)(known)
    assert getattr(bp, decorator)(hook) is hook
    assert getattr(bp, for_app)(hook) is hook
    assert getattr(app, registry) == {None: [*own, known]}
    app.register_blueprint(bp, name="called")
    assert getattr(app, registry) == {
        None: [*own, known, hook],
        "called": [*of_blueprint, hook],
    }
    assert getattr(bp, registry) == {None: [*of_blueprint, hook]}


def test_error_handlers(app: App, bp: PlainBlueprint) -> None:
    assert bp.errorhandler(404)(hook) is hook
    assert bp.app_errorhandler(KeyError)(hook) is hook
    app.register_blueprint(bp)
    assert app.error_handler_spec == {
        "bp": {404: {NotFound: hook}},
        None: {None: {KeyError: hook}},
    }
    app.error_handler_spec["bp"][404].clear()
    assert bp.error_handler_spec[None][404] == {NotFound: hook}
    assert app.error_handler_spec["bp"][500] == {}


def test_endpoint_is_not_prefixed(app: App, bp: PlainBlueprint) -> None:
    bp.endpoint("index")(view)
    app.register_blueprint(bp)
    assert app.view_functions == {"index": view}


@pytest.mark.parametrize("kind", ["filter", "test", "global"])
def test_template_functions(app: App, bp: PlainBlueprint, kind: str) -> None:
    assert getattr(bp, f"app_template_{kind}")()(hook) is hook
    assert getattr(bp, f"app_template_{kind}")("named")(hook) is hook
    getattr(bp, f"add_app_template_{kind}")(hook, name="called")
    app.register_blueprint(bp)
    known = getattr(app.jinja_env, f"{kind}s")
    assert known["hook"] is known["named"] is known["called"] is hook


def test_static_route_comes_first(app: App) -> None:
    bp = PlainBlueprint(static_folder="files", url_prefix="/p", root_path="/srv")
    bp.add_url_rule("/x", view_func=view)
    app.register_blueprint(bp)
    assert [*rules(app).items()] == [
        ("bp.static", "/p/files/<path:filename>"),
        ("bp.view", "/p/x"),
    ]
    assert app.view_functions["bp.static"] == bp.send_static_file


def test_setup_state_class(app: App) -> None:
    class State(BlueprintSetupState):
        extra = "x"

    class Own(PlainBlueprint):
        def make_setup_state(
            self, app: App, options: dict[str, t.Any], first_registration: bool = False
        ) -> State:
            return State(self, app, options, first_registration)

    bp = Own()
    seen: list[BlueprintSetupState] = []
    bp.record(seen.append)
    app.register_blueprint(bp, color="blue")
    (state,) = seen
    assert isinstance(state, State)
    assert state.app is app
    assert state.blueprint is bp
    assert state.options == {"color": "blue"}
    assert state.first_registration is True
    assert (state.name, state.name_prefix) == ("bp", "")


def test_record_once_keeps_the_name(bp: PlainBlueprint) -> None:
    def setup(state: BlueprintSetupState) -> None:
        """Set it up."""

    bp.record_once(setup)
    assert bp.deferred_functions[0].__name__ == "setup"


# Nested blueprints


def nest(*blueprints: PlainBlueprint) -> None:
    for outer, inner in itertools.pairwise(blueprints):
        outer.register_blueprint(inner)


def test_nesting(app: App) -> None:
    a, b, c = (PlainBlueprint(name, url_prefix=f"/{name}/") for name in "abc")
    for bp in (a, b, c):
        bp.add_url_rule("/x", view_func=view)
        bp.before_request(hook)
        bp.register_error_handler(404, hook)
    nest(a, b, c)
    app.register_blueprint(a)
    assert rules(app) == {"a.view": "/a/x", "a.b.view": "/a/b/x", "a.b.c.view": "/a/b/c/x"}
    assert list(app.blueprints) == ["a", "a.b", "a.b.c"]
    assert set(app.before_request_funcs) == {"a", "a.b", "a.b.c"}
    assert set(app.error_handler_spec) == {"a", "a.b", "a.b.c"}


def test_nesting_in_itself(bp: PlainBlueprint) -> None:
    with pytest.raises(ValueError, match="'bp' cannot be nested in itself"):
        bp.register_blueprint(bp)


@pytest.mark.parametrize("outer", [None, "", "/o", "/o/"])
@pytest.mark.parametrize("inner", [None, "", "/i", "/i/"])
@pytest.mark.parametrize("given", [None, "/g"])
def test_nested_prefix(app: App, outer: str | None, inner: str | None, given: str | None) -> None:
    a, b = PlainBlueprint("a", url_prefix=outer), PlainBlueprint("b", url_prefix=inner)
    b.add_url_rule("/x", view_func=view)
    a.register_blueprint(b, url_prefix=given)
    app.register_blueprint(a)
    parts = [outer, inner if given is None else given, "x"]
    path = "/".join(part.strip("/") for part in parts if part and part.strip("/"))
    assert rules(app) == {"a.b.view": f"/{path}"}


@pytest.mark.parametrize(
    ("outer", "inner", "given", "expected"),
    [
        (None, None, None, None),
        ("o", None, None, "o"),
        (None, "i", None, "i"),
        ("o", "i", None, "i.o"),
        ("o", "i", "g", "g.o"),
        (None, "i", "g", "g"),
    ],
)
def test_nested_subdomain(
    app: App, outer: str | None, inner: str | None, given: str | None, expected: str | None
) -> None:
    a, b = PlainBlueprint("a", subdomain=outer), PlainBlueprint("b", subdomain=inner)
    b.add_url_rule("/x", view_func=view)
    a.register_blueprint(b, subdomain=given)
    app.register_blueprint(a)
    (rule,) = app.url_map.iter_rules()
    assert rule.subdomain == (expected or app.url_map.default_subdomain)


def test_nested_options_are_left_alone(app: App) -> None:
    a, b = PlainBlueprint("a", url_prefix="/a"), PlainBlueprint("b")
    a.register_blueprint(b, url_prefix="/b", name="c", mark=1)
    seen: list[t.Any] = []
    b.record(lambda state: seen.append((state.name_prefix, state.name, state.options["mark"])))
    app.register_blueprint(a)
    app.register_blueprint(a, name="a2")
    assert seen == [("a", "c", 1), ("a2", "c", 1)]
    assert a._blueprints == [(b, {"url_prefix": "/b", "name": "c", "mark": 1})]


# Commands


def command() -> click.Command:
    return click.Command("hi")


def names(group: click.Group) -> dict[str, t.Any]:
    return {
        name: names(found) if isinstance(found, click.Group) else "command"
        for name, found in group.commands.items()
    }


def test_commands(app: App) -> None:
    named, merged, renamed, empty = (
        PlainBlueprint("named"),
        PlainBlueprint("merged", cli_group=None),
        PlainBlueprint("renamed", cli_group="other"),
        PlainBlueprint("empty"),
    )
    for bp in (named, merged, renamed):
        bp.cli.add_command(command())
        app.register_blueprint(bp)
    app.register_blueprint(empty)
    expected = {"named": {"hi": "command"}, "hi": "command", "other": {"hi": "command"}}
    assert names(app.cli) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"name": "called"}, {"called": {"hi": "command"}}),
        ({"cli_group": "given"}, {"given": {"hi": "command"}}),
        ({"cli_group": None}, {"hi": "command"}),
    ],
)
def test_commands_by_registration(
    app: App, bp: PlainBlueprint, options: dict[str, t.Any], expected: dict[str, t.Any]
) -> None:
    bp.cli.add_command(command())
    app.register_blueprint(bp, **options)
    assert names(app.cli) == expected
