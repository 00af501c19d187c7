"""Servers as processes of their own, each on one core, and how they are asked."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
import typing as t
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from . import cpu
from .calling import Answer
from .environment import HOME
from .load import request
from .rounds import CellError

#: Seconds that a server may take to start, and to stop. With a thousand routes some take several on
#: an idle core, and ten times that on a busy one.
PATIENCE = 90.0

#: One worker, its fastest parts, nothing written per request.
UVICORN = ("-m", "uvicorn", "--loop=uvloop", "--http=httptools", "--log-level=warning")

#: Of every process that is measured.
QUIET = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"}


class ServerError(CellError):
    """Raised when a server does not start, or does not answer as it should."""


class Server:
    """A running server.

    :param name: what it is, for messages.
    :param process: its process.
    :param port: where it listens, on loopback.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int) -> None:
        self.name, self._process, self.port = name, process, port
        self.killed = False  # whether it had to be

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def wait(self) -> None:
        """Wait until it takes connections.

        :raises ServerError: if it ends, or takes too long.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServerError(f"{self.name} ended with {self._process.returncode}")
            try:
                return socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                time.sleep(0.05)
        raise ServerError(f"{self.name} did not start within {PATIENCE:.0f} s")

    def load(self, module: str, given: bytes = b"", **options: t.Any) -> dict[str, float]:
        """Run a load generator, a process of its own, and return what it has seen.

        :param module: the generator.
        :param given: what it is given on its standard input.
        :param options: those of its command line, without the port and the process.
        :raises ServerError: if it fails, as when an answer is wrong.
        """
        options |= {"port": self.port, "pid": self.pid}
        command = [sys.executable, "-m", module]
        command += [f"--{name}={value}" for name, value in options.items()]
        done = subprocess.run(command, input=given, stdout=subprocess.PIPE, cwd=HOME, check=False)
        if done.returncode:
            raise ServerError(f"{self.name} was not up to the load: {options}")
        return t.cast("dict[str, float]", json.loads(done.stdout))

    def get(self, path: str) -> bytes:
        """Return a page.

        :raises ServerError: if the answer is not 200.
        """
        answer = self.ask(request(self.port, "GET", path))
        if answer.status != 200:
            raise ServerError(f"{self.name} answers {path} with {answer}")
        return answer.body

    def ask(self, request: bytes) -> Answer:
        """Return the answer to a request.

        :raises ServerError: if there is none.
        """
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as opened:
            opened.sendall(request)
            answer = http.client.HTTPResponse(opened)
            try:
                answer.begin()
                headers = [(name.lower(), value) for name, value in answer.getheaders()]
                return Answer(answer.status, headers, answer.read())
            except (OSError, http.client.HTTPException) as error:
                raise ServerError(f"{self.name} does not answer: {error!r}") from error
            finally:
                answer.close()

    def memory(self) -> int:
        """Return the bytes of memory that the process uses, its children not counted."""
        pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.killed = True
            self._process.kill()
            self._process.wait()


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return t.cast("int", listener.getsockname()[1])


@contextmanager
def serving(
    name: str,
    python: str | Path,
    *arguments: str,
    environ: t.Mapping[str, str] = MappingProxyType({}),
) -> t.Iterator[Server]:
    """Run a server for the time of a block, on a core that the load generator leaves alone.

    :param name: what it is, for messages.
    :param python: the interpreter of its environment.
    :param arguments: its command line; ``{port}`` stands for the port.
    :param environ: variables of its environment, beside ours.
    :raises ServerError: if it does not start.
    """
    port = free_port()
    command = [str(python), *(each.replace("{port}", str(port)) for each in arguments)]
    process = subprocess.Popen(
        command, cwd=HOME, env={**os.environ, **QUIET, **environ}, stdout=subprocess.DEVNULL
    )
    cpu.pin(1, process.pid)
    server = Server(name, process, port)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def uvicorn(app: str, *more: str) -> list[str]:
    """Return the arguments that serve what a factory makes.

    :param app: the factory, as ``module:name``.
    """
    return [*UVICORN, "--no-access-log", "--port={port}", "--factory", app, *more]
