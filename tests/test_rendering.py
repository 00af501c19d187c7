"""Jinja is imported where there are templates, and then before the first request."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from jinja2 import DictLoader

from asyncflask import Flask
from asyncflask.templating import DispatchingJinjaLoader, Environment

#: Starts the app in a process of its own, and prints whether Jinja is there.
STARTED = """\
import asyncio, sys
from pathlib import Path
from asyncflask import Blueprint, Flask

root = sys.argv[1]
app = Flask("app", root_path=root, **{options})
{more}

async def main():
    async with app.test_app():
        print("jinja2" in sys.modules)

assert "jinja2" not in sys.modules
asyncio.run(main())
"""

BLUEPRINT = "app.register_blueprint(Blueprint('b', 'b', root_path=root, template_folder='pages'))"


@pytest.mark.parametrize(
    ("folder", "options", "more", "imported"),
    [
        ("templates", "{}", "", True),
        ("none", "{}", "", False),
        ("templates", "{'template_folder': None}", "", False),
        ("pages", "{}", BLUEPRINT, True),
        ("other", "{}", BLUEPRINT, False),
    ],
)
@pytest.mark.time_limit(60)
def test_it_is_imported_at_the_start_where_there_are_templates(
    tmp_path: Path, folder: str, options: str, more: str, imported: bool
) -> None:
    (tmp_path / folder).mkdir()
    code = STARTED.format(options=options, more=more)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == str(imported)


def test_the_classes_are_read_as_ever() -> None:
    assert Flask.jinja_environment is Environment
    assert Flask.global_jinja_loader_class is DispatchingJinjaLoader


def test_classes_of_the_apps_own_are_taken() -> None:
    class OwnEnvironment(Environment):
        pass

    class Own(Flask):
        jinja_environment = OwnEnvironment
        global_jinja_loader_class = staticmethod(lambda app: DictLoader({"a": app.name}))  # type: ignore[assignment]

    app = Own("own", root_path="/")
    assert type(app.jinja_env) is OwnEnvironment
    assert app.jinja_env.get_template("a").render() == "own"
