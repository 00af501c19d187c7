from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from asyncflask.cli.shell import AsyncConsole


def shell(typed: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "asyncflask", "shell"],
        input=typed,
        env={**__import__("os").environ, **environ},
        capture_output=True,
        text=True,
        timeout=15,
        check=True,
    )


def test_the_app_is_there_and_await_works(hello: Path) -> None:
    done = shell(
        "app.name\n"
        "from asyncflask import current_app\n"
        "current_app.import_name\n"
        "import anyio\n"
        "async def later(): return 20 + 2\n"
        "\n"
        "number = await later()\n"
        "number * 2\n"
    )
    assert "App: app\n" in done.stderr
    for shown in ("'app'", "44"):
        assert shown in done.stdout


def test_the_startup_file(hello: Path) -> None:
    (hello / "startup").write_text("greeting = 'from the file'\n")
    assert "from the file" in shell("greeting\n", PYTHONSTARTUP=str(hello / "startup")).stdout


@pytest.fixture
def console() -> AsyncConsole:
    return AsyncConsole({})


def test_one_loop_and_one_context_for_all_lines(console: AsyncConsole) -> None:
    lines = [
        "import asyncio, contextvars",
        "v = contextvars.ContextVar('v')",
        "async def put(x): v.set(x); return asyncio.get_running_loop()",
        "",
        "one = await put(1)",
        "same = one is await put(2)",
        "seen = v.get()",
    ]
    for line in lines:
        console.push(line)
    console.close()
    names = console.locals
    assert (names["same"], names["seen"]) == (True, 2)


@pytest.mark.parametrize("line", ["1 / 0", "await fail()"])
def test_errors_are_shown(
    console: AsyncConsole, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    console.push("async def fail(): return 1 / 0\n")
    console.push(line)
    assert "ZeroDivisionError" in capsys.readouterr().err
    console.close()


@pytest.mark.parametrize("line", ["raise SystemExit(3)", "await leave()"])
def test_leaving(console: AsyncConsole, line: str) -> None:
    console.push("async def leave(): raise SystemExit(3)\n")
    with pytest.raises(SystemExit):
        console.push(line)
    console.close()
