"""`render_block`: one block of a template, with all that it needs of the rest."""

from __future__ import annotations

import gc
import traceback
import typing as t
import weakref
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio.lowlevel
import pytest
from jinja2 import (
    DictLoader,
    FileSystemLoader,
    ModuleLoader,
    StrictUndefined,
    TemplateNotFound,
    UndefinedError,
)

from asyncflask import (
    Flask,
    before_render_template,
    render_block,
    render_block_async,
    render_template,
    template_rendered,
)
from asyncflask.exceptions import BlockNotFound

TEMPLATES = {
    "layout.html": (
        '{% set site = "Site" %}{{ shown() }}<title>{% block title %}{{ site }}{% endblock %}'
        "{% for name in names() %}{{ name }}{% endfor %}"
        "<main>{% block body %}empty{% endblock %}</main>"
    ),
    "page.html": (
        '{% extends "layout.html" %}'
        '{% from "macros.html" import item %}{% import "macros.html" as all with context %}'
        '{% set word = "item" %}{% macro own(x) %}<{{ x }}>{% endmacro %}'
        "{% block title %}Page of {{ super() }}{% endblock %}"
        "{% block body %}{% block rows %}{% for row in rows %}{{ item(row) }}{% endfor %}"
        "{% endblock %}{{ own(word) }}{{ all.item(site) }}{{ self.title() }}"
        '{% include "included.html" %}{% endblock %}'
    ),
    "macros.html": "{{ shown() }}{% macro item(x) %}[{{ x }}]{% endmacro %}",
    "included.html": "({{ word }})",
    "deeper.html": '{% extends "page.html" %}{% block title %}{{ super() }}!{% endblock %}',
    "branches.html": (
        '{% if fragment %}{% extends "other.html" %}{% set x = 1 %}'
        '{% elif none %}{{ shown() }}{% else %}{% extends "layout.html" %}{% endif %}'
        "{% if missing.attribute %}{{ shown() }}{% endif %}"
        "{% block body %}{{ super() }}{{ x }}{% endblock %}"
    ),
    "other.html": "{% block body %}other{% endblock %}",
    "context.html": (
        "{% block a %}{{ block }}{{ template_name_or_list }}{{ injected }}{% endblock %}"
    ),
    "circle.html": '{% extends "circle.html" %}{% block a %}{% endblock %}',
    "fails.html": "{% set a = 1 %}\n{% block a %}\n{{ 1 / 0 }}{% endblock %}",
    "plain.txt": "no blocks",
}

Render = Callable[..., t.Awaitable[str]]


async def in_sync_mode(*args: t.Any, **context: t.Any) -> str:
    """`render_block`, as a coroutine."""
    return render_block(*args, **context)


@pytest.fixture(params=[in_sync_mode, render_block_async], ids=["sync", "async"])
def render(request: pytest.FixtureRequest) -> Render:
    return t.cast("Render", request.param)


@pytest.fixture
def shown() -> list[str]:
    """What was rendered that a fragment has no need of."""
    return []


@pytest.fixture
def app(shown: list[str]) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.jinja_env.loader = DictLoader(TEMPLATES)
    app.jinja_env.undefined = StrictUndefined

    @app.template_global("shown")
    def show() -> str:
        shown.append("shown")
        return "shown"

    @app.template_global()
    def names() -> list[str]:
        shown.append("names")
        return ["shown"]

    return app


@pytest.mark.anyio
class TestBlocks:
    @pytest.mark.parametrize(
        ("template", "block", "expected"),
        [
            ("page.html", "rows", "[1][&lt;2&gt;]"),
            ("page.html", "title", "Page of Site"),
            ("page.html", "body", "[1][&lt;2&gt;]<item>[Site]Page of Site(item)"),
            ("deeper.html", "title", "Page of Site!"),
            ("deeper.html", "rows", "[1][&lt;2&gt;]"),
            ("layout.html", "title", "Site"),
            (["none.html", "layout.html"], "body", "empty"),
        ],
    )
    async def test_what_it_is_given(
        self,
        app: Flask,
        shown: list[str],
        render: Render,
        template: t.Any,
        block: str,
        expected: str,
    ) -> None:
        async with app.app_context():
            for _ in range(2):
                assert await render(template, block, rows=[1, "<2>"]) == expected
        # But for an import, whose template is run whole, nothing else was rendered.
        assert {*shown} <= {"shown"}
        assert len(shown) <= 4

    async def test_the_rest_is_not_rendered(
        self, app: Flask, shown: list[str], render: Render
    ) -> None:
        async with app.app_context():
            assert await render("layout.html", "body") == "empty"
        assert shown == []

    @pytest.mark.parametrize(("fragment", "expected"), [(True, "other1"), (False, "empty2")])
    async def test_what_is_extended_may_depend(
        self, app: Flask, shown: list[str], render: Render, fragment: bool, expected: str
    ) -> None:
        given = {} if fragment else {"x": 2}
        async with app.app_context():
            text = await render("branches.html", "body", fragment=fragment, none=False, **given)
        assert text == expected
        assert shown == []

    async def test_the_same_text_as_in_the_page(self, app: Flask, render: Render) -> None:
        async with app.app_context():
            page = render_template("page.html", rows=[1])
            assert f"<main>{await render('page.html', 'body', rows=[1])}</main>" in page

    async def test_names_of_the_parameters_are_free(self, app: Flask, render: Render) -> None:
        app.context_processor(lambda: {"injected": "!", "block": "not this"})
        async with app.app_context():
            text = await render("context.html", "a", block="b", template_name_or_list="t")
        assert text == "bt!"

    async def test_a_template_object(self, app: Flask, render: Render) -> None:
        given = app.jinja_env.get_template("page.html")
        made = app.jinja_env.from_string(
            "{% set a = 1 %}{% block b %}{{ a is defined }}{% endblock %}"
        )
        async with app.app_context():
            assert await render(given, "title") == "Page of Site"
            assert await render(made, "b") == "False"

    async def test_a_template_without_its_source(
        self, app: Flask, render: Render, tmp_path: Path
    ) -> None:
        env = app.jinja_env
        env.compile_templates(tmp_path, zip=None)
        loader = ModuleLoader(tmp_path)
        env.loader = loader
        async with app.app_context():
            assert render_block("layout.html", "body") == "empty"

    async def test_changed_files_are_read_anew(
        self, app: Flask, render: Render, tmp_path: Path
    ) -> None:
        page = tmp_path / "page.html"
        app.jinja_env.loader = FileSystemLoader(tmp_path)
        app.jinja_env.auto_reload = True
        async with app.app_context():
            for number in (1, 22):
                page.write_text(
                    f"{{% set a = {number} %}}{{% block b %}}{{{{ a }}}}{{% endblock %}}"
                )
                page.touch()
                app.jinja_env.cache.clear()  # type: ignore[union-attr]
                assert await render("page.html", "b") == str(number)
                page.unlink()

    async def test_setups_go_with_their_templates(self, app: Flask, render: Render) -> None:
        async with app.app_context():
            await render("page.html", "title")
        there = weakref.ref(app.jinja_env)
        del app.jinja_env
        gc.collect()
        assert there() is None


