"""What compiled templates run on, against its oracle: Jinja as it is."""

from __future__ import annotations

import sqlite3
import traceback
import typing as t
from collections import ChainMap
from contextlib import closing

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import DictLoader, StrictUndefined, pass_context, pass_environment, pass_eval_context
from jinja2.runtime import Context as JinjaContext
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape

import asyncflask.templating
from asyncflask import Flask, render_template, render_template_string
from asyncflask.template_runtime import (
    Context,
    Globals,
    Template,
    _escaped_at_length,
    escaped,
)


class Row(dict[str, int]):
    """A dict with an attribute of its own."""

    own = 1


class Fails:
    """Has an attribute that fails, and an item of the same name."""

    @property
    def a(self) -> int:
        raise AttributeError("none")

    def __getitem__(self, name: str) -> str:
        if name == "own":
            raise AttributeError(name)
        return f"item {name}"


class Answers:
    """Answers for names of its own choice."""

    def __getattr__(self, name: str) -> str:
        if name == "missing":
            raise AttributeError(name)
        return f"attribute {name}"


class Named(t.NamedTuple):
    """A tuple with a name for its one item."""

    a: int


def a_database_s_row() -> sqlite3.Row:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = sqlite3.Row
        row: sqlite3.Row = connection.execute("SELECT 1 AS a, 2 AS keys, 3 AS own").fetchone()
        return row


THINGS: list[object] = [
    *({}, {"a": 1, "items": 2, "own": 3}, Row(a=1, own=3), [], None),
    *(Fails(), Answers(), Named(1), a_database_s_row(), jinja2.Undefined()),
]


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: type(thing).__name__)
@pytest.mark.parametrize("name", ["a", "items", "keys", "own", "__class__", "missing"])
@pytest.mark.parametrize("kind", [jinja2.Undefined, StrictUndefined])
def test_attributes_and_items_are_found_as_jinja_does(
    thing: object, name: str, kind: type[jinja2.Undefined]
) -> None:
    source = f"{{% if thing.{name} is defined %}}{{{{ thing.{name} }}}}{{% else %}}no{{% endif %}}"
    app = Flask(__name__)
    app.jinja_options = {"undefined": kind}
    theirs = jinja2.Environment(undefined=kind, autoescape=True)
    shown = [shown_or_raised(each, source, thing) for each in (app.jinja_env, theirs)]
    assert shown[0] == shown[1]


def shown_or_raised(environment: jinja2.Environment, source: str, thing: object) -> str:
    try:
        shown = environment.from_string(source).render(thing=thing)
    except Exception as error:
        shown = repr(error)
    return shown.partition(" at 0x")[0]


class Heading:
    """Says itself what it is as HTML."""

    def __html__(self) -> str:
        return "<h1>"


class Loud(Markup):
    """A kind of markup."""


VALUES = st.one_of(
    st.text(),
    st.text(alphabet="&<>'\"a;"),
    st.builds(Markup, st.text(alphabet="&<>a")),
    st.builds(Loud, st.text(alphabet="&<>a")),
    st.integers(),
    st.floats(),
    st.none(),
    st.lists(st.text(), max_size=2),
    st.builds(Heading),
)


@given(VALUES)
def test_values_are_escaped_as_markupsafe_does(value: object) -> None:
    assert str(escaped(value)) == str(escape(value))


def test_strings_are_escaped_where_markupsafe_has_changed_inside() -> None:
    assert _escaped_at_length("<&>") == "&lt;&amp;&gt;"
    assert type(_escaped_at_length("<&>")) is str


