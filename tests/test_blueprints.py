"""Blueprints of a running app: the same on Flask and here, then what only we have."""

from __future__ import annotations

import os
import typing as t
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import flask
import pytest
from werkzeug.exceptions import Forbidden

import asyncflask
from asyncflask import Blueprint, Flask, abort, url_for
from asyncflask.cli import AppGroup


@pytest.fixture(params=[asyncflask, flask], ids=["asyncflask", "flask"])
def web(request: pytest.FixtureRequest) -> t.Any:
    return request.param


@pytest.fixture
def root(tmp_path: Path) -> str:
    for path, text in {
        "static/a.txt": "app's file",
        "files/a.txt": "blueprint's file",
        "files/style.css": "/* css */",
        "files/deep/b.txt": "deep",
        "files_secret/c.txt": "secret",
        "secret.txt": "secret",
        "templates/both.html": "app's both",
        "templates/app.html": "app's {{ extra }}",
        "pages/both.html": "blueprint's both",
        "pages/bp.html": "blueprint's {{ extra }}",
        "pages/request.html": "{{ request.blueprint }} {{ name_of('x') }} {{ 'a'|twice }}",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, "utf-8")
    return os.fspath(tmp_path)


@pytest.fixture
def app(web: t.Any, root: str) -> t.Any:
    app = web.Flask("blueprinted", root_path=root)
    app.testing = True
    app.secret_key = "key"
    return app


@pytest.fixture
def make(web: t.Any, root: str) -> t.Any:
    def make(name: str = "bp", **options: t.Any) -> t.Any:
        return web.Blueprint(name, "blueprinted", root_path=root, **options)

    return make


@pytest.fixture
def client(app: t.Any) -> t.Any:
    return app.test_client()


def answer(client: t.Any, path: str, method: str = "GET") -> tuple[int, str]:
    with closing(client.open(path, method=method)) as response:
        return response.status_code, response.text


# Errors


def test_error_handlers(web: t.Any, app: t.Any, make: t.Any, client: t.Any) -> None:
    class Failed(Exception):
        pass

    class Worse(Failed):
        pass

    front, back, side = make("front"), make("back"), make("side")
    for bp in (front, back, side):

        def fail(kind: str) -> t.NoReturn:
            raise Worse if kind == "worse" else Failed if kind == "failed" else Forbidden

        bp.get(f"/{bp.name}/<kind>")(fail)

    front.errorhandler(403)(lambda e: ("front 403", 403))
    back.register_error_handler(Failed, lambda e: f"back {type(e).__name__}")
    side.app_errorhandler(Worse)(lambda e: "side's for all: Worse")
    for bp in (front, back, side):
        app.register_blueprint(bp)
    app.errorhandler(403)(lambda e: ("app 403", 403))

    assert answer(client, "/front/no") == (403, "front 403")
    assert answer(client, "/back/no") == (403, "app 403")
    assert answer(client, "/back/failed") == (200, "back Failed")
    assert answer(client, "/back/worse") == (200, "back Worse")
    assert answer(client, "/side/worse") == (200, "side's for all: Worse")
    with pytest.raises(Failed):
        client.get("/side/failed")


def test_nested_error_handlers(web: t.Any, app: t.Any, make: t.Any, client: t.Any) -> None:
    outer, inner, deepest = make("o"), make("i"), make("d")
    for bp in (outer, inner, deepest):

        def fail(code: int = 404) -> None:
            web.abort(code)

        bp.get(f"/{bp.name}")(fail)
        bp.get(f"/{bp.name}/<int:code>")(fail)

    outer.errorhandler(404)(lambda e: ("outer", 404))
    outer.errorhandler(403)(lambda e: ("outer", 403))
    inner.errorhandler(404)(lambda e: ("inner", 404))
    inner.register_blueprint(deepest)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert answer(client, "/o") == (404, "outer")
    assert answer(client, "/i") == (404, "inner")
    assert answer(client, "/d") == (404, "inner")
    assert answer(client, "/d/403") == (403, "outer")


# URLs


def test_url_defaults(app: t.Any, make: t.Any, client: t.Any) -> None:
    bp = make()
    bp.add_url_rule("/foo", "foo", lambda bar, baz: f"{bar}/{baz:d}", defaults={"baz": 42})
    bp.add_url_rule("/bar", "bar", lambda bar: str(bar))
    app.register_blueprint(bp, url_prefix="/1", url_defaults={"bar": 23})
    app.register_blueprint(bp, name="two", url_prefix="/2", url_defaults={"bar": 19})
    found = [answer(client, path)[1] for path in ("/1/foo", "/2/foo", "/1/bar", "/2/bar")]
    assert found == ["23/42", "19/42", "23", "19"]


