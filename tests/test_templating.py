"""Templates: found, given what they need, rendered at once, piece by piece, and async."""

from __future__ import annotations

import asyncio
import typing as t
from collections.abc import Iterator
from pathlib import Path

import flask
import flask.templating
import pytest
from jinja2 import DictLoader, TemplateNotFound

import asyncflask
from asyncflask import (
    Blueprint,
    Flask,
    before_render_template,
    g,
    render_template,
    render_template_string,
    render_template_string_async,
    session,
    stream_template,
    stream_template_string,
    template_rendered,
)
from asyncflask.templating import (
    DispatchingJinjaLoader,
    Environment,
    _default_template_ctx_processor,
)

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


def test_has_all_that_flask_has() -> None:
    for name, value in vars(flask.templating).items():
        if getattr(value, "__module__", None) == "flask.templating":
            assert hasattr(asyncflask.templating, name), name


class TestRender:
    def test_by_name(self, app: Flask) -> None:
        with app.app_context():
            assert render_template("hello.html", name="<you>") == "Hello &lt;you&gt;!"
            assert render_template("text.txt", name="<you>") == "<you>"
            assert render_template("page.html", name="x") == "<x>"

    def test_the_first_of_several(self, app: Flask) -> None:
        with app.app_context():
            assert render_template(["none.html", "hello.html", "page.html"], name="a") == "Hello a!"

    def test_a_template_object(self, app: Flask) -> None:
        with app.app_context():
            made = app.jinja_env.get_template("hello.html")
            assert render_template(made, name="a") == "Hello a!"

    def test_a_string(self, app: Flask) -> None:
        with app.app_context():
            assert render_template_string("{{ a }}", a="<") == "&lt;"

    def test_missing(self, app: Flask) -> None:
        with app.app_context(), pytest.raises(TemplateNotFound, match=r"none\.html"):
            render_template("none.html")

    def test_without_an_app(self) -> None:
        with pytest.raises(RuntimeError, match="outside of application context"):
            render_template("hello.html")

    def test_streams(self, app: Flask) -> None:
        with app.app_context():
            assert [*stream_template("rows.html", rows=[1, 2])] == ["1", ",", "2", ","]
            assert "".join(stream_template_string("{{ a }}b", a="a")) == "ab"
            with pytest.raises(TemplateNotFound):
                stream_template("none.html")

    def test_a_stream_keeps_its_request(self, app: Flask) -> None:
        app.add_url_rule(
            "/", view_func=lambda: stream_template_string("{{ request.args.a }}{{ session.b }}")
        )

        @app.before_request
        def remember() -> None:
            session["b"] = "B"

        assert app.test_client().get("/?a=A").data == b"AB"


class TestContext:
    def test_g_and_request_are_themselves(self, app: Flask) -> None:
        assert _default_template_ctx_processor() == {}
        with app.app_context():
            assert _default_template_ctx_processor() == {"g": g._get_current_object()}
        with app.test_request_context() as ctx:
            assert _default_template_ctx_processor() == {"g": ctx.g, "request": ctx.request}

    def test_what_every_template_has(self, app: Flask) -> None:
        app.add_url_rule("/x", endpoint="x")
        with app.test_request_context("/?a=1"):
            g.b, session["c"] = "2", "3"
            source = (
                "{{ request.args.a }}{{ g.b }}{{ session.c }}{{ config.DEBUG }}"
                "{{ url_for('x') }}{{ get_flashed_messages() }}"
            )
            assert render_template_string(source) == "123False/x[]"

    def test_reading_the_session_is_an_access(self, app: Flask) -> None:
        with app.test_request_context() as ctx:
            assert render_template_string("{{ request.path }}{{ g.x }}") == "/"
            assert not ctx._session.accessed
            render_template_string("{{ session.x }}")
            assert ctx._session.accessed

    def test_the_default_processor_is_registered(self, app: Flask) -> None:
        assert app.template_context_processors[None] == [_default_template_ctx_processor]
        recorded = record(app, before_render_template)
        with app.test_request_context() as ctx:
            render_template("text.txt")
        assert recorded[0][1] == {"g": ctx.g, "request": ctx.request}

    def test_processors(self, app: Flask) -> None:
        @app.context_processor
        def inject() -> dict[str, t.Any]:
            return {"injected": "yes", "given": "lost"}

        with app.app_context():
            assert render_template("context.html", given="kept") == "kept|yes"

    def test_async_processors(self, app: Flask) -> None:
        @app.context_processor
        async def inject() -> dict[str, t.Any]:
            await asyncio.sleep(0)
            return {"injected": "awaited"}

        app.add_url_rule("/", view_func=lambda: render_template("context.html"))
        assert app.test_client().get("/").data == b"|awaited"

    @pytest.mark.parametrize("path", ["/outer/inner/sync", "/outer/inner/async"])
    def test_blueprints_after_the_app_innermost_last(self, app: Flask, path: str) -> None:
        outer = Blueprint("outer", __name__, url_prefix="/outer")
        inner = Blueprint("inner", __name__, url_prefix="/inner")
        other = Blueprint("other", __name__)
        for place, word in ((app, "app"), (outer, "outer"), (inner, "inner"), (other, "other")):
            place.context_processor(lambda word=word: {"last": word, word: 1})
        source = "{{ last }}{{ app }}{{ outer }}{{ inner }}{{ other }}"

        @inner.get("/sync")
        def sync() -> str:
            return render_template_string(source)

        @inner.get("/async")
        async def async_() -> str:
            return await render_template_string_async(source)

        outer.register_blueprint(inner)
        app.register_blueprint(outer)
        app.register_blueprint(other)
        assert app.test_client().get(path).data == b"inner111"

    def test_a_method_of_the_apps_own(self) -> None:
        class Own(Flask):
            def update_template_context(self, context: dict[str, t.Any]) -> None:
                super().update_template_context(context)
                context["extra"] = "own"

        with Own(__name__).app_context():
            assert render_template_string("{{ extra }}") == "own"


