"""All that Jinja templates consist of, with async things in them, on asyncio and on trio."""

from __future__ import annotations

import asyncio
import gc
import typing as t
import warnings
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest
from jinja2 import (
    ChainableUndefined,
    DebugUndefined,
    DictLoader,
    StrictUndefined,
    UndefinedError,
    pass_context,
    pass_environment,
    pass_eval_context,
)
from jinja2.exceptions import FilterArgumentError

from asyncflask import (
    Flask,
    render_template,
    render_template_async,
    render_template_string,
    render_template_string_async,
    stream_template_async,
    stream_template_string_async,
)
from asyncflask.template_async import _MANY, Rendering

TEMPLATES = {
    "layout.html": (
        "{% block head %}head{{ total() }}{% endblock %}|{% block body %}none{% endblock %}"
    ),
    "middle.html": '{% extends "layout.html" %}{% block head %}{{ super() }}middle{% endblock %}',
    "page.html": (
        '{% extends "middle.html" %}{% from "macros.html" import item with context %}'
        "{% block head %}{{ super() }}+{{ total() }}{% endblock %}"
        "{% block body %}{% for row in rows() %}{{ item(row) }}{% endfor %}"
        '{% include "part.html" %}{% endblock %}'
    ),
    "macros.html": (
        "{% set version = total() %}"
        "{% macro item(x, y=total()) %}[{{ x | slow }}{{ y }}{{ word }}]{% endmacro %}"
        "{% macro around(x) %}<{{ caller(x) }}>{% endmacro %}"
    ),
    "part.html": "({{ word }}{{ total() }}{{ row }})",
}


@pytest.fixture
def closed() -> list[str]:
    """The generators that were closed."""
    return []


@pytest.fixture
def app(closed: list[str]) -> Flask:
    app = Flask(__name__, static_folder=None)
    env = app.jinja_env
    env.loader = DictLoader(TEMPLATES)
    for name in ("i18n", "do", "loopcontrols"):
        env.add_extension(f"jinja2.ext.{name}")
    add_functions(app)

    async def rows() -> AsyncIterator[int]:
        try:
            for row in range(3):
                await anyio.lowlevel.checkpoint()
                yield row
        finally:
            closed.append("rows")
            await anyio.lowlevel.checkpoint()

    async def pairs() -> AsyncIterator[tuple[int, str]]:
        yield 1, "a"
        yield 2, "b"

    @app.context_processor
    async def given() -> dict[str, t.Any]:
        await anyio.lowlevel.checkpoint()
        return {"word": "w", "rows": rows, "pairs": pairs, "thing": Thing()}

    return app


def add_functions(app: Flask) -> None:
    """Add async functions of each kind that templates have."""

    @app.template_filter()
    async def slow(value: t.Any) -> t.Any:
        await anyio.lowlevel.checkpoint()
        return value

    @app.template_filter()
    @pass_context
    async def in_context(context: t.Any, value: str, more: str = "") -> str:
        await anyio.lowlevel.checkpoint()
        return f"{value}{context['word']}{more}"

    @app.template_filter()
    @pass_environment
    async def in_environment(environment: t.Any, value: str) -> str:
        await anyio.lowlevel.checkpoint()
        return f"{value}{environment.block_start_string}"

    @app.template_filter()
    @pass_eval_context
    async def in_eval_context(context: t.Any, value: str) -> str:
        await anyio.lowlevel.checkpoint()
        return f"{value}{context.autoescape}"

    @app.template_test()
    async def even(value: int) -> bool:
        await anyio.lowlevel.checkpoint()
        return value % 2 == 0

    @app.template_test()
    async def above(value: int, limit: int) -> bool:
        await anyio.lowlevel.checkpoint()
        return value > limit

    @app.template_global()
    async def total() -> int:
        await anyio.lowlevel.checkpoint()
        return 7


class Thing:
    """What templates call methods of."""

    async def name(self) -> str:
        await anyio.lowlevel.checkpoint()
        return "<thing>"

    async def __call__(self) -> str:
        await anyio.lowlevel.checkpoint()
        return "called"