def test_url_processors(web: t.Any, app: t.Any, make: t.Any, client: t.Any) -> None:
    bp = make(url_prefix="/<lang>")

    def add_lang(endpoint: str, values: dict[str, t.Any]) -> None:
        values.setdefault("lang", web.g.lang)

    def pull_lang(endpoint: str, values: dict[str, t.Any]) -> None:
        web.g.lang = values.pop("lang")

    bp.url_defaults(add_lang)
    bp.url_value_preprocessor(pull_lang)

    bp.add_url_rule("/", "index", lambda: web.url_for(".about"))
    bp.add_url_rule("/about", "about", lambda: web.url_for("bp.index"))
    app.register_blueprint(bp)
    assert answer(client, "/de/") == (200, "/de/about")
    assert answer(client, "/en/about") == (200, "/en/")


def test_relative_endpoints(web: t.Any, app: t.Any, make: t.Any, client: t.Any) -> None:
    outer, inner = make("o", url_prefix="/o"), make("i", url_prefix="/i")
    for bp in (outer, inner):
        bp.add_url_rule("/", "index", lambda: web.url_for(".index"))
        bp.add_url_rule("/where", "where", lambda: " ".join(web.request.blueprints))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert answer(client, "/o/") == (200, "/o/")
    assert answer(client, "/o/i/") == (200, "/o/i/")
    assert answer(client, "/o/i/where") == (200, "o.i o")
    with app.test_request_context():
        assert web.url_for("o.i.index") == "/o/i/"


def test_dotted_names(app: t.Any, make: t.Any, client: t.Any) -> None:
    bp = make("parent")
    for name in ("one", "two"):
        nested = make(name, url_prefix=f"/{name}")
        nested.add_url_rule("/", "index", lambda name=name: name)
        bp.register_blueprint(nested, name=f"called-{name}")
    app.register_blueprint(bp)
    assert set(app.view_functions) == {
        "static",
        "parent.called-one.index",
        "parent.called-two.index",
    }
    assert answer(client, "/two/") == (200, "two")


@pytest.mark.parametrize("matching", [True, False])
def test_subdomains(web: t.Any, make: t.Any, root: str, matching: bool) -> None:
    app = web.Flask("blueprinted", root_path=root, subdomain_matching=matching)
    app.config["SERVER_NAME"] = "example.com"
    outer, inner = make("o", subdomain="api"), make("i", subdomain="v1")
    inner.add_url_rule("/", "index", lambda: "inner")
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    client = app.test_client()
    status = client.get("/", base_url="http://v1.api.example.com").status_code
    assert status == (200 if matching else 404)
    assert client.get("/", base_url="http://api.example.com").status_code == 404


# Hooks


def note_hooks(scaffold: t.Any, name: str, seen: list[str], *, app_wide: bool = False) -> None:
    """Register hooks of every kind that note when they run."""
    all_ = "app_" if app_wide else ""

    def before() -> None:
        seen.append(f"before {name}")

    def after(response: t.Any) -> t.Any:
        seen.append(f"after {name}")
        return response

    def teardown(error: BaseException | None) -> None:
        seen.append(f"teardown {name}")

    def preprocess(endpoint: str, values: dict[str, t.Any]) -> None:
        seen.append(f"values {name}")

    getattr(scaffold, f"before_{all_}request")(before)
    getattr(scaffold, f"after_{all_}request")(after)
    getattr(scaffold, f"teardown_{all_}request")(teardown)
    getattr(scaffold, f"{all_}url_value_preprocessor")(preprocess)


ORDER = {
    "/i": "values app, values other, values outer, values inner,"
    " before app, before other, before outer, before inner,"
    " view, after inner, after outer, after other, after app,"
    " teardown inner, teardown outer, teardown other, teardown app",
    "/p": "values app, values other, before app, before other, view,"
    " after other, after app, teardown other, teardown app",
}


@pytest.mark.parametrize("path", ORDER)
def test_order_of_hooks(app: t.Any, make: t.Any, client: t.Any, path: str) -> None:
    seen: list[str] = []

    def view() -> str:
        seen.append("view")
        return ""

    outer, inner, other = make("o"), make("i"), make("other")
    note_hooks(app, "app", seen)
    note_hooks(outer, "outer", seen)
    note_hooks(inner, "inner", seen)
    note_hooks(other, "other", seen, app_wide=True)
    inner.add_url_rule("/i", view_func=view)
    app.add_url_rule("/p", view_func=view)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    app.register_blueprint(other)
    assert answer(client, path) == (200, "")
    assert ", ".join(seen) == ORDER[path]


# Static files


