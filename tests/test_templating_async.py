"""Templates in Jinja's async mode."""

from __future__ import annotations

import asyncio
import threading
import typing as t
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from jinja2 import DictLoader, FileSystemBytecodeCache, TemplateNotFound
from jinja2 import Environment as JinjaEnvironment

from asyncflask import (
    Flask,
    before_render_template,
    render_template,
    render_template_async,
    render_template_string_async,
    request,
    session,
    stream_template_async,
    stream_template_string_async,
    template_rendered,
)
from asyncflask.templating import Environment, _async_environment

TEMPLATES = {
    "hello.html": "Hello {{ name }}!",
    "context.html": "{{ given }}|{{ injected }}",
    "rows.html": "{% for row in rows %}{{ row }},{% endfor %}",
    "layout.html": "<{% block body %}{% endblock %}>",
    "page.html": '{% extends "layout.html" %}{% block body %}{{ name }}{% endblock %}',
    "text.txt": "{{ name }}",
}


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__, static_folder=None)
    app.secret_key = "k"
    app.jinja_env.loader = DictLoader(TEMPLATES)
    return app


def record(app: Flask, signal: t.Any) -> list[tuple[t.Any, dict[str, t.Any]]]:
    """Collect what a signal says about an app, as long as the test lives."""
    got: list[tuple[t.Any, dict[str, t.Any]]] = []

    def receive(sender: Flask, template: t.Any, context: dict[str, t.Any]) -> None:
        got.append((template, context))

    signal.connect(receive, app, weak=False)
    return got


class TestAsync:
    async def test_renders_the_same(self, app: Flask) -> None:
        async with app.app_context():
            assert await render_template_async("hello.html", name="<a>") == "Hello &lt;a&gt;!"
            assert await render_template_async(["none.html", "text.txt"], name="<") == "<"
            assert await render_template_async("page.html", name="x") == "<x>"
            assert await render_template_string_async("{{ a }}", a="<") == "&lt;"
            with pytest.raises(TemplateNotFound):
                await render_template_async("none.html")

    async def test_awaits_and_loops(self, app: Flask) -> None:
        async def rows() -> AsyncIterator[int]:
            for row in range(3):
                await asyncio.sleep(0)
                yield row

        async def total() -> int:
            await asyncio.sleep(0)
            return 3

        @app.template_filter()
        async def double(value: int) -> int:
            return value * 2

        async with app.app_context():
            text = await render_template_async("rows.html", rows=rows())
            assert text == "0,1,2,"
            text = await render_template_string_async("{{ total() | double }}", total=total)
            assert text == "6"

    async def test_streams(self, app: Flask) -> None:
        async with app.app_context():
            stream = stream_template_async("rows.html", rows=[1, 2])
            assert [piece async for piece in stream] == ["1", ",", "2", ","]
            stream = stream_template_string_async("{{ a }}b", a="a")
            assert "".join([piece async for piece in stream]) == "ab"
            with pytest.raises(TemplateNotFound):
                stream_template_async("none.html")

    async def test_a_stream_keeps_its_request(self, app: Flask) -> None:
        @app.get("/")
        async def index() -> t.Any:
            session["b"] = "B"
            return stream_template_string_async("{{ request.args.a }}{{ session.b }}")

        async with app.async_client() as client:
            assert (await client.get("/?a=A")).text == "AB"

    async def test_a_stream_closed_early_was_not_rendered(self, app: Flask) -> None:
        after = record(app, template_rendered)
        async with app.test_request_context():
            stream = stream_template_async("rows.html", rows=[1, 2])
            assert await anext(stream) == "1"
            await stream.aclose()
            assert [piece async for piece in stream] == []
        assert not after

    async def test_processors_of_both_kinds(self, app: Flask) -> None:
        threads: list[threading.Thread] = []

        @app.context_processor
        async def on_the_loop() -> dict[str, t.Any]:
            await asyncio.sleep(0)
            threads.append(threading.current_thread())
            return {"injected": "awaited"}

        @app.context_processor
        def in_a_thread() -> dict[str, t.Any]:
            threads.append(threading.current_thread())
            return {"given": request.path}

        @app.get("/")
        async def index() -> str:
            return await render_template_async("context.html")

        async with app.async_client() as client:
            assert (await client.get("/")).text == "/|awaited"
        assert threads[0] is threading.current_thread()
        assert threads[1] is not threading.current_thread()

    async def test_sync_processors_share_the_requests_thread(self, app: Flask) -> None:
        threads: list[threading.Thread] = []

        @app.before_request
        def before() -> None:
            threads.append(threading.current_thread())

        @app.context_processor
        def inject() -> dict[str, t.Any]:
            threads.append(threading.current_thread())
            return {}

        @app.teardown_request
        def teardown(error: BaseException | None) -> None:
            threads.append(threading.current_thread())

        @app.get("/")
        async def index() -> str:
            return await render_template_async("text.txt", name="x")

        async with app.async_client() as client:
            assert (await client.get("/")).text == "x"
        assert len(threads) == 3
        assert len({*threads}) == 1

    async def test_signals_of_both_kinds(self, app: Flask) -> None:
        after = record(app, template_rendered)

        async def receive(sender: Flask, template: t.Any, context: dict[str, t.Any]) -> None:
            await asyncio.sleep(0)
            context["name"] = "awaited"

        with before_render_template.connected_to(receive, app):
            async with app.app_context():
                assert await render_template_async("hello.html") == "Hello awaited!"
        assert len(after) == 1

    async def test_a_method_of_the_apps_own(self) -> None:
        class Own(Flask):
            def update_template_context(self, context: dict[str, t.Any]) -> None:
                super().update_template_context(context)
                context["extra"] = "own"

        async with Own(__name__).app_context():
            assert await render_template_string_async("{{ extra }}") == "own"

    async def test_a_template_of_the_apps_own_environment(self, app: Flask) -> None:
        made = app.jinja_env.get_template("rows.html")
        async with app.app_context():
            assert await render_template_async(made, rows=[1]) == "1,"

    async def test_an_error_inside_is_raised(self, app: Flask) -> None:
        async with app.app_context():
            with pytest.raises(ZeroDivisionError):
                await render_template_string_async("{{ 1 / 0 }}")