#: What templates put out, whether async things in them are awaited or waited for in a thread.
BOTH_MODES = {
    "filter": ("{{ 'a' | slow }}{{ total() | slow }}{{ word | slow | upper }}", "a7W"),
    "filter of a block": ("{% filter slow %}a{{ total() }}{% endfilter %}", "a7"),
    "filter with context": ("{{ 'a' | in_context }}{{ 'a' | in_context(more='m') }}", "awawm"),
    "filter with environment": ("{{ 'a' | in_environment }}", "a{%"),
    "filter with eval context": ("{{ 'a' | in_eval_context }}", "aTrue"),
    "mapped filter": ("{{ [1, 2] | map('slow') | join(',') }}", "1,2"),
    "test": ("{{ 2 is even }}{{ 3 is even }}{{ 3 is not even }}", "TrueFalseTrue"),
    "test with argument": ("{% if total() is above(6) %}yes{% endif %}", "yes"),
    "test in a condition": ("{% for x in [1, 2] if x is even %}{{ x }}{% endfor %}", "2"),
    "select": ("{{ [1, 2, 3] | select('even') | list }}", "[2]"),
    "select with argument": ("{{ [1, 2, 3] | select('above', 1) | list }}", "[2, 3]"),
    "select what is true": ("{{ [0, 2] | select | list }}", "[2]"),
    "reject": ("{{ [1, 2, 3] | reject('even') | list }}", "[1, 3]"),
    "selectattr": ("{{ [{'n': 1}, {'n': 2}] | selectattr('n', 'even') | list | length }}", "1"),
    "rejectattr": ("{% for x in [{'n': 1}] | rejectattr('n', 'even') %}{{ x.n }}{% endfor %}", "1"),
    "selectattr what is true": ("{{ [{'n': 0}] | selectattr('n') | list }}", "[]"),
    "select from nothing": ("{{ missing | select('even') | list }}", "[]"),
    "global": ("{{ total() }}{{ total() + total() }}{{ total() ~ 'a' }}", "7147a"),
    "method": ("{{ thing.name() }}", "&lt;thing&gt;"),
    "called object": ("{{ thing() }}", "called"),
    "assignment": ("{% set x = total() %}{{ x + 1 }}", "8"),
    "block assignment": ("{% set x %}{{ total() }}<b>{% endset %}{{ x }}", "7<b>"),
    "with": ("{% with x = total() %}{{ x }}{% endwith %}", "7"),
    "do": ("{% set x = [] %}{% do x.append(total()) %}{{ x }}", "[7]"),
    "macro": (
        "{% macro m(a, b=total()) %}{{ a | slow }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(2, 3) }}",
        "1723",
    ),
    "imported macro": ('{% import "macros.html" as m %}{{ m.item(1, 2) }}', "[12]"),
    "imported with context": (
        '{% from "macros.html" import item with context %}{{ item(1) }}',
        "[17w]",
    ),
    "imported variable": ('{% import "macros.html" as m with context %}{{ m.version }}', "7"),
    "call block": (
        (
            '{% from "macros.html" import around with context %}{% call(x) around(1) %}{{ x }}'
            "{{ total() }}{% endcall %}"
        ),
        "<17>",
    ),
    "include": ('{% set row = 1 %}{% include "part.html" %}', "(w71)"),
    "include of what may be missing": ('{% include "none.html" ignore missing %}', ""),
    "include in a loop": ("{% for row in [1] %}{% include 'part.html' %}{% endfor %}", "(w71)"),
    "self": ("{% block a %}{{ total() }}{% endblock %}{{ self.a() }}", "77"),
    "recursive loop": (
        (
            "{% for x in [1, [2, 3]] recursive %}"
            "{% if x is iterable %}({{ loop(x) }}){% else %}{{ x | slow }}{% endif %}{% endfor %}"
        ),
        "1(23)",
    ),
    "autoescape": (
        "{{ '<' | slow }}{{ '<' | safe | slow }}{{ thing.name() | safe }}",
        "&lt;<<thing>",
    ),
    "no autoescape": ("{% autoescape false %}{{ thing.name() }}{% endautoescape %}", "<thing>"),
    "undefined": ("{{ missing }}|{{ missing | default(total()) }}", "|7"),
    "translation": ("{% trans n=total() %}one{% pluralize %}{{ n }} many{% endtrans %}", "7 MANY"),
    "translated text": ("{% trans %}text {{ word }}{% endtrans %}{{ _('a') }}", "TEXT wA"),
}

