"""A project directory to run commands in, and real server processes that end with the test."""

from __future__ import annotations

import inspect
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner, Result

OURS = ("FLASK_", "WERKZEUG_", "ASYNCFLASK_")
#: Seconds after which a process that does nothing is given up, on a machine that has other work.
#: On one that has none, the time limit of the test comes before.
PATIENCE = 45

HELLO = """\
from asyncflask import Flask

app = Flask(__name__)


@app.get("/")
async def index():
    return "hello"


@app.get("/plain")
def plain():
    return "plain"
"""


@pytest.fixture(autouse=True)
def untouched(tmp_path: Path) -> Iterator[None]:
    """Give back the environment, the path and the modules that a command has changed."""
    environ, path = dict(os.environ), sys.path[:]
    for name in environ:
        if name.startswith(OURS):
            del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:] = path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def get(url: str, **options: Any) -> httpx.Response:
    """Ask a server that may still have to start, or whose process may be slow."""
    return httpx.get(url, timeout=PATIENCE, **options)


def invoke(command: click.Command, *args: str, **extra: Any) -> Result:
    """Run a command in this process; its standard error is kept apart."""
    apart = "mix_stderr" in inspect.signature(CliRunner).parameters  # before click 8.2
    runner = CliRunner(mix_stderr=False) if apart else CliRunner()  # type: ignore[call-arg]
    return runner.invoke(command, args, **extra)


class Process:
    """A process whose output is read line by line.

    :param args: what stands behind the interpreter.
    :param environ: variables on top of those here.
    """

    def __init__(self, args: list[str], environ: dict[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.process = subprocess.Popen(
            [sys.executable, *args],
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def until(self, text: str) -> str:
        """Return the next line that holds `text`."""
        while (line := self._queue.get(timeout=PATIENCE)) is not None:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"{text!r} did not come in:\n" + "\n".join(self.lines))

    def url(self) -> str:
        """Return the address, once the server has printed it."""
        return self.until("Running on").split()[3]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal to the process alone, and return its exit status."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Return the exit status; the rest of the output is in `lines` then."""
        status = self.process.wait(PATIENCE)
        while (line := self._queue.get(timeout=PATIENCE)) is not None:
            self.lines.append(line)
        self._queue.put(None)
        return status

    @property
    def output(self) -> str:
        """All lines that were read."""
        return "\n".join(self.lines)

    def close(self) -> None:
        """End the process and all below it, if they have not ended."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


Start = Callable[..., Process]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start processes: ``start("-m", "asyncflask", "run")``, with variables as keywords."""
    started: list[Process] = []

    def start_one(*args: str, **environ: str) -> Process:
        started.append(Process(list(args), environ))
        return started[-1]

    yield start_one
    for process in started:
        process.close()


@pytest.fixture
def hello(project: Path) -> Path:
    """A project with a small app in ``app.py``."""
    (project / "app.py").write_text(HELLO)
    return project