def test_static_files(web: t.Any, app: t.Any, make: t.Any, client: t.Any) -> None:
    app.register_blueprint(make(static_folder="files", url_prefix="/p"))
    assert answer(client, "/static/a.txt") == (200, "app's file")
    assert answer(client, "/p/files/a.txt") == (200, "blueprint's file")
    assert answer(client, "/p/files/deep/b.txt") == (200, "deep")
    with closing(client.get("/p/files/style.css")) as response:
        assert response.mimetype == "text/css"
    with app.test_request_context():
        url = web.url_for("bp.static", filename="deep/b.txt")
        assert url == "/p/files/deep/b.txt"


def test_app_s_static_files_come_first(app: t.Any, make: t.Any, client: t.Any) -> None:
    app.register_blueprint(make(static_folder="files", static_url_path="/static"))
    assert answer(client, "/static/a.txt") == (200, "app's file")


@pytest.mark.parametrize(
    "path",
    [
        *("missing.txt", "deep", "deep/", "../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt"),
        *("../files_secret/c.txt", "a.txt/b", "./../secret.txt", "deep/../../secret.txt"),
        *("%00", "a.txt%00", "..%00/secret.txt", "%5c..%5csecret.txt", "/etc/passwd", "C:/x"),
        *("%ff", "%ed%a0%80", "a" * 5000),
    ],
)
def test_no_other_file_is_served(root: str, path: str) -> None:
    app = Flask("blueprinted", root_path=root)
    bp = Blueprint("bp", "blueprinted", root_path=root, static_folder="files", url_prefix="/p")
    app.register_blueprint(bp)
    status, text = answer(app.test_client(), f"/p/files/{path}")
    assert status in (404, 308)
    assert "secret" not in text.replace("/secret", "")


@pytest.mark.parametrize(
    ("setting", "expected"), [(None, None), (60, 60), (timedelta(minutes=2), 120)]
)
def test_default_max_age(
    app: t.Any, make: t.Any, client: t.Any, setting: t.Any, expected: int | None
) -> None:
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = setting
    bp = make(static_folder="files", url_prefix="/p")
    app.register_blueprint(bp)
    with app.app_context():
        assert bp.get_send_file_max_age("a.txt") == expected
    with closing(client.get("/p/files/a.txt")) as response:
        assert response.cache_control.max_age == expected


def test_own_max_age(web: t.Any, app: t.Any, root: str, client: t.Any) -> None:
    class Own(web.Blueprint):  # type: ignore[misc]
        def get_send_file_max_age(self, filename: str | None) -> int:
            return 100

    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 60
    app.register_blueprint(
        Own("bp", "blueprinted", static_folder="files", url_prefix="/p", root_path=root)
    )
    with closing(client.get("/p/files/a.txt")) as response:
        assert response.cache_control.max_age == 100
    with closing(client.get("/static/a.txt")) as response:
        assert response.cache_control.max_age == 60


def test_no_static_folder(app: t.Any, make: t.Any) -> None:
    bp = make()
    app.register_blueprint(bp)
    assert "bp.static" not in app.view_functions
    with app.test_request_context(), pytest.raises(RuntimeError, match="static_folder"):
        bp.send_static_file("a.txt")


# Resources


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("rb", b"blueprint's file"), ("r", "blueprint's file"), ("rt", "blueprint's file")],
)
def test_open_resource(make: t.Any, mode: str, expected: t.Any) -> None:
    with make().open_resource("files/a.txt", mode) as file:
        assert file.read() == expected


def test_open_resource_encoding(make: t.Any, root: str) -> None:
    Path(root, "latin.txt").write_bytes(b"\xe9")
    with make().open_resource("latin.txt", "r", encoding="latin-1") as file:
        assert file.read() == "é"
    with make().open_resource("latin.txt", encoding="latin-1") as file:
        assert file.read() == b"\xe9"
    with make().open_resource("latin.txt", "r") as file, pytest.raises(UnicodeDecodeError):
        file.read()


@pytest.mark.parametrize("mode", ["w", "x", "a", "r+", "wb", "br", ""])
def test_open_resource_for_writing(make: t.Any, mode: str) -> None:
    with pytest.raises(ValueError, match="Resources can only be opened for reading"):
        make().open_resource("files/a.txt", mode)


# Templates


def test_templates(web: t.Any, app: t.Any, make: t.Any, client: t.Any) -> None:
    bp = make(template_folder="pages")
    bp.context_processor(lambda: {"extra": "from bp"})
    bp.add_url_rule("/<name>", "show", web.render_template)
    app.add_url_rule("/app/<name>", "show", web.render_template)
    app.register_blueprint(bp)

    def show(template_name_or_list: str) -> t.Any:
        return web.render_template(template_name_or_list)

    for endpoint in ("show", "bp.show"):
        app.view_functions[endpoint] = lambda name: show(name)
    assert answer(client, "/both.html") == (200, "app's both")
    assert answer(client, "/app.html") == (200, "app's from bp")
    assert answer(client, "/bp.html") == (200, "blueprint's from bp")
    assert answer(client, "/app/bp.html") == (200, "blueprint's ")
    with pytest.raises(web.templating.TemplateNotFound):
        client.get("/missing.html")