#: What only templates in async mode can do.
ASYNC_MODE = {
    "loop": ("{% for row in rows() %}{{ row }}{% endfor %}", "012"),
    "loop over pairs": ("{% for a, b in pairs() %}{{ a }}{{ b }}{% endfor %}", "1a2b"),
    "index": ("{% for x in rows() %}{{ loop.index }}{{ loop.index0 }}{% endfor %}", "102132"),
    "first and last": (
        "{% for x in rows() %}{{ loop.first }}{{ loop.last }} {% endfor %}",
        "TrueFalse FalseFalse FalseTrue ",
    ),
    "length": ("{% for x in rows() %}{{ loop.length }}{{ loop.revindex }}{% endfor %}", "333231"),
    "neighbours": (
        "{% for x in rows() %}{{ loop.previtem }}{{ x }}{{ loop.nextitem }} {% endfor %}",
        "01 012 12 ",
    ),
    "cycle": ("{% for x in rows() %}{{ loop.cycle('a', 'b') }}{% endfor %}", "aba"),
    "changed": ("{% for x in rows() %}{{ loop.changed(x > 0) }} {% endfor %}", "True True False "),
    "depth": ("{% for x in rows() %}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}", "101010"),
    "loop with else": (
        "{% for x in rows() if x is above(9) %}{{ x }}{% else %}none{% endfor %}",
        "none",
    ),
    "loop with condition": ("{% for x in rows() if x is even %}{{ x }}{% endfor %}", "02"),
    "continue": (
        "{% for x in rows() %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
        "02",
    ),
    "loop in a macro": (
        "{% macro m() %}{% for x in rows() %}{{ x }}{% endfor %}{% endmacro %}{{ m() }}",
        "012",
    ),
    "filters that take it": (
        "{{ rows() | list }}{{ rows() | sum }}{{ rows() | join('-') }}{{ rows() | first }}",
        "[0, 1, 2]30-1-20",
    ),
    "select": ("{{ rows() | select('even') | list }}", "[0, 2]"),
    "reject": ("{{ rows() | reject('even') | list }}", "[1]"),
    "map": ("{{ rows() | map('slow') | list }}", "[0, 1, 2]"),
    "list first": ("{{ rows() | list | sort(reverse=true) }}", "[2, 1, 0]"),
}


@pytest.fixture(autouse=True)
def translations(app: Flask) -> None:
    env: t.Any = app.jinja_env
    env.install_gettext_callables(
        lambda text: text.upper().replace("%(WORD)S", "%(word)s"),
        lambda one, many, n: (one if n == 1 else many).upper().replace("%(N)S", "%(n)s"),
        newstyle=True,
    )


