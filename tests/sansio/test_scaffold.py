"""Registration: the decorators return what they are given, and fill the right registry."""

from __future__ import annotations

import os
import typing as t
from http import HTTPStatus
from pathlib import Path

import pytest
from jinja2 import FileSystemLoader
from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, NotFound

from asyncflask.sansio.app import App
from asyncflask.sansio.scaffold import (
    Scaffold,
    _endpoint_from_view_func,
    _split_blueprint_path,
    setupmethod,
)

HOOKS = [
    ("before_request", "before_request_funcs"),
    ("after_request", "after_request_funcs"),
    ("teardown_request", "teardown_request_funcs"),
    ("context_processor", "template_context_processors"),
    ("url_value_preprocessor", "url_value_preprocessors"),
    ("url_defaults", "url_default_functions"),
]


def plain(*args: t.Any) -> t.Any:
    return None


async def coroutine(*args: t.Any) -> t.Any:
    return None


@pytest.mark.parametrize(("decorator", "registry"), HOOKS)
@pytest.mark.parametrize("function", [plain, coroutine])
def test_hook_decorator(app: App, decorator: str, registry: str, function: t.Any) -> None:
    own = [*getattr(app, registry)[None]]
    assert getattr(app, decorator)(function) is function
    assert getattr(app, decorator)(plain) is plain
    assert getattr(app, registry)[None] == [*own, function, plain]


@pytest.mark.parametrize(("decorator", "registry"), HOOKS)
def test_hook_registries_may_be_plain_dicts(app: App, decorator: str, registry: str) -> None:
    setattr(app, registry, {})
    getattr(app, decorator)(plain)
    assert getattr(app, registry) == {None: [plain]}


@pytest.mark.parametrize("name", ["get", "post", "put", "delete", "patch"])
@pytest.mark.parametrize("function", [plain, coroutine])
def test_method_decorator(app: App, name: str, function: t.Any) -> None:
    assert getattr(app, name)("/x", endpoint="x", defaults={"a": 1})(function) is function
    (rule,) = app.url_map.iter_rules("x")
    assert rule.methods is not None
    assert {name.upper()} == rule.methods - {"HEAD", "OPTIONS"}
    assert rule.defaults == {"a": 1}
    assert app.view_functions["x"] is function


def test_method_decorator_refuses_methods(app: App) -> None:
    with pytest.raises(TypeError, match=r"stands for POST alone.*`route"):
        app.post("/x", methods=["GET"])


def test_route_keeps_the_function(app: App) -> None:
    @app.route("/x", methods=["PUT", "get"])
    def view() -> str:
        return "x"

    assert view() == "x"
    (rule,) = app.url_map.iter_rules("view")
    assert rule.methods == {"PUT", "GET", "HEAD", "OPTIONS"}


def test_route_decorator_is_reusable(app: App) -> None:
    add = app.route("/x/<int:id>", methods=["POST"])

    def one() -> str:
        return ""

    def two() -> str:
        return ""

    add(one)
    add(two)
    assert {rule.endpoint for rule in app.url_map.iter_rules()} == {"one", "two"}


def test_endpoint(app: App) -> None:
    app.add_url_rule("/x", endpoint="x")
    assert "x" not in app.view_functions
    assert app.endpoint("x")(plain) is plain
    assert app.view_functions == {"x": plain}


def test_endpoint_of_a_view() -> None:
    assert _endpoint_from_view_func(plain) == "plain"
    with pytest.raises(AssertionError, match="neither a view nor an endpoint"):
        _endpoint_from_view_func(None)


class Failed(Exception):
    pass


class Teapot(HTTPException):
    code = 418


class Uncoded(HTTPException):
    pass


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (404, (NotFound, 404)),
        (HTTPStatus.FORBIDDEN, (Forbidden, 403)),
        (BadRequest, (BadRequest, 400)),
        (Teapot, (Teapot, 418)),
        (Uncoded, (Uncoded, None)),
        (HTTPException, (HTTPException, None)),
        (Exception, (Exception, None)),
        (Failed, (Failed, None)),
        (ExceptionGroup, (ExceptionGroup, None)),
    ],
)
def test_error_handler_key(given: t.Any, expected: t.Any) -> None:
    assert Scaffold._get_exc_class_and_code(given) == expected


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (999, ValueError, "code 999 to handle. Use a subclass of HTTPException"),
        (200, ValueError, "Use a subclass of HTTPException"),
        (Failed("x"), TypeError, r"Failed\('x'\) is an instance, not a class.*for Failed"),
        (list, ValueError, "'list' is not a subclass of Exception"),
        (KeyboardInterrupt, ValueError, "'KeyboardInterrupt' is not a subclass of Exception"),
        ("404", ValueError, "''404'' is not a subclass of Exception"),
        (None, ValueError, "'None' is not a subclass of Exception"),
    ],
)
def test_error_handler_key_refused(given: t.Any, error: t.Any, message: str) -> None:
    with pytest.raises(error, match=message):
        Scaffold._get_exc_class_and_code(given)


