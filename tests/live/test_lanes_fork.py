"""Worker threads and processes: a child has threads and a loop of its own, its parent keeps its."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .server import Site
from .wire import request
from .wsgi_processes import START

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")


def test_a_process_that_has_served_forks_and_both_serve_on() -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.live.forking"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        "parent: 6 answers",
        "child: 4 answers",
        "parent: 6 answers",
        "child of a view: 4 answers",
        "parent: 6 answers",
        "grandchild: 4 answers",
        "threads: ['MainThread', 'asyncflask-loop']",
    ]


class Processes(Site):
    """A server with several worker processes, as a command starts it.

    :param log: where to write what it prints; into a pipe it could print no more than is read.
    :param arguments: of Python; the listening socket's file is put in for ``FD``.
    """

    def __init__(self, log: Path, *arguments: str) -> None:
        self._log = log
        with log.open("wb") as output, socket.create_server(("127.0.0.1", 0)) as listener:
            self.address = listener.getsockname()[:2]
            fd = listener.fileno()
            self._process = subprocess.Popen(
                [sys.executable, *(str(fd) if word == "FD" else word for word in arguments)],
                cwd=ROOT,
                pass_fds=[fd],
                stdout=output,
                stderr=subprocess.DEVNULL,
            )

    def read_address(self) -> None:
        """Take the address from what the server prints, if it listens on a socket of its own."""
        deadline = time.monotonic() + START
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", self._log.read_text())):
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        self.address = ("127.0.0.1", int(found[1]))

    def text(self, target: str) -> str:
        """Get a page, however long the server takes to start."""
        with self.connect() as connection:
            connection.socket.settimeout(START)
            connection.send(request("GET", target))
            return connection.answer().text

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(START)

    def kill(self) -> None:
        """End it whatever it does."""
        self._process.kill()
        self._process.wait()


@pytest.fixture(params=["uvicorn", "asyncflask"])
def processes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Processes]:
    app, log = "tests.live.forking:app", tmp_path / "log"
    if request.param == "uvicorn":
        server = Processes(log, "-m", "uvicorn", app, "--workers", "2", "--fd", "FD")
    else:
        run = ("run", "--workers", "2", "--port", "0")
        server = Processes(log, "-u", "-m", "asyncflask", "--app", app, *run)
    try:
        if request.param == "asyncflask":
            server.read_address()
        yield server
    finally:
        server.kill()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.time_limit(60)
def test_each_worker_process_has_threads_of_its_own(processes: Processes) -> None:
    seen: dict[str, set[int]] = {"/sync/who": set(), "/async/who": set()}
    deadline = time.monotonic() + START  # one of them may have to start yet
    while not all(len(pids) == 2 for pids in seen.values()):
        assert time.monotonic() < deadline, f"not all answer: {seen}"
        for path, pids in seen.items():
            pid, _, what = processes.text(path).partition(" ")
            assert what == "loop"
            pids.add(int(pid))
    workers = seen["/sync/who"]
    assert workers == seen["/async/who"]
    assert processes.stop() == 0
    assert [*map(alive, workers)] == [False, False]