@pytest.mark.anyio
class TestAsyncMode:
    @pytest.mark.parametrize("name", [*BOTH_MODES])
    async def test_async_functions(self, app: Flask, name: str) -> None:
        source, expected = BOTH_MODES[name]
        async with app.app_context():
            for _ in range(2):
                assert await render_template_string_async(source) == expected
            stream = stream_template_string_async(source)
            assert "".join([piece async for piece in stream]) == expected

    @pytest.mark.parametrize("name", [*ASYNC_MODE])
    async def test_async_iterables(self, app: Flask, closed: list[str], name: str) -> None:
        source, expected = ASYNC_MODE[name]
        async with app.app_context():
            assert await render_template_string_async(source) == expected
        assert len(closed) == source.count("rows()")

    async def test_inheritance(self, app: Flask) -> None:
        expected = "head7middle+7|[07w][17w][27w](w7)"
        async with app.app_context():
            assert await render_template_async("page.html") == expected
            stream = stream_template_async("page.html")
            assert "".join([piece async for piece in stream]) == expected

    async def test_in_a_request(self, app: Flask) -> None:
        @app.get("/")
        async def index() -> str:
            return await render_template_async("page.html")

        @app.get("/stream")
        async def stream() -> t.Any:
            return stream_template_async("page.html")

        @app.get("/sync")
        def in_thread() -> str:
            return t.cast("str", app.async_to_sync(render_template_async)("page.html"))

        async with app.async_client() as client:
            texts = {(await client.get(path)).text for path in ("/", "/stream", "/sync")}
        assert texts == {"head7middle+7|[07w][17w][27w](w7)"}

    async def test_iterables_of_all_kinds(self, app: Flask) -> None:
        class Rows:
            def __aiter__(self) -> AsyncIterator[int]:
                return self._rows()

            async def _rows(self) -> AsyncIterator[int]:
                yield 1

        async def returned() -> list[int]:
            return [2]

        source = (
            "{% for x in rows %}{{ x }}{% endfor %}{% for x in returned() %}{{ x }}{% endfor %}"
        )
        async with app.app_context():
            text = await render_template_string_async(source, rows=Rows(), returned=returned)
        assert text == "12"


@pytest.mark.anyio
class TestUndefined:
    @pytest.mark.parametrize(
        ("kind", "source", "expected"),
        [
            (None, "{% for x in missing %}{% else %}none{% endfor %}", "none"),
            (ChainableUndefined, "{{ missing.a.b }}", ""),
            (DebugUndefined, "{{ missing }}", "{{ missing }}"),
        ],
    )
    async def test_shown(self, app: Flask, kind: t.Any, source: str, expected: str) -> None:
        if kind is not None:
            app.jinja_env.undefined = kind
        async with app.app_context():
            assert await render_template_string_async(source) == expected

    @pytest.mark.parametrize(
        "source",
        [
            "{{ missing }}",
            "{% for x in missing %}{% endfor %}",
            "{{ missing | slow }}",
            "{{ m() }}",
        ],
    )
    async def test_strict(self, app: Flask, source: str) -> None:
        app.jinja_env.undefined = StrictUndefined
        async with app.app_context():
            with pytest.raises(UndefinedError, match="is undefined"):
                await render_template_string_async(source)

    async def test_a_filter_that_lacks_its_attribute(self, app: Flask) -> None:
        async with app.app_context():
            with pytest.raises(FilterArgumentError, match="'selectattr' needs the name"):
                await render_template_string_async("{{ [1] | selectattr | list }}")


@pytest.mark.anyio
class TestEnds:
    """Whatever a template has begun to loop over is closed when its rendering is over."""

    @pytest.mark.parametrize(
        "source",
        [
            "{% for x in rows() %}{% break %}{% endfor %}",
            "{{ rows() | first }}",
            "{{ rows() | select('even') | first }}",
            "{% for x in rows() %}{% for y in rows() %}{% break %}{% endfor %}{% endfor %}",
        ],
    )
    async def test_early(self, app: Flask, closed: list[str], source: str) -> None:
        async with app.app_context():
            await render_template_string_async(source)
        assert len(closed) == (4 if source.count("rows()") == 2 else 1)

    async def test_by_an_error(self, app: Flask, closed: list[str]) -> None:
        async with app.app_context():
            with pytest.raises(ZeroDivisionError):
                await render_template_string_async("{% for x in rows() %}{{ 1 / x }}{% endfor %}")
        assert closed == ["rows"]

    @pytest.mark.parametrize("passed", [False, True])
    async def test_of_a_stream(self, app: Flask, closed: list[str], passed: bool) -> None:
        async def rows() -> AsyncIterator[int]:
            try:
                yield 1
                yield 2
            finally:
                closed.append("passed")

        source = f"{{% for x in {'given' if passed else 'rows()'} %}}{{{{ x }}}}{{% endfor %}}"
        async with app.test_request_context():
            stream = stream_template_string_async(source, given=rows())
            await anext(stream)
            await stream.aclose()
        assert closed == (["passed"] if passed else ["rows"])

    async def test_of_a_client(self, app: Flask, closed: list[str]) -> None:
        @app.get("/")
        async def index() -> t.Any:
            return stream_template_string_async("{% for x in rows() %}{{ x }}{% endfor %}")

        async with app.async_client() as client:
            async with client.stream("GET", "/"):
                assert closed == []
            assert closed == ["rows"]

    async def test_all_are_closed_though_one_fails(self) -> None:
        closed = []

        async def rows(name: str) -> AsyncIterator[int]:
            try:
                yield 1
            finally:
                closed.append(name)
                raise ValueError(name)

        rendering = Rendering()
        for name in "ab":
            generator: t.Any = rows(name)
            await anext(generator)
            rendering.note(generator)
        with pytest.raises(ValueError, match="a"):
            await rendering.close()
        assert closed == ["b", "a"]

    async def test_what_is_over_is_forgotten(self) -> None:
        async def rows() -> AsyncIterator[int]:
            yield 1

        rendering = Rendering()
        for _ in range(20 * _MANY):
            generator: t.Any = rows()
            rendering.note(generator)
            assert [row async for row in generator] == [1]
        open_one: t.Any = rows()
        await anext(open_one)
        rendering.note(open_one)
        assert len(rendering._noted) <= 2 * _MANY
        await rendering.close()
        assert open_one.ag_frame is None