@pytest.mark.anyio
class TestErrors:
    async def test_an_unknown_block(self, app: Flask, render: Render) -> None:
        async with app.app_context():
            with pytest.raises(BlockNotFound) as caught:
                await render("page.html", "row", rows=[])
        assert caught.value.known == ["body", "rows", "title"]
        assert "'page.html' has no block 'row'" in str(caught.value)
        assert "its blocks are: 'body', 'rows', 'title'" in str(caught.value)
        assert "{% block row %}" in str(caught.value)

    async def test_no_block_at_all(self, app: Flask, render: Render) -> None:
        async with app.app_context():
            with pytest.raises(BlockNotFound, match="none at all"):
                await render("plain.txt", "a")

    async def test_an_unknown_template(self, app: Flask, render: Render) -> None:
        async with app.app_context():
            with pytest.raises(TemplateNotFound):
                await render("none.html", "a")

    async def test_a_template_that_extends_itself(self, app: Flask, render: Render) -> None:
        async with app.app_context():
            with pytest.raises(RecursionError, match=r"'circle.html' extends itself"):
                await render("circle.html", "a")

    async def test_an_undefined_name(self, app: Flask, render: Render) -> None:
        async with app.app_context():
            with pytest.raises(UndefinedError, match="'rows' is undefined"):
                await render("page.html", "rows")

    async def test_the_traceback_shows_the_template(self, app: Flask, render: Render) -> None:
        async with app.app_context():
            with pytest.raises(ZeroDivisionError) as caught:
                await render("fails.html", "a")
        frames = traceback.extract_tb(caught.value.__traceback__)
        assert ("<template>", 3) in [(frame.filename, frame.lineno) for frame in frames]


@pytest.mark.anyio
async def test_signals(app: Flask, render: Render) -> None:
    got: list[t.Any] = []

    def before(sender: Flask, template: t.Any, context: dict[str, t.Any]) -> None:
        got.append(template.name)
        context["rows"] = [7]

    def after(sender: Flask, template: t.Any, context: dict[str, t.Any]) -> None:
        got.append((template.name, context["rows"]))

    with (
        before_render_template.connected_to(before, app),
        template_rendered.connected_to(after, app),
    ):
        async with app.app_context():
            assert await render("page.html", "rows") == "[7]"
    assert got == ["page.html", ("page.html", [7])]


@pytest.mark.anyio
async def test_async_things(app: Flask) -> None:
    closed: list[str] = []

    async def rows() -> AsyncIterator[int]:
        try:
            for row in range(3):
                await anyio.lowlevel.checkpoint()
                yield row
        finally:
            closed.append("rows")

    async def word() -> str:
        await anyio.lowlevel.checkpoint()
        return "word"

    app.jinja_env.loader = DictLoader(
        {
            "layout.html": "{% set word = get_word() %}{% block a %}{{ word }}{% endblock %}",
            "page.html": (
                '{% extends "layout.html" %}{% block a %}{{ super() }}'
                "{% for row in rows() %}{{ row }}{{ loop.length }}{% endfor %}{{ rows()|first }}"
                "{% endblock %}"
            ),
        }
    )
    async with app.app_context():
        text = await render_block_async("page.html", "a", rows=rows, get_word=word)
    assert text == "word0313230"
    assert closed == ["rows", "rows"]


@pytest.mark.anyio
async def test_in_views(app: Flask) -> None:
    @app.get("/sync")
    def in_thread() -> str:
        return render_block("page.html", "rows", rows=[1])

    @app.get("/async")
    async def on_loop() -> str:
        return await render_block_async("page.html", "rows", rows=[2])

    async with app.async_client() as client:
        assert (await client.get("/sync")).text == "[1]"
        assert (await client.get("/async")).text == "[2]"
