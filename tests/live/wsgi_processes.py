"""WSGI servers as processes of their own, as they run in production."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .server import PATIENCE, Site
from .wire import request

APP = "tests.live.wsgi_app:app"
ROOT = Path(__file__).parents[2]

#: Seconds that a server and its app get to start, on a machine that has other work.
START = 60.0

_GUNICORN = ["-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--worker-tmp-dir", "{folder}"]
_GRANIAN = ["-m", "granian", "--interface", "wsgi", "--port", "{port}", "--blocking-threads", "8"]
_OWN = ["-m", "tests.live.wsgi_run"]

#: Seconds that it gets to end: gunicorn's greenlets look once a second, and so may others.
END = 25.0

#: How each server is started, without the name of the interpreter.
COMMANDS: dict[str, list[str]] = {
    "gunicorn sync": [*_GUNICORN, APP],
    "gunicorn preload": [*_GUNICORN, "--preload", "--workers", "1", APP],
    "gunicorn gthread": [*_GUNICORN, "--worker-class", "gthread", "--threads", "8", APP],
    "gunicorn gevent": [*_GUNICORN, "--worker-class", "gevent", APP],
    "gunicorn gevent preload": [*_GUNICORN, "--worker-class", "gevent", "--preload", APP],
    "granian": [*_GRANIAN, APP],
    "waitress": [*_OWN, "waitress", "{port}"],
    "wsgiref": [*_OWN, "wsgiref", "{port}"],
}

#: Those that have one request at a time.
ONE_BY_ONE = {"gunicorn sync", "gunicorn preload"}

#: Those whose `start_response` returns no `write`, against PEP 3333.
WITHOUT_WRITE = {"granian"}


class ServerProcess(Site):
    """A server that runs.

    :param name: which one.
    :param folder: where its app finds and leaves files.
    """

    prompt = PATIENCE  # the process may be stopped while this one is not

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self._told = False
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.address = listener.getsockname()[:2]
        parts = [part.format(port=self.address[1], folder=folder) for part in COMMANDS[name]]
        environment = {**os.environ, "WSGI_TEST_FOLDER": str(folder), "PYTHONPATH": str(ROOT)}
        if "preload" in name:
            environment["WSGI_TEST_EARLY"] = "1"
        self._log = (folder / "log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, *parts],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def log(self) -> str:
        """Return what the server has written so far."""
        return (self.folder / "log").read_text()

    def until(self, reached: t.Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until something is the case, while the process lives."""
        deadline = time.monotonic() + seconds
        while not reached():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, f"it did not happen:\n{self.log()}"
            time.sleep(0.01)

    def answers(self) -> bool:
        """Whether the server answers."""
        try:
            with self.connect() as connection:  # which a server may take before its app is there
                connection.send(request("GET", "/sync"))
                return connection.answer().text == "sync"
        except OSError:
            return False

    def report(self) -> dict[str, t.Any]:
        """Return what the app tells about itself."""
        found: dict[str, t.Any] = self.get("/report").json
        return found

    def tell_to_end(self) -> None:
        """Send SIGTERM, once."""
        if not self._told and self.process.poll() is None:
            self._told = True
            self.process.terminate()

    def end(self) -> None:
        """Have the process end, in order and without complaints."""
        self.tell_to_end()
        assert self.process.wait(END) == 0, self.log()
        for complaint in ("Traceback", "Task was destroyed", "never awaited", "Exception ignored"):
            assert complaint not in self.log(), self.log()

    def close(self) -> None:
        """Let nothing of it remain."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._log.close()


@contextmanager
def running(name: str, folder: Path) -> Iterator[ServerProcess]:
    """Run a server for the time of a block, at whose end it has to end in order."""
    (folder / "file.bin").write_bytes(bytes(range(256)) * 4000)
    server = ServerProcess(name, folder)
    try:
        server.until(server.answers, START)
        yield server
        server.end()
    finally:
        server.close()
