"""``async def`` commands, as a person at a terminal meets them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

APP = '''\
import anyio
import click
from asyncflask import Blueprint, Flask, current_app, g

app = Flask(__name__)
things = Blueprint("things", __name__)
nested = Blueprint("nested", __name__, cli_group=None)


@app.teardown_appcontext
async def tear_down(error):
    await anyio.sleep(0)
    print("torn down", type(error).__name__, flush=True)


async def add(one, two):
    await anyio.sleep(0)
    return one + two


def divide(one, two):
    return one / two


@app.cli.command()
@click.argument("one", type=int)
@click.option("--two", default=2, show_default=True)
async def total(one, two):
    """Add."""
    g.total = await add(one, two)
    click.echo(f"{current_app.name} {g.total}")
    return "not shown"


@things.cli.command("fail-sync")
@click.option("--by", default=0)
def fail_sync(by):
    divide(1, by)


@things.cli.command("fail-async")
@click.option("--by", default=0)
async def fail_async(by):
    divide(1, by)


@nested.cli.command("ends")
@click.argument("how")
async def ends(how):
    await anyio.sleep(0)
    if how == "exit":
        click.get_current_context().exit(3)
    raise {"abort": click.Abort(), "usage": click.UsageError("wrong"), "exits": SystemExit(4)}[how]


@app.cli.command()
async def wait():
    try:
        print("waiting", flush=True)
        await anyio.sleep_forever()
    except anyio.get_cancelled_exc_class():
        print("cancelled", flush=True)
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.01)
        print("cleaned up", flush=True)


app.register_blueprint(things)
app.register_blueprint(nested)
'''


@pytest.fixture
def commands(project: Path) -> Path:
    (project / "app.py").write_text(APP)
    return project


def run(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "asyncflask", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_arguments_options_and_context(commands: Path) -> None:
    done = run("total", "1", "--two", "3")
    assert (done.returncode, done.stdout) == (0, "app 4\ntorn down NoneType\n")
    done = run("total", "--help")
    assert "Add." in done.stdout
    assert "--two INTEGER  [default: 2]" in done.stdout
    assert run("total", "one").returncode == 2


def test_an_error_looks_as_in_a_plain_command(commands: Path) -> None:
    """Nothing of the event loop is in the traceback, nor in what the error came from."""
    plain, asynchronous = run("things", "fail-sync"), run("things", "fail-async")
    assert plain.stdout == asynchronous.stdout == "torn down ZeroDivisionError\n"
    assert plain.returncode == asynchronous.returncode == 1
    assert plain.stderr.count("divide(1, by)") == 1
    number, later = (
        1 + APP.count("\n", 0, APP.index("    divide(1, by)", APP.index(name)))
        for name in ("def fail_sync", "def fail_async")
    )
    as_async = plain.stderr.replace(f"line {number}", f"line {later}").replace("_sync", "_async")
    assert asynchronous.stderr == as_async


@pytest.mark.parametrize(
    ("how", "status", "said"),
    [("exit", 3, ""), ("exits", 4, ""), ("abort", 1, "Aborted!"), ("usage", 2, "Error: wrong")],
)
def test_ends(commands: Path, how: str, status: int, said: str) -> None:
    done = run("ends", how)
    assert done.returncode == status
    assert said in done.stderr
    assert done.stdout.startswith("torn down")


def test_ctrl_c_cancels(commands: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "asyncflask", "wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert out == "cancelled\ncleaned up\ntorn down KeyboardInterrupt\n"
    assert (err.strip(), process.returncode) == ("Aborted!", 1)
