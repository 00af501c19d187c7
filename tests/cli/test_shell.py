from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
import termios
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from asyncflask.cli.shell import AsyncConsole

from .conftest import PATIENCE


def shell(typed: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "asyncflask", "shell"],
        input=typed,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
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


class Terminal:
    """A shell at a real terminal.

    :param environ: more variables.
    """

    def __init__(self, **environ: str) -> None:
        self._terminal, side = os.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "asyncflask", "shell"],
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
            preexec_fn=partial(fcntl.ioctl, side, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "dumb", **environ},
        )
        os.close(side)
        self._shown = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def read_until(self, text: str) -> str:
        """Return what is shown up to some text, since the last time."""
        while text not in self._shown:
            ready, _, _ = select.select([self._terminal], [], [], PATIENCE)
            assert ready, f"{text!r} is not in {self._shown!r}"
            self._shown += os.read(self._terminal, 4096).decode()
        shown, _, self._shown = self._shown.partition(text)
        return shown

    def enter(self, line: str) -> str:
        """Enter a line and return what it shows."""
        self.type(line + "\n")
        return self.read_until(">>> ")

    def wait(self) -> int:
        """Read on to the end, and return the exit status."""
        with suppress(OSError):  # how a terminal says that its other side is closed
            while os.read(self._terminal, 4096):
                pass
        return self._process.wait(PATIENCE)


def test_at_a_terminal(hello: Path) -> None:
    with Terminal() as terminal:
        assert "App: app" in terminal.read_until(">>> ")
        terminal.enter("import asyncio; from asyncflask import current_app, g")
        terminal.type(
            "async def name(): await asyncio.sleep(0); g.x = 1; return current_app.name\n"
        )
        terminal.read_until("... ")
        terminal.enter("")
        assert "'app'" in terminal.enter("await name()")
        assert "2" in terminal.enter("g.x + 1")
        assert "ZeroDivisionError" in terminal.enter("await asyncio.sleep(0) or 1 / 0")
        terminal.type("\x04")  # Ctrl+D
        assert terminal.wait() == 0


def test_ctrl_c_cancels_what_is_awaited_and_the_shell_goes_on(hello: Path) -> None:
    with Terminal() as terminal:
        terminal.read_until(">>> ")
        terminal.enter("import asyncio")
        terminal.type("print('wait' + 'ing') or await asyncio.sleep(60)\n")
        terminal.read_until("waiting")
        terminal.type("\x03")  # Ctrl+C
        assert "KeyboardInterrupt" in terminal.read_until(">>> ")
        assert "42" in terminal.enter("await asyncio.sleep(0, 42)")


def test_tasks_go_on_between_lines(hello: Path) -> None:
    """A task runs while the shell awaits something, and is cancelled when it is left."""
    done = shell(
        "import asyncio\n"
        "async def work():\n"
        "    try:\n"
        "        await asyncio.sleep(60)\n"
        "    finally:\n"
        "        print('work ended')\n"
        "\n"
        "start = asyncio.create_task\n"
        "task = await asyncio.sleep(0, 1) and start(work())\n"
        "await asyncio.sleep(0)\n"
        "task.done()\n"
    )
    assert "False" in done.stdout
    assert "work ended" in done.stdout
    assert "Traceback" not in done.stderr
