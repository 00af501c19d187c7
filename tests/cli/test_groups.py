from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

import click
import pytest
from click.testing import Result

import asyncflask
from asyncflask import Flask, current_app
from asyncflask.cli import FlaskGroup, cli

from . import conftest


def invoke(*args: str, group: click.Group = cli) -> Result:
    return conftest.invoke(group, *args)


def test_version_names_the_api_too() -> None:
    out = invoke("--version").output
    assert f"Python {platform.python_version()}\n" in out
    assert f"asyncflask {asyncflask.__version__}\n" in out
    assert "\nFlask 3.1.3" in out
    assert f"Werkzeug {importlib.metadata.version('werkzeug')}\n" in out


def test_help_lists_the_commands_of_the_app(hello: Path) -> None:
    with (hello / "app.py").open("a") as file:
        file.write("\n\n@app.cli.command()\nasync def greet():\n    'Say hello.'\n")
    out = invoke("--help").output
    assert [line.split()[0] for line in out.partition("Commands:\n")[2].splitlines()] == [
        "doctor",
        "greet",
        "load",
        "routes",
        "run",
        "shell",
    ]


def test_help_honours_the_variable_that_names_the_app(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".env").write_text("FLASK_APP=other\n")
    (project / "other.py").write_text(
        "from asyncflask import Flask\napp = Flask('o')\n\n@app.cli.command()\ndef mine(): pass\n"
    )
    assert "mine" in invoke().output
    assert "mine" in invoke("--help").output


def test_where_the_app_is_missing_help_says_so_and_goes_on(project: Path) -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    assert "FLASK_APP" in result.stderr
    assert "Usage:" in result.stdout


def test_where_the_app_is_broken_help_shows_the_users_traceback_and_goes_on(project: Path) -> None:
    (project / "app.py").write_text("raise LookupError('mine')\n")
    result = invoke("--help")
    assert result.exit_code == 0
    assert "LookupError: mine" in result.stderr
    assert "app.py" in result.stderr
    assert "click" not in result.stderr


def test_a_command_that_is_not_there(hello: Path) -> None:
    result = invoke("missing")
    assert result.exit_code == 2
    assert "No such command 'missing'" in result.stderr


@pytest.mark.parametrize(("given", "debug"), [("--debug", True), ("--no-debug", False)])
def test_the_debug_option_wins(given: str, debug: bool) -> None:
    os.environ["FLASK_DEBUG"] = "0" if debug else "1"
    group = FlaskGroup(create_app=lambda: Flask("demo"))

    @group.command()
    def show() -> None:
        click.echo(current_app.debug)

    assert invoke("show", group=group).output == f"{not debug}\n"
    assert invoke(given, "show", group=group).output == f"{debug}\n"


def test_an_env_file_wins_over_the_defaults(project: Path) -> None:
    (project / ".env").write_text("WHO=default\n")
    (project / "given").write_text("WHO=given\n")
    group = FlaskGroup(create_app=lambda: Flask("demo"))

    @group.command()
    def show() -> None:
        click.echo(os.environ["WHO"])

    assert invoke("-e", "given", "show", group=group).output == "given\n"


def test_an_env_file_needs_python_dotenv(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "given").touch()
    monkeypatch.setitem(sys.modules, "dotenv", None)
    result = invoke("-e", "given", "routes")
    assert result.exit_code == 2
    assert "pip install python-dotenv" in result.stderr


def test_an_app_command_runs_in_its_apps_context() -> None:
    app = Flask("demo")

    def look(ctx: click.Context, param: click.Parameter, value: str) -> str:
        return f"{value} {current_app.name}"

    @app.cli.command()
    @click.argument("word", callback=look)
    def show(word: str) -> None:
        click.echo(word)

    group = FlaskGroup(create_app=lambda: app)
    assert invoke("show", "hi", group=group).output == "hi demo\n"
    with Flask("another").app_context():
        assert invoke("show", "hi", group=group).output == "hi demo\n"


def test_a_group_of_ones_own() -> None:
    group = FlaskGroup(
        add_default_commands=False, add_version_option=False, create_app=lambda: Flask("demo")
    )
    assert group.commands == {}
    assert invoke("--version", group=group).exit_code == 2


def install(site: Path, group: str, **commands: str) -> None:
    """Install a distribution with a module `plugin` and entry points."""
    lines = "\n".join(f"{name} = {value}" for name, value in commands.items())
    info = site / "plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")
    (site / "plugin.py").write_text(
        "import click\n\n@click.command()\ndef work():\n    'Work.'\n    click.echo('worked')\n"
    )


@pytest.mark.parametrize("group", ["asyncflask.commands", "flask.commands"])
def test_plugins_need_no_app(project: Path, monkeypatch: pytest.MonkeyPatch, group: str) -> None:
    install(project, group, work="plugin:work")
    monkeypatch.syspath_prepend(project)
    assert invoke("work").output == "worked\n"
    assert "work" in invoke("--help").stdout


def test_a_plugin_for_us_replaces_a_built_in_command(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(project, "asyncflask.commands", shell="plugin:work")
    monkeypatch.syspath_prepend(project)
    assert invoke("shell").output == "worked\n"


def test_a_plugin_for_flask_does_not(hello: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(hello, "flask.commands", routes="plugin:work")
    monkeypatch.syspath_prepend(hello)
    assert "Endpoint" in invoke("routes").output


def test_a_plugin_that_fails_to_load_breaks_nothing_else(
    hello: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(hello, "flask.commands", work="nowhere:work")
    monkeypatch.syspath_prepend(hello)
    result = invoke("work")
    assert result.exit_code == 2
    assert "'work' (nowhere:work) failed to load" in result.stderr
    assert "--as-flask" in result.stderr
    assert invoke("--help").exit_code == 0
