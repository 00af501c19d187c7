"""What an import takes, and the memory of a worker that has answered one request and is idle.

Beside ours: Flask under gunicorn and Starlette under uvicorn, each as its documentation starts it.
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import typing as t
from pathlib import Path
from urllib.request import urlopen

from . import cpu
from .environment import HOME

IMPORTS = {
    "asyncflask": "from asyncflask import Flask, request",
    "Flask": "from flask import Flask, request",
    "Starlette": "from starlette.applications import Starlette; "
    "from starlette.requests import Request; from starlette.responses import PlainTextResponse; "
    "from starlette.routing import Route",
}

_TIMED = """\
import sys, time
began = time.process_time()
{}
print((time.process_time() - began) * 1e3, len(sys.modules))
"""

UVICORN = ("uvicorn", "--log-level=error", "--factory", "--loop=uvloop", "--http=httptools")
SERVERS = {
    "asyncflask": (*UVICORN, "--fd={fd}", "benchmarks.idle_apps:asyncflask"),
    "Flask": (
        "gunicorn",
        "--log-level=error",
        "--workers=1",
        "--threads=4",
        "--bind=fd://{fd}",
        "benchmarks.idle_apps:flask()",
    ),
    "Starlette": (*UVICORN, "--fd={fd}", "benchmarks.idle_apps:starlette"),
}

#: Seconds in which a server must answer.
PATIENCE = 30.0


def import_cost(statement: str) -> tuple[float, int]:
    """Return the milliseconds of processor time of an import, and how many modules are there."""
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # a second import reads compiled files
    command = [sys.executable, "-c", _TIMED.format(statement)]
    done = subprocess.run(
        command, cwd=HOME, env=environ, check=True, capture_output=True, text=True
    )
    milliseconds, modules = done.stdout.split()
    return float(milliseconds), int(modules)


def memory(pid: int) -> dict[str, float]:
    """Return the mebibytes of a process: all its pages, and its share of them where shared."""
    found: dict[str, float] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("Rss", "Pss"):
            found[name.upper()] = round(int(rest.split()[0]) / 1024, 1)
    return found


def worker_memory(command: t.Iterable[str]) -> dict[str, float]:
    """Start a server, ask it once, and return the memory of the worker that has answered.

    :raises TimeoutError: if it does not answer in time.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        fd, port = listener.fileno(), listener.getsockname()[1]
        module, *arguments = command
        server = subprocess.Popen(
            [sys.executable, "-m", module, *(each.format(fd=fd) for each in arguments)],
            cwd=HOME,
            pass_fds=[fd],
        )
        try:
            with urlopen(f"http://127.0.0.1:{port}/str", timeout=PATIENCE) as answer:
                answer.read()
            time.sleep(0.2)  # what a worker still does after its first answer
            return memory(cpu.family(server.pid)[-1])
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(PATIENCE)


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Return what each takes: the least of the rounds for the import, else the median."""
    found: dict[str, dict[str, float]] = {}
    for name, statement in IMPORTS.items():
        import_cost(statement)  # compiles
        costs = [import_cost(statement) for _ in range(rounds)]
        found[name] = {
            "import_ms": round(min(cost for cost, _ in costs), 1),
            "modules": costs[0][1],
        }
    for name, command in SERVERS.items():
        seen = [worker_memory(command) for _ in range(min(rounds, 3))]
        for kind in ("RSS", "PSS"):
            found[name][f"{kind.lower()}_mib"] = statistics.median(each[kind] for each in seen)
    return found


def table(found: dict[str, dict[str, float]]) -> str:
    """Return it, a line each."""
    lines = [
        "",
        "| import and idle worker | import, ms CPU | modules | RSS, MiB | PSS, MiB |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, of in found.items():
        figures = (of["import_ms"], of["modules"], of["rss_mib"], of["pss_mib"])
        lines.append(f"| {name} | " + " | ".join(f"{each:g}" for each in figures) + " |")
    return "\n".join(lines)