TEMPLATES = {
    "layout.html": "{% from 'macros.html' import tag %}<{% block title %}T{% endblock %}>"
    "{{ tag('a') }}{% block body %}{% endblock %}{{ self.title() }}",
    "macros.html": "{% macro tag(x, y='<') %}"
    "[{{ x }}{{ y }}{{ kwargs }}{{ varargs }}]{% endmacro %}"
    "{% macro around() %}({{ caller('<c>') }}){% endmacro %}{% set shared = '<s>' %}",
    "page.html": "{% extends 'layout.html' %}{% import 'macros.html' as m %}"
    "{% block title %}{{ super() }}{{ value }}{% endblock %}"
    "{% block body %}{% for i in values %}{{ m.tag(i, y=loop.index, z='>') }}{{ seen(i) }}"
    "{% endfor %}{% endblock %}",
    "exact.html": "{% macro two(x, y) %}{{ x }}{{ y }}{% endmacro %}{{ two('<', value) }}"
    "{{ two(two('<', 1), y=2) }}{{ two('<') }}{% autoescape false %}{{ two('<', value) }}"
    "{% endautoescape %}{% for i in values %}{{ two(i, loop.index) }}{% endfor %}",
    "marked.html": "{% macro one(x) %}{{ x }}{% endmacro %}"
    "{{ 'd' if one('<') is escaped }}{{ one('<') | length }}",
    "call.html": "{% from 'macros.html' import around %}"
    "{% call(c) around() %}{{ c }}{{ value }}{% endcall %}",
    "with_context.html": "{% from 'uses.html' import used with context %}{{ used() }}",
    "uses.html": "{% macro used() %}{{ value }}{{ seen() }}{% endmacro %}",
    "include.html": "{% for i in values %}{% include 'included.html' %}{% endfor %}",
    "included.html": "{{ i }}{{ seen(i) }}{{ value }}",
    "set.html": "{% set x %}<{{ value }}>{% endset %}{{ x }}{{ x ~ value }}{{ x | length }}",
    "filter.html": "{% filter upper %}{{ value }}&lt;{% endfilter %}{{ value | e }}"
    "{{ value | safe }}",
    "off.html": "{% autoescape false %}{{ value }}{{ safe }}{% endautoescape %}{{ value }}",
    "volatile.html": "{% autoescape on %}{{ value }}{{ f(value) }}{% endautoescape %}",
    "plain.txt": "{{ value }}{{ safe }}{{ f(value) }}",
    "calls.html": "{{ f(1, b='<', obj=2, self=3) }}{{ evaluated('<') }}{{ environment() }}"
    "{{ instance('<') }}"
    "{{ 'a<b'.upper() }}{{ safe.join(['<', '>']) }}{{ [1, 2].pop() }}{{ lipsum is callable }}"
    "{{ range(3) | list }}{{ dict(a=value) }}{{ cycler('<', '>').next() }}{{ stops() }}",
    "seen.html": "{% set outer = 1 %}{% for i in [1] %}{% set inner = 2 %}{{ seen() }}{% endfor %}"
    "{% with w = 3 %}{{ seen() }}{% endwith %}{% block b scoped %}{% set d = 4 %}{{ seen() }}"
    "{% endblock %}",
    "globals.html": "{% from 'uses_global.html' import shown %}{{ word }}{{ shown() }}",
    "uses_global.html": "{% macro shown() %}{{ word }}{% endmacro %}",
    "recursive.html": "{% for i in tree recursive %}<{{ i.n }}{{ loop(i.c) }}>{% endfor %}",
}


@pass_context
def seen(context: JinjaContext, *args: object) -> str:
    """Tell which names of the template's a function sees."""
    names = ("outer", "inner", "i", "w", "d", "value")
    return f"<{[(name, context.get(name)) for name in names]}{args}>"


@pass_eval_context
def evaluated(eval_ctx: t.Any, text: str) -> str:
    return f"{eval_ctx.autoescape}{text}"


@pass_environment
def environment(env: jinja2.Environment) -> bool:
    return "for" in env.globals or "range" in env.globals


class Callable:
    """Called with the context."""

    @pass_context
    def __call__(self, context: JinjaContext, text: str) -> str:
        return f"{context['value']}{text}"


def stops() -> t.NoReturn:
    raise StopIteration


NAMES: dict[str, t.Any] = {
    "value": "<v>&\"'",
    "values": ["<", Markup("<b>"), 3, None],
    "safe": Markup("<i>"),
    "on": True,
    "f": lambda *args, **kwargs: f"<{args}{kwargs}>",
    "seen": seen,
    "evaluated": evaluated,
    "environment": environment,
    "instance": Callable(),
    "stops": stops,
    "tree": [{"n": "<", "c": [{"n": 2, "c": []}]}],
}


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.jinja_env.loader = DictLoader(TEMPLATES)
    app.jinja_env.globals["word"] = "<w>"
    return app


@pytest.fixture
def plain(app: Flask) -> jinja2.Environment:
    """An environment of Jinja's own, with the same globals."""
    made = jinja2.Environment(loader=app.jinja_env.loader, autoescape=app.select_jinja_autoescape)
    made.globals.update(app.jinja_env.globals)
    return made


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_put_out_what_jinja_does(
    app: Flask, plain: jinja2.Environment, name: str
) -> None:
    expected = plain.get_template(name).render(NAMES)
    ours = app.jinja_env.get_template(name)
    assert isinstance(ours, Template)
    assert ours.render(NAMES) == expected
    assert "".join(ours.generate(NAMES)) == expected


