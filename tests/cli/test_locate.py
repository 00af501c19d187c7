from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from asyncflask import Flask
from asyncflask.cli import (
    NoAppException,
    find_app_by_string,
    find_best_app,
    locate_app,
    prepare_import,
)


def module(**names: Any) -> ModuleType:
    made = ModuleType("project")
    vars(made).update(names)
    return made


def create_named(name: str = "made", *, suffix: str = "") -> Flask:
    return Flask(name + suffix)


@pytest.mark.parametrize("name", ["app", "application"])
def test_the_usual_names_win_over_others(name: str) -> None:
    app = Flask("one")
    assert find_best_app(module(**{"other": Flask("two"), name: app})) is app


def test_the_only_app_needs_no_usual_name() -> None:
    app = Flask("one")
    assert find_best_app(module(something=app, number=3)) is app


def test_several_apps_are_named_in_the_message() -> None:
    with pytest.raises(NoAppException, match="'project:one', 'project:two'"):
        find_best_app(module(one=Flask("one"), two=Flask("two")))


@pytest.mark.parametrize("name", ["create_app", "make_app"])
def test_a_factory_is_called(name: str) -> None:
    assert find_best_app(module(**{name: create_named})).name == "made"


def test_an_async_factory_is_run() -> None:
    async def create_app() -> Flask:
        return Flask("async")

    assert find_best_app(module(create_app=create_app)).name == "async"
    assert find_app_by_string(module(build=create_app), "build()").name == "async"


def test_a_factory_that_needs_arguments_is_told_how_to_get_them() -> None:
    def create_app(config: str) -> Flask:
        return Flask(config)

    with pytest.raises(NoAppException, match=r"project:create_app\(\.\.\.\)"):
        find_best_app(module(create_app=create_app))


@pytest.mark.parametrize("name", [None, "create_app", "create_app()"])
def test_a_type_error_of_the_factory_itself_comes_through(name: str | None) -> None:
    def create_app() -> Flask:
        raise TypeError("mine")

    made = module(create_app=create_app)
    with pytest.raises(TypeError, match="mine"):
        find_best_app(made) if name is None else find_app_by_string(made, name)


def test_without_any_app_the_message_says_what_was_looked_for() -> None:
    with pytest.raises(NoAppException, match="no app: no variable"):
        find_best_app(module(app="not one"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("create", "made"),
        ("create()", "made"),
        (" create ( ) ", "made"),
        ("create('dev')", "dev"),
        ("create('dev', suffix='2', )", "dev2"),
        ("ready", "ready"),
    ],
)
def test_an_app_by_string(text: str, name: str) -> None:
    made = module(create=create_named, ready=Flask("ready"))
    assert find_app_by_string(made, text).name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("create(", "cannot be read"),
        ("1 + 1", "cannot be read"),
        ("module.create()", "plain name"),
        ("create(name)", "literals"),
        ("create(1, 2)", "signature is create"),
        ("missing", "no attribute 'missing'"),
        ("number", "type 'int'"),
        ("nothing()", "type 'NoneType'"),
    ],
)
def test_what_names_no_app(text: str, message: str) -> None:
    made = module(create=create_named, number=3, nothing=lambda: None)
    with pytest.raises(NoAppException, match=message):
        find_app_by_string(made, text)


def test_the_path_of_a_module_in_a_package(project: Path) -> None:
    for folder in ("outer", "outer/inner"):
        (project / folder).mkdir()
        (project / folder / "__init__.py").touch()
    (project / "outer/inner/site.py").touch()
    for given in ("outer/inner/site.py", "outer/inner/site"):
        assert prepare_import(given) == "outer.inner.site"
        assert sys.path[0] == str(project)
    assert prepare_import("outer/inner/__init__.py") == "outer.inner"
    assert prepare_import("outer/inner") == "outer.inner"
    assert prepare_import("dotted.name") == "dotted.name"


def test_the_directory_is_not_put_on_the_path_twice(project: Path) -> None:
    prepare_import("app.py")
    before = sys.path[:]
    prepare_import("app.py")
    assert sys.path == before


def test_an_import_that_fails_inside_shows_the_users_traceback_only(project: Path) -> None:
    (project / "broken.py").write_text("import this_is_nowhere\n")
    with pytest.raises(NoAppException) as caught:
        locate_app(prepare_import("broken"), None, raise_if_not_found=False)
    assert "broken.py" in caught.value.message
    assert "this_is_nowhere" in caught.value.message
    assert "asyncflask" not in caught.value.message


def test_a_missing_module(project: Path) -> None:
    name = prepare_import("nowhere.app")
    assert locate_app(name, None, raise_if_not_found=False) is None
    with pytest.raises(NoAppException, match=str(project)):
        locate_app(name, None)


def test_other_errors_of_the_module_are_not_caught(project: Path) -> None:
    (project / "broken.py").write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        locate_app(prepare_import("broken"), None)


def test_objects_that_look_like_modules_will_do() -> None:
    app = Flask("one")
    assert find_best_app(SimpleNamespace(__name__="space", app=app)) is app  # type: ignore[arg-type]
