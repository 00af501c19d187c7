"""What is registered for templates."""

from __future__ import annotations

import typing as t
from inspect import unwrap

import pytest
from jinja2 import BaseLoader, DictLoader

from asyncflask.sansio.app import App
from asyncflask.sansio.templates import TemplateRegistry


def double(value: t.Any) -> t.Any:
    return value * 2


async def double_async(value: t.Any) -> t.Any:
    return value * 2


@pytest.mark.parametrize("kind", ["filter", "test", "global"])
@pytest.mark.parametrize("function", [double, double_async])
def test_registration(app: App, kind: str, function: t.Any) -> None:
    registry = getattr(app.jinja_env, f"{kind}s")
    assert getattr(app, f"template_{kind}")()(function) is function
    assert unwrap(registry[function.__name__]) is function
    assert getattr(app, f"template_{kind}")("by_name")(function) is function
    assert unwrap(registry["by_name"]) is function
    getattr(app, f"add_template_{kind}")(function, "by_call")
    assert unwrap(registry["by_call"]) is function
    getattr(app, f"add_template_{kind}")(str.upper)
    assert registry["upper"] is str.upper


def test_registered_functions_work(app: App) -> None:
    app.add_template_filter(double)
    app.add_template_test(str.isupper, "shouted")
    app.add_template_global(double, "twice")
    template = app.jinja_env.from_string("{{ 2|double }} {{ 'A' is shouted }} {{ twice(3) }}")
    assert template.render() == "4 True 6"


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        (None, True),
        ("a.html", True),
        ("a.htm", True),
        ("a.xml", True),
        ("a.xhtml", True),
        ("a.svg", True),
        ("a.txt", False),
        ("a.html.txt", False),
        ("mail", False),
        ("", False),
    ],
)
def test_autoescape(app: App, filename: str | None, expected: bool) -> None:
    assert app.select_jinja_autoescape(filename) is expected


def test_environment_is_made_once(app: App) -> None:
    assert "jinja_env" not in vars(app)
    assert app.jinja_env is app.jinja_env


def test_environment_needs_an_app_that_renders() -> None:
    with pytest.raises(NotImplementedError):
        TemplateRegistry("plain").create_jinja_environment()


def test_global_loader(make_app: t.Any) -> None:
    class Loader(DictLoader):
        def __init__(self, app: App) -> None:
            super().__init__({"name": app.name})

    class OwnApp(make_app):  # type: ignore[misc]
        global_jinja_loader_class = Loader

    loader: BaseLoader = OwnApp().create_global_jinja_loader()
    assert loader.list_templates() == ["name"]