def test_template_functions(web: t.Any, app: t.Any, make: t.Any, client: t.Any) -> None:
    bp = make(template_folder="pages")

    def name_of(value: str) -> str:
        return f"name of {value}"

    bp.app_template_global()(name_of)
    bp.add_app_template_filter(lambda value: value * 2, "twice")
    bp.add_url_rule("/", "index", lambda: web.render_template("request.html"))
    app.register_blueprint(bp)
    assert answer(client, "/") == (200, "bp name of x aa")


def test_app_context_processor(web: t.Any, app: t.Any, make: t.Any, client: t.Any) -> None:
    bp = make()
    bp.app_context_processor(lambda: {"extra": "everywhere"})
    app.add_url_rule("/", "index", lambda: web.render_template("app.html"))
    app.register_blueprint(bp)
    assert answer(client, "/") == (200, "app's everywhere")


# Commands


def test_commands(app: t.Any, make: t.Any) -> None:
    import click

    for name, group in (("own", {}), ("merged", {"cli_group": None})):
        bp = make(name, **group)

        def command(name: str = name) -> None:
            click.echo(f"hello from {name}")

        bp.cli.command(f"from-{name}")(command)
        app.register_blueprint(bp)
    runner = app.test_cli_runner()
    assert runner.invoke(args=["own", "from-own"]).output == "hello from own\n"
    assert runner.invoke(args=["from-merged"]).output == "hello from merged\n"
    assert runner.invoke(args=["from-own"]).exit_code == 2


def test_command_group() -> None:
    bp = Blueprint("bp", "blueprinted", root_path="/")
    assert type(bp.cli) is AppGroup
    assert bp.cli.name == "bp"


# Only here: async all the way


@pytest.fixture
def async_app(root: str) -> Flask:
    app = Flask("blueprinted", root_path=root)
    app.testing = True
    bp = Blueprint("bp", "blueprinted", root_path=root, url_prefix="/p", static_folder="files")
    seen = app.extensions["seen"] = []

    @bp.before_request
    async def before() -> None:
        seen.append("before")

    @bp.after_app_request
    async def after(response: asyncflask.Response) -> asyncflask.Response:
        seen.append("after")
        return response

    @bp.teardown_request
    async def teardown(error: BaseException | None) -> None:
        seen.append("teardown")

    @bp.url_value_preprocessor
    async def preprocess(endpoint: str | None, values: dict[str, t.Any] | None) -> None:
        seen.append("values")

    @bp.errorhandler(404)
    async def missing(error: Exception) -> tuple[str, int]:
        return "async 404", 404

    @bp.get("/")
    async def index() -> str:
        return url_for(".index")

    @bp.get("/missing")
    async def fail() -> str:
        abort(404)

    app.register_blueprint(bp)
    return app


def test_async_hooks(async_app: Flask) -> None:
    assert answer(async_app.test_client(), "/p/") == (200, "/p/")
    assert async_app.extensions["seen"] == ["values", "before", "after", "teardown"]


async def test_async_hooks_under_asgi(async_app: Flask) -> None:
    async with async_app.async_client() as client:
        assert (await client.get("/p/")).text == "/p/"
        assert (await client.get("/p/missing")).text == "async 404"
        assert (await client.get("/p/files/a.txt")).text == "blueprint's file"
        assert (await client.get("/p/files/none")).text == "async 404"
    assert async_app.extensions["seen"][:4] == ["values", "before", "after", "teardown"]


def test_async_url_defaults_from_a_thread(root: str) -> None:
    app = Flask("blueprinted", root_path=root)

    @app.url_defaults
    async def add(endpoint: str, values: dict[str, t.Any]) -> None:
        values.setdefault("lang", "en")

    @app.get("/<lang>/")
    def index(lang: str) -> str:
        return url_for("index")

    assert answer(app.test_client(), "/de/") == (200, "/en/")


def test_commands_are_not_made_for_the_question_whether_there_are_any() -> None:
    app, bp = (
        asyncflask.Flask("app", root_path="/"),
        asyncflask.Blueprint("bp", "bp", root_path="/"),
    )
    app.register_blueprint(bp)
    assert "cli" not in {*vars(app), *vars(bp)}
    bp.cli.command("late")(lambda: None)
    app.register_blueprint(bp, name="again")
    assert [*app.cli.commands] == ["again"]


def test_a_group_of_the_class_counts() -> None:
    class Own(asyncflask.Blueprint):
        cli = AppGroup("own")

    Own.cli.command("hello")(lambda: None)
    app = asyncflask.Flask("app", root_path="/")
    app.register_blueprint(Own("bp", "bp", root_path="/"))
    assert [*app.cli.commands] == ["bp"]