class TestAsyncEnvironment:
    def test_is_made_once_and_shares(self, app: Flask) -> None:
        env = app.jinja_env
        overlay = _async_environment(env)
        assert overlay.is_async
        assert not env.is_async
        assert _async_environment(env) is overlay
        assert type(overlay) is Environment
        assert overlay.loader is env.loader

        @app.template_filter()
        def late(value: str) -> str:
            return value

        @app.template_global()
        def later() -> str:
            return ""

        assert _async_environment(env) is overlay
        assert overlay.filters["late"] is late
        assert overlay.globals["later"] is later

    @pytest.mark.parametrize(
        "change",
        [
            lambda env: setattr(env, "loader", DictLoader({})),
            lambda env: setattr(env, "auto_reload", True),
            lambda env: setattr(env, "autoescape", False),
            lambda env: setattr(env, "filters", {}),
            lambda env: env.add_extension("jinja2.ext.do"),
        ],
    )
    def test_follows_changes(self, app: Flask, change: Callable[[JinjaEnvironment], None]) -> None:
        env = app.jinja_env
        before = _async_environment(env)
        change(env)
        after = _async_environment(env)
        assert after is not before
        assert _async_environment(env) is after
        assert after.loader is env.loader
        assert after.auto_reload == env.auto_reload
        assert [*after.extensions] == [*env.extensions]

    def test_an_async_environment_needs_no_other(self) -> None:
        app = Flask(__name__)
        app.jinja_options = {"enable_async": True}
        assert _async_environment(app.jinja_env) is app.jinja_env

    async def test_bytecode_is_not_mixed_up(self, app: Flask, tmp_path: Path) -> None:
        app.jinja_env.bytecode_cache = FileSystemBytecodeCache(str(tmp_path))
        async with app.app_context():
            assert render_template("hello.html", name="a") == "Hello a!"
            assert await render_template_async("hello.html", name="a") == "Hello a!"
            app.jinja_env.cache.clear()  # type: ignore[union-attr]
            assert render_template("hello.html", name="a") == "Hello a!"