@pytest.mark.parametrize("function", [plain, coroutine])
def test_errorhandler(app: App, function: t.Any) -> None:
    assert app.errorhandler(404)(function) is function
    app.register_error_handler(Failed, function)
    assert app.error_handler_spec[None] == {404: {NotFound: function}, None: {Failed: function}}


def test_errorhandler_replaces(app: App) -> None:
    app.register_error_handler(404, plain)
    app.register_error_handler(NotFound, coroutine)
    assert app.error_handler_spec[None][404] == {NotFound: coroutine}


def test_setupmethod_keeps_the_method() -> None:
    assert Scaffold.route.__name__ == "route"
    assert Scaffold.route.__doc__


def test_setupmethod_checks_first() -> None:
    calls = []

    class Late(Scaffold):
        def _check_setup_finished(self, f_name: str) -> None:
            raise AssertionError(f"{f_name} is late")

        @setupmethod
        def change(self) -> None:
            calls.append(self)

    with pytest.raises(AssertionError, match="change is late"):
        Late("plain").change()
    assert not calls


def test_base_is_abstract() -> None:
    scaffold = Scaffold("plain")
    with pytest.raises(NotImplementedError):
        scaffold._check_setup_finished("x")
    with pytest.raises(NotImplementedError):
        Scaffold.add_url_rule.__wrapped__(scaffold, "/")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("files", "files"),
        ("files/", "files"),
        ("a/b", "a/b"),
        (Path("files"), "files"),
        ("/srv/files//", "/srv/files"),
        ("", ""),
    ],
)
def test_static_folder(make_app: t.Any, folder: t.Any, expected: str) -> None:
    app = make_app(static_folder=folder, root_path="/srv/app")
    assert app.has_static_folder
    assert app.static_folder == os.path.join("/srv/app", expected)


def test_no_static_folder(make_app: t.Any) -> None:
    app = make_app(static_folder=None)
    assert not app.has_static_folder
    assert app.static_folder is None
    assert app.static_url_path is None
    app.static_folder = "later"
    assert app.static_url_path == "/later"
    app.static_folder = None
    assert not app.has_static_folder


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "/static"),
        ({"static_folder": "a/b"}, "/b"),
        ({"static_folder": ""}, ""),
        ({"static_url_path": "/s/"}, "/s"),
        ({"static_url_path": ""}, ""),
        ({"static_folder": None, "static_url_path": "/s"}, "/s"),
    ],
)
def test_static_url_path(make_app: t.Any, options: t.Any, expected: str) -> None:
    assert make_app(root_path="/srv/app", **options).static_url_path == expected


def test_static_url_path_is_settable(app: App) -> None:
    app.static_url_path = "/other/"
    assert app.static_url_path == "/other"
    app.static_url_path = None
    assert app.static_url_path == "/static"


def test_jinja_loader(make_app: t.Any) -> None:
    app = make_app(root_path="/srv/app", template_folder=Path("pages"))
    assert isinstance(app.jinja_loader, FileSystemLoader)
    assert app.jinja_loader.searchpath == ["/srv/app/pages"]
    assert app.jinja_loader is app.jinja_loader
    assert make_app(template_folder=None).jinja_loader is None


def test_root_path_is_found(make_app: t.Any) -> None:
    assert make_app("json").root_path == os.path.dirname(os.path.abspath(t.__file__)) + "/json"


def test_repr(app: App) -> None:
    assert repr(app) == "<PlainApp 'plain'>"


@pytest.mark.parametrize(
    ("name", "expected"), [("a", ["a"]), ("a.b", ["a.b", "a"]), ("a.b.c", ["a.b.c", "a.b", "a"])]
)
def test_split_blueprint_path(name: str, expected: list[str]) -> None:
    assert _split_blueprint_path(name) == expected
