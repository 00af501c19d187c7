from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import click
import pytest
from click.testing import CliRunner

from asyncflask import Flask, current_app
from asyncflask.cli import AppGroup, NoAppException, ScriptInfo, pass_script_info, with_appcontext


def info(name: str = "demo") -> ScriptInfo:
    return ScriptInfo(create_app=lambda: Flask(name))


def test_the_app_is_loaded_once() -> None:
    made = info()
    assert made.load_app() is made.load_app()


def test_an_async_factory() -> None:
    async def create_app() -> Flask:
        await anyio.lowlevel.checkpoint()
        return Flask("async")

    assert ScriptInfo(create_app=create_app).load_app().name == "async"


def test_by_path_and_name(hello: Path) -> None:
    for path in ("app", "app.py", "app:app", str(hello / "app.py"), f"{hello / 'app.py'}:app"):
        assert ScriptInfo(path).load_app().name == "app"


@pytest.mark.parametrize("file", ["wsgi.py", "app.py"])
def test_by_the_usual_file(project: Path, file: str) -> None:
    (project / file).write_text("from asyncflask import Flask\napp = Flask('found')\n")
    assert ScriptInfo().load_app().name == "found"


def test_wsgi_py_without_an_app_is_an_error_even_with_an_app_py(hello: Path) -> None:
    (hello / "wsgi.py").touch()
    with pytest.raises(NoAppException, match="'wsgi' has no app"):
        ScriptInfo().load_app()


def test_none_found_says_how_to_name_one(project: Path) -> None:
    with pytest.raises(NoAppException, match="FLASK_APP"):
        ScriptInfo().load_app()


def test_an_error_while_loading_carries_a_note(project: Path) -> None:
    (project / "app.py").write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError) as caught:
        ScriptInfo().load_app()
    assert "could not be loaded" in caught.value.__notes__[0]


@pytest.mark.parametrize("flag", [True, False])
def test_the_debug_flag(flag: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def create_app() -> Flask:
        app = Flask("demo")
        app.debug = True
        return app

    monkeypatch.setenv("FLASK_DEBUG", "0")
    app = ScriptInfo(create_app=create_app, set_debug_flag=flag).load_app()
    assert app.debug is not flag


def test_dotenv_defaults_follow_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ScriptInfo().load_dotenv_defaults
    monkeypatch.setenv("FLASK_SKIP_DOTENV", "1")
    assert not ScriptInfo().load_dotenv_defaults


def invoke(command: click.Command, *args: str, obj: Any = None) -> str:
    result = CliRunner().invoke(command, args, obj=obj or info(), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_with_appcontext_plain_and_async() -> None:
    @click.command()
    @click.argument("word")
    @with_appcontext
    def plain(word: str) -> None:
        click.echo(f"{word} {current_app.name}")

    @click.command()
    @with_appcontext
    @click.pass_context
    async def awaiting(ctx: click.Context) -> None:
        await anyio.lowlevel.checkpoint()
        click.echo(f"{ctx.info_name} {current_app.name}")

    assert invoke(plain, "hi") == "hi demo\n"
    assert invoke(awaiting) == "awaiting demo\n"


def test_group_commands_run_in_context_at_every_depth() -> None:
    @click.group(cls=AppGroup)
    def top() -> None:
        """The top."""

    @top.group()
    def below() -> None:
        """Below."""

    @below.command()
    async def work() -> None:
        click.echo(current_app.name)

    @top.command
    def bare() -> None:
        click.echo(current_app.name)

    @top.command("named", with_appcontext=False)
    @pass_script_info
    async def outside(script: ScriptInfo) -> None:
        click.echo(f"{bool(current_app)} {script.load_app().name}")

    assert invoke(top, "below", "work") == "demo\n"
    assert invoke(top, "bare") == "demo\n"
    assert invoke(top, "named") == "False demo\n"


async def test_an_async_command_called_from_a_running_loop() -> None:
    app = Flask("demo")

    @app.cli.command()
    async def work() -> None:
        await anyio.lowlevel.checkpoint()
        click.echo(f"{current_app.name} {click.get_current_context().info_name}")

    assert invoke(work, obj=ScriptInfo(create_app=lambda: app)) == "demo work\n"


def test_teardown_runs_when_the_command_ends() -> None:
    app = Flask("demo")
    ended: list[object] = []
    app.teardown_appcontext(ended.append)

    @app.cli.command()
    async def work() -> None:
        assert ended == []

    invoke(work, obj=ScriptInfo(create_app=lambda: app))
    assert ended == [None]
