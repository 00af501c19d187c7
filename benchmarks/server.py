"""Servers as processes of their own, each on one core, and what a request costs them."""

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

from . import cpu
from .environment import HOME

#: Seconds that a server may take to start, and to stop.
PATIENCE = 30.0

#: One worker, its fastest parts, nothing written per request.
UVICORN = ("-m", "uvicorn", "--loop=uvloop", "--http=httptools", "--log-level=warning")


class ServerError(Exception):
    """Raised when a server does not start, or does not answer as it should."""


class Server:
    """A running server.

    :param name: what it is, for messages.
    :param process: its process.
    :param port: where it listens, on loopback.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int) -> None:
        self.name, self._process, self.port = name, process, port

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

    def get(self, path: str) -> bytes:
        """Return a page.

        :raises ServerError: if the answer is not 200.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise ServerError(f"{self.name} answers {path} with {answer.status}: {body[:500]!r}")
        return body

    def cost(self, path: str, body: bytes, seconds: float, connections: int) -> float:
        """Return the microseconds of processor time that one request costs it.

        :param body: what every answer must hold.
        :param seconds: how long to ask.
        :param connections: how many requests are under way at once.
        :raises ServerError: if an answer is wrong.
        """
        options = {
            "port": self.port,
            "path": path,
            "pid": self.pid,
            "seconds": seconds,
            "connections": connections,
        }
        command = [sys.executable, "-m", "benchmarks.load"]
        command += [f"--{name}={value}" for name, value in options.items()]
        done = subprocess.run(command, input=body, stdout=subprocess.PIPE, cwd=HOME, check=False)
        if done.returncode:
            raise ServerError(f"{self.name} was not up to the load on {path}")
        seen = json.loads(done.stdout)
        return t.cast("float", seen["cpu"] / seen["answered"] * 1e6)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return t.cast("int", listener.getsockname()[1])


@contextmanager
def serving(
    name: str, python: str | Path, *arguments: str, folder: Path = HOME
) -> t.Iterator[Server]:
    """Run a server for the time of a block, on a core that the load generator leaves alone.

    :param name: what it is, for messages.
    :param python: the interpreter of its environment.
    :param arguments: its command line; ``{port}`` stands for the port.
    :param folder: its working directory.
    :raises ServerError: if it does not start.
    """
    port = free_port()
    command = [str(python), *(each.replace("{port}", str(port)) for each in arguments)]
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL)
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