@pytest.mark.parametrize("name", TEMPLATES)
async def test_the_environment_for_async_puts_out_the_same(
    app: Flask, plain: jinja2.Environment, name: str
) -> None:
    overlay = app.jinja_env.overlay(enable_async=True)
    found = await overlay.get_template(name).render_async(NAMES)
    assert found == plain.get_template(name).render(NAMES)


def test_what_a_block_of_a_template_returns_is_safe(app: Flask) -> None:
    module = app.jinja_env.get_template("macros.html").module
    macro = t.cast("t.Any", module).tag
    assert isinstance(macro("<"), Markup)
    assert macro("<", y=Markup("<")) == "[&lt;<{}()]"


def test_a_value_lost_to_stop_iteration_is_undefined(app: Flask) -> None:
    app.jinja_env.undefined = StrictUndefined
    with pytest.raises(jinja2.UndefinedError, match="StopIteration"):
        app.jinja_env.from_string("{{ stops() }}").render(stops=stops)


def test_a_macro_lost_to_stop_iteration_is_undefined(app: Flask) -> None:
    app.jinja_env.filters["stop"] = lambda value: next(iter(()))
    app.jinja_env.undefined = StrictUndefined
    macro = "{% macro ends(x) %}{{ x | stop }}{% endmacro %}"
    with pytest.raises(jinja2.UndefinedError, match="StopIteration"):
        app.jinja_env.from_string(macro + "{{ ends(1) }}").render()


def test_errors_show_the_template_and_not_what_it_runs_on(app: Flask) -> None:
    def fails() -> t.NoReturn:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        app.jinja_env.from_string("\n{% for i in [1] %}\n{{ fails() }}{% endfor %}").render(
            fails=fails
        )
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert not [
        frame for frame in frames if frame.filename.endswith("asyncflask/template_runtime.py")
    ]
    assert [frame.lineno for frame in frames if frame.filename == "<template>"][-1] == 3


def test_globals_are_a_live_chain() -> None:
    below = {"a": 1, "b": 2}
    own: dict[str, t.Any] = {"b": 3}
    names, chain = Globals(own, below), ChainMap(own, below)
    for change in ({}, {"c": 4}, {"a": 5}):
        below.update(change)
        assert dict(names) == dict(chain) == {**names}
        assert names.keys() == chain.keys()
        assert [*names] == [*names.keys()] == [*chain]
    with pytest.raises(KeyError, match="missing"):
        names["missing"]
    assert isinstance(names.new_child(), Globals)


def test_a_global_added_late_is_known_to_templates_and_their_macros(app: Flask) -> None:
    template = app.jinja_env.get_template("globals.html")
    assert template.render() == "&lt;w&gt;&lt;w&gt;"
    app.jinja_env.globals["late"] = "<l>"
    template.globals["word"] = "own"
    assert app.jinja_env.from_string("{{ late }}").render() == "&lt;l&gt;"
    assert template.render() == "own&lt;w&gt;"


def test_globals_of_a_template_reach_what_it_imports(app: Flask, plain: jinja2.Environment) -> None:
    for env in (app.jinja_env, plain):
        del env.globals["word"]
        template = env.get_template("globals.html", globals={"word": "mine"})
        assert template.render() == "minemine"


def test_a_session_counts_as_accessed_only_where_it_is_read(app: Flask) -> None:
    app.secret_key = "k"
    app.add_url_rule("/", "index", lambda: render_template("page.html", **NAMES))
    app.add_url_rule("/read", "read", lambda: render_template_string("{{ session.get('a') }}"))
    client = app.test_client()
    assert "Vary" not in client.get("/").headers
    assert client.get("/read").headers["Vary"] == "Cookie"


class Sandbox(SandboxedEnvironment, asyncflask.templating.Environment):
    """A user's environment."""


class Own(asyncflask.templating.Environment):
    """Another."""


@pytest.mark.parametrize("kind", [Sandbox, Own])
def test_environments_of_users_get_jinjas_classes(kind: type[t.Any]) -> None:
    app = Flask(__name__)
    app.jinja_environment = kind
    assert app.jinja_env.context_class is JinjaContext
    assert app.jinja_env.template_class is jinja2.Template
    assert type(app.jinja_env.make_globals(None)) is ChainMap


def test_ours_can_be_replaced(app: Flask) -> None:
    assert app.jinja_env.context_class is Context

    class Mine(JinjaContext):
        """A user's context."""

    app.jinja_env.context_class = Mine
    assert type(app.jinja_env.from_string("").new_context()) is Mine
