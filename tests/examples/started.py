"""Examples as their README says to start them, in processes of their own."""

from __future__ import annotations

import signal
import socket
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..cli.conftest import Process

EXAMPLES = Path(__file__).parents[2] / "examples"


class Example:
    """An example that can be started again on the port that it had.

    :param name: its folder and its module.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = listener.getsockname()[1]
        self._process: Process | None = None

    def start(self) -> str:
        """Start it and return its address, once it serves."""
        port = str(self._port)
        command = ["-m", "asyncflask", "--app", self._name, "run", "--port", port]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(EXAMPLES / self._name)
            self._process = Process(command)
        return self._process.url()

    def crash(self) -> None:
        """End it so that it cannot say goodbye."""
        assert self._process is not None
        self._process.end(signal.SIGKILL)
        self._process.close()
        self._process = None

    def end(self) -> tuple[int, str]:
        """End it in order; return its exit status and what it has printed."""
        assert self._process is not None
        process, self._process = self._process, None
        try:
            return process.end(), process.output
        finally:
            process.close()

    def close(self) -> None:
        """Let nothing of it remain."""
        if self._process is not None:
            self._process.close()


@contextmanager
def example(name: str) -> Iterator[Example]:
    """Give an example that is not running yet, and end it after a block."""
    made = Example(name)
    try:
        yield made
    finally:
        made.close()


def lose_connections(server: t.Any) -> None:
    """Cut all connections of a live server, as a network does that fails."""
    state = server.server_state
    server.on_loop(lambda: [each.transport.abort() for each in tuple(state.connections)])
