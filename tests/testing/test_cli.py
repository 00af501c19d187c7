"""The runner of an app's commands."""

from __future__ import annotations

import click
import pytest

from asyncflask import Flask, current_app
from asyncflask.cli import ScriptInfo, with_appcontext
from asyncflask.testing import FlaskCliRunner


@pytest.fixture
def app() -> Flask:
    app = Flask("runner_app")

    @app.cli.command("hello")
    @click.option("--name", default="World")
    def hello(name: str) -> None:
        click.echo(f"Hello, {name}! From {current_app.name}.")

    return app


def test_runs_the_app_s_commands(app: Flask) -> None:
    runner = app.test_cli_runner()
    assert isinstance(runner, FlaskCliRunner)
    assert runner.app is app
    result = runner.invoke(args=["hello", "--name", "Ada"])
    assert (result.exit_code, result.output) == (0, "Hello, Ada! From runner_app.\n")


def test_runs_a_command_by_itself(app: Flask) -> None:
    @click.command
    @with_appcontext
    def name() -> None:
        click.echo(current_app.name)

    assert app.test_cli_runner().invoke(name).output == "runner_app\n"


def test_keeps_the_object_that_is_given(app: Flask) -> None:
    other = Flask("other_app")
    info = ScriptInfo(create_app=lambda: other)
    result = app.test_cli_runner().invoke(args=["hello"], obj=info)
    assert "other_app" in result.output


def test_takes_the_parameters_of_click(app: Flask) -> None:
    assert app.test_cli_runner(charset="latin-1").charset == "latin-1"
