"""Run Flask's own tutorial app, unmodified, on asyncflask: ``make upstream`` calls this.

The app is started in a copy of its folder as its users would start it, with the command line. One
visitor then goes through all of its pages over a real socket, then several users do so at once, and
in the end its own test suite runs under the alias.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from .visitors import PATIENCE, Unexpected, crowd, one_visitor

COMMAND = [sys.executable, "-m", "asyncflask", "--as-flask", "--app", "flaskr"]
PYTEST = """\
import asyncflask, sys
asyncflask.install_as_flask()
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider"]))
"""


# -- the processes -----------------------------------------------------------------------------


class Server:
    """The app in a process of its own; what it prints is in `lines`."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self._found = threading.Event()
        self.process = subprocess.Popen(
            [*COMMAND, "run", "--port", "0"],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)
            if "Running on" in line:
                self._found.set()
        self._found.set()

    def url(self) -> str:
        """Return its address, as soon as it is printed."""
        self._found.wait(PATIENCE)
        found = re.search(r"Running on (\S+)", self.log)
        if not found:
            raise Unexpected(f"the server did not start:\n{self.log}")
        return found[1]

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self._reader.join()

    def verdict(self) -> str:
        """Return what is said of its log.

        :raises Unexpected: if it holds an error, or if the server did not end well.
        """
        if re.search(r"Traceback|ERROR|CRITICAL", self.log) or self.process.returncode not in (
            0,
            130,
        ):
            raise Unexpected(f"exit status {self.process.returncode}; it said:\n{self.log}")
        return f"no traceback, exit status {self.process.returncode}"


def environment() -> dict[str, str]:
    ours = ("FLASK_", "ASYNCFLASK_", "WERKZEUG_")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
        "PYTHONUNBUFFERED": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # the app's tests need none of ours
    }


def run(folder: Path, *command: str) -> str:
    """Run a command in the app's folder, and return the last line that it prints."""
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Unexpected(f"exit status {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout.strip().rpartition("\n")[2]


# -- the report --------------------------------------------------------------------------------


@contextmanager
def copy_of(tutorial: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(shutil.copytree(tutorial, f"{scratch}/tutorial"))


def steps(folder: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    """Return what is done, in order, each with its title."""
    yield "init-db", lambda: run(folder, *COMMAND, "init-db")
    server = Server(folder)
    try:
        yield "one visitor", lambda: asyncio.run(one_visitor(server.url()))
        yield "the crowd", lambda: asyncio.run(crowd(server.url()))
    finally:
        server.stop()
    yield "the server's log", server.verdict
    yield "its own tests", lambda: run(folder, sys.executable, "-c", PYTEST)


def main(tutorial: Path) -> int:
    """Do all steps, print a line on each, and return 1 if one has failed."""
    failed = False
    with copy_of(tutorial) as folder:
        for title, step in steps(folder):
            try:
                verdict = f"ok    {step()}"
            except (Unexpected, httpx.HTTPError, OSError) as error:
                failed, verdict = True, f"FAIL  {error}"
            print(f"{title:18} {verdict}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
