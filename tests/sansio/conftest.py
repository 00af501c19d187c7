"""Apps and blueprints without I/O: the smallest ones that can be set up and registered."""

from __future__ import annotations

import typing as t
from collections.abc import Callable

import pytest
from click import Group
from jinja2 import DictLoader, Environment
from werkzeug.wrappers import Response

from asyncflask.sansio.app import App
from asyncflask.sansio.blueprints import Blueprint


class PlainApp(App):
    """What `Flask` adds to `App`, without anything that handles a request."""

    default_config = {  # noqa: RUF012 (as in Flask)
        "DEBUG": None,
        "PERMANENT_SESSION_LIFETIME": 60,
        "PROVIDE_AUTOMATIC_OPTIONS": True,
        "SECRET_KEY": None,
        "TEMPLATES_AUTO_RELOAD": None,
        "TESTING": False,
        "TRAP_BAD_REQUEST_ERRORS": None,
        "TRAP_HTTP_EXCEPTIONS": False,
    }
    response_class = Response

    def __init__(self, import_name: str = "plain", **options: t.Any) -> None:
        super().__init__(import_name, **options)
        self.cli = Group()

    def create_jinja_environment(self) -> Environment:
        return Environment(loader=DictLoader({}))

    def _call_at_once(self, func: Callable[..., t.Any], /, *args: t.Any, **kwargs: t.Any) -> t.Any:
        return func(*args, **kwargs)


class PlainBlueprint(Blueprint):
    def __init__(self, name: str = "bp", import_name: str = "plain", **options: t.Any) -> None:
        super().__init__(name, import_name, **options)
        self.cli = Group(name)

    def send_static_file(self, filename: str) -> t.Any:
        return filename


MakeBlueprint = Callable[..., PlainBlueprint]


@pytest.fixture
def app() -> PlainApp:
    return PlainApp()


@pytest.fixture
def make_app() -> type[PlainApp]:
    return PlainApp


@pytest.fixture
def bp() -> PlainBlueprint:
    return PlainBlueprint()


@pytest.fixture
def make_bp() -> type[PlainBlueprint]:
    return PlainBlueprint
