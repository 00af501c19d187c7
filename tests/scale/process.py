"""A server process, seen from outside."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import awake
from ..detectors import slowness
from .clients import allow_files
from .served import Options

#: Seconds for what takes a fraction of one when nothing else runs; more where it does.
PATIENCE = 20.0

MIB = 1 << 20

#: Servers that together show each stack, with and without the bridge: for what takes long.
VARIETY: t.Final[list[dict[str, t.Any]]] = [
    {"loop": "uvloop", "http": "httptools", "bridged": False},
    {"loop": "asyncio", "http": "h11", "bridged": True},
]


def name_of(options: dict[str, t.Any]) -> str:
    """Return the name of a variety, for pytest."""
    return f"{options['loop']}-{options['http']}-{'bridged' if options['bridged'] else 'direct'}"


class Server:
    """A server in a process of its own.

    :param process: the process, which runs `served`.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        host, port = self._heard()
        self.address: tuple[str, int] = (host, port)

    def _heard(self) -> t.Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the server process has ended: {self.process.wait()}"
        return json.loads(line)

    def ask(self, question: str) -> t.Any:
        """Ask what `served.Inside` answers."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{question}\n")
        self.process.stdin.flush()
        return self._heard()

    def _status(self, field: str) -> int:
        """Return a figure from /proc/PID/status."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0])
        raise LookupError(field)

    @property
    def memory(self) -> float:
        """The memory in use now, in MiB."""
        return self._status("VmRSS") / 1024

    @property
    def peak(self) -> float:
        """The most memory in use since `forget_peak`, in MiB."""
        return self._status("VmHWM") / 1024

    def forget_peak(self) -> None:
        """Have `peak` start anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    @property
    def threads(self) -> int:
        """How many threads the process has, whoever started them."""
        return self._status("Threads")

    @property
    def files(self) -> int:
        """How many file descriptors are open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def figures(self) -> str:
        """Return what is seen from outside, for people."""
        return f"{self.threads} threads, {self.files} files, {self.memory:.1f} MiB"

    async def at_work(self, requests: int) -> None:
        """Wait until the server is at work on so many requests."""
        working = 0
        while working < requests:
            await asyncio.sleep(0.01)
            working = self.ask("working")

    def until(self, condition: t.Callable[[], t.Any], patience: float = PATIENCE) -> bool:
        """Wait for something that the server does; return whether it did."""
        deadline = awake.now() + patience * slowness()
        while not condition():
            if awake.now() > deadline:
                return False
            time.sleep(0.02)
        return True


@contextmanager
def started(folder: Path, **options: t.Any) -> Iterator[Server]:
    """Run a server process while a block runs.

    :param folder: its own folder for temporary files.
    :param options: see `served.Options`.
    """
    given: Options = {
        "loop": "uvloop",
        "http": "httptools",
        "ws": "auto",
        "bridged": False,
        "keep_alive": 1,
        "file": "",
        "config": {},
        **options,  # type: ignore[typeddict-item]
    }
    allow_files()
    command = [sys.executable, "-m", "tests.scale.served", json.dumps(given)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    ) as process:
        try:
            yield Server(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                assert process.wait(PATIENCE * slowness()) == 0
            finally:
                process.kill()