@pytest.mark.anyio
class TestSyncMode:
    """`render_template`, with async things in the template."""

    @pytest.mark.parametrize("name", [*BOTH_MODES])
    async def test_in_a_thread_they_are_waited_for(self, app: Flask, name: str) -> None:
        source, expected = BOTH_MODES[name]

        @app.get("/")
        def index() -> str:
            return render_template_string(source)

        async with app.async_client() as client:
            response = await client.get("/")
        assert response.text == expected

    @pytest.mark.parametrize(
        "source", ["{{ total() }}", "{{ 'a' | slow }}", "{{ 1 is even }}", "{{ thing.name() }}"]
    )
    async def test_on_the_loop_they_are_an_error(self, app: Flask, source: str) -> None:
        app.template_context_processors[None].clear()
        app.config["PROPAGATE_EXCEPTIONS"] = True

        @app.get("/")
        async def index() -> str:
            return render_template_string(source, thing=Thing())

        async with app.async_client() as client:
            with pytest.raises(RuntimeError, match=r"had to wait.*await render_template_async"):
                await client.get("/")

    async def test_on_the_loop_what_need_not_wait_is_done(self, app: Flask) -> None:
        @app.template_global()
        async def quick() -> str:
            return "quick"

        @app.template_filter()
        async def shout(value: str) -> str:
            return value.upper()

        app.template_context_processors[None].clear()

        @app.get("/")
        async def index() -> str:
            return render_template_string("{{ quick() | shout }}{{ 'const' | shout }}")

        async with app.async_client() as client:
            assert (await client.get("/")).text == "QUICKCONST"

    async def test_an_async_generator(self, app: Flask) -> None:
        @app.get("/")
        def index() -> str:
            return render_template_string("{% for x in rows() %}{% endfor %}")

        app.config["PROPAGATE_EXCEPTIONS"] = True
        async with app.async_client() as client:
            with pytest.raises(TypeError, match=r"rows gave an async generator.*in async mode"):
                await client.get("/")

    async def test_nothing_is_left_unawaited(self, app: Flask) -> None:
        @app.get("/")
        async def index() -> str:
            with pytest.raises(RuntimeError, match="had to wait"):
                render_template_string("{{ word }}")
            return render_template("part.html", total=str) if app.testing else ""

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            async with app.async_client() as client:
                assert (await client.get("/")).text == ""
            gc.collect()


async def test_outside_of_a_request_the_processs_own_loop_does_it(app: Flask) -> None:
    with app.app_context():
        assert render_template_string("{{ total() }}{{ 2 is even }}") == "7True"


def test_without_any_loop(app: Flask) -> None:
    with app.app_context():
        assert render_template("part.html", row=1) == "(w71)"
        assert asyncio.run(render_template_async("part.html", row=1)) == "(w71)"