class TestSignals:
    def test_before_and_after(self, app: Flask) -> None:
        before, after = record(app, before_render_template), record(app, template_rendered)
        with app.app_context():
            render_template("hello.html", name="a")
        assert before[0][0].name == after[0][0].name == "hello.html"
        assert after[0][1]["name"] == "a"

    def test_a_receiver_changes_the_context(self, app: Flask) -> None:
        def receive(sender: Flask, template: t.Any, context: dict[str, t.Any]) -> None:
            context["name"] = "changed"

        with before_render_template.connected_to(receive, app), app.app_context():
            assert render_template("hello.html", name="a") == "Hello changed!"

    def test_of_a_stream_at_its_end(self, app: Flask) -> None:
        after = record(app, template_rendered)
        with app.test_request_context():
            stream = stream_template("rows.html", rows=[1, 2])
            next(stream)
            assert not after
            assert len([*stream]) == 3
            assert len(after) == 1


class TestLoader:
    @pytest.fixture
    def app(self, tmp_path: Path) -> Flask:
        app = Flask("some_app", root_path=str(tmp_path))
        for name in ("one", "two"):
            blueprint = Blueprint(name, name, root_path=str(tmp_path), template_folder=name)
            app.register_blueprint(blueprint)
        app.register_blueprint(Blueprint("bare", __name__))
        for path in ("templates/app.html", "one/both.html", "one/app.html", "two/both.html"):
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_text(path)
        return app

    @pytest.mark.parametrize("explain", [True, False])
    def test_the_app_first_then_its_blueprints(self, app: Flask, explain: bool) -> None:
        app.config["EXPLAIN_TEMPLATE_LOADING"] = explain
        with app.app_context():
            assert render_template("app.html") == "templates/app.html"
            assert render_template("both.html") == "one/both.html"
            with pytest.raises(TemplateNotFound, match=r"none\.html"):
                render_template("none.html")

    def test_lists_each_name_once(self, app: Flask) -> None:
        loader = DispatchingJinjaLoader(app)
        assert sorted(loader.list_templates()) == ["app.html", "both.html"]

    @pytest.mark.parametrize("name", ["../secret.html", "a/../../secret.html", "/etc/passwd", "\0"])
    def test_stays_inside(self, app: Flask, tmp_path: Path, name: str) -> None:
        (tmp_path / "secret.html").write_text("secret")
        with app.app_context(), pytest.raises(TemplateNotFound):
            render_template(name)

    def test_an_environment_with_a_loader_of_its_own(self, app: Flask) -> None:
        loader = DictLoader({})
        assert Environment(app, loader=loader).loader is loader
        assert isinstance(Environment(app).loader, DispatchingJinjaLoader)


def test_generators_of_pieces_are_iterators(app: Flask) -> None:
    with app.app_context():
        stream: Iterator[str] = stream_template("hello.html", name="a")
        assert iter(stream) is stream
