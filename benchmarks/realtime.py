"""What WebSockets and server-sent events cost on asyncflask, beside Starlette and Quart.

    python -m benchmarks.realtime [--rounds 5] [--seconds 1] [--json FILE] [--only server ...]

Three parts:

- ``in-process``: an app called by hand: the processor time for one message echoed, one event sent;
- ``server``: the same through uvicorn, at 32 connections: the processor time that its process takes
  for a message, and how many it handles in a second. The events come from one source, for all;
- ``memory``: 2,000 WebSockets that are open and silent: how much the process grows for each.

The rounds, the medians and the ratios are those of the suite, and so is the peers' environment.
Needs Linux and two cores.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import socket
import subprocess
import sys
import typing as t
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from . import environment, report
from .echo import connected, handshake
from .environment import HOME, InstallationError
from .load import LoadError
from .rounds import Bound, Cell, Found, Key, measure, plain
from .server import Server, ServerError, serving, uvicorn

BARE, OURS, STARLETTE, QUART = "bare ASGI", "asyncflask", "Starlette", "Quart"
PEERS = (STARLETTE, QUART)
FACTORIES = {BARE: "bare", OURS: "asyncflask", STARLETTE: "starlette", QUART: "quart"}

WORK = {"echo": "WebSocket echo", "events": "SSE fan-out"}
IDLE = "idle WebSocket"

CONNECTIONS = 32
SOCKETS = 2000

#: Connections that are opened and closed before memory is looked at: what is made once is made.
FIRST = 100

#: How the results of each part are called.
MICROSECONDS, PER_SECOND, KIBIBYTES = "microseconds", "per_second", "kibibytes"
UNITS = {MICROSECONDS: "us per message", PER_SECOND: "messages/s", KIBIBYTES: "KiB per socket"}

Results = dict[str, dict[str, Found]]


def pythons() -> dict[str, Path]:
    """Return the interpreter that each framework runs in."""
    ours, theirs = Path(sys.executable), environment.python(environment.PEERS)
    return {BARE: ours, OURS: ours, STARLETTE: theirs, QUART: theirs}


def command(name: str) -> list[str]:
    """Return the command line that serves a framework's app; quiet, as clients will break off."""
    return uvicorn(f"benchmarks.realtime_apps:{FACTORIES[name]}", "--log-level=critical")


def bounds(part: str) -> list[Bound]:
    """Return what must hold: ahead of both."""
    return [
        Bound(
            f"{part}, {work}: asyncflask / best peer",
            (work, OURS),
            [(work, name) for name in PEERS],
            1.0,
        )
        for work in WORK.values()
    ]


def called(python: Path, factory: str, call: str, seconds: float) -> float:
    """Return what `benchmarks.realtime_calls` measures.

    :raises ServerError: if it fails.
    """
    command = [str(python), "-m", "benchmarks.realtime_calls"]
    command += [f"--factory={factory}", f"--call={call}", f"--seconds={seconds}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, cwd=HOME, check=False)
    if done.returncode:
        raise ServerError(f"{factory} could not be measured in process")
    return t.cast("float", json.loads(done.stdout))


def in_process(rounds: int, seconds: float) -> Results:
    """Measure the part of that name."""
    cells: dict[Key, Cell] = {
        (WORK[call], name): lambda call=call, name=name, python=python: called(  # type: ignore[misc]
            python, FACTORIES[name], call, seconds
        )
        for call in WORK
        for name, python in pythons().items()
    }
    return {MICROSECONDS: {"in-process": measure("in process", plain(cells), rounds)}}


@contextmanager
def servers() -> Iterator[dict[str, Server]]:
    """Give a running server for each framework."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(serving(name, python, *command(name)))
            for name, python in pythons().items()
        }


def over_uvicorn(rounds: int, seconds: float) -> Results:
    """Measure the part that is called ``server``."""
    rates: Found = {}

    def cell(server: Server, kind: str, key: Key) -> Cell:
        def once() -> float:
            seen = server.load(
                "benchmarks.realtime_load", kind=kind, seconds=seconds, connections=CONNECTIONS
            )
            rates.setdefault(key, []).append(seen["answered"] / seen["seconds"])
            return seen["cpu"] / seen["answered"] * 1e6

        return once

    with servers() as running:
        cells = {
            (work, name): cell(server, kind, (work, name))
            for kind, work in WORK.items()
            for name, server in running.items()
        }
        costs = measure("over uvicorn", plain(cells), rounds)
    return {MICROSECONDS: {"server": costs}, PER_SECOND: {"server": rates}}


@contextmanager
def crowd(port: int, count: int) -> Iterator[None]:
    """Hold so many WebSockets open for the time of a block."""
    opened: list[socket.socket] = []
    try:
        while len(opened) < count:
            opened.append(connected(port, handshake("/echo"), 101)[0])
        yield
    finally:
        for each in opened:
            each.close()


def grown(name: str, python: Path) -> float:
    """Return the KiB that a new server grows by for each socket."""
    with serving(name, python, *command(name)) as server:
        with crowd(server.port, FIRST):
            pass
        before = server.memory()
        with crowd(server.port, SOCKETS):
            return (server.memory() - before) / SOCKETS / 1024


def memory(rounds: int, seconds: float) -> Results:
    """Measure the part of that name."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, SOCKETS + 500)), hard))
    cells: dict[Key, Cell] = {
        (IDLE, name): lambda name=name, python=python: grown(name, python)  # type: ignore[misc]
        for name, python in pythons().items()
    }
    return {KIBIBYTES: {"memory": measure("memory", plain(cells), rounds)}}


PARTS: dict[str, Callable[[int, float], Results]] = {
    "in-process": in_process,
    "server": over_uvicorn,
    "memory": memory,
}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write the JSON if asked to.

    :param arguments: the command line, if it is not the process's own.
    :raises SystemExit: if the command line is wrong, or a peer or a server does not do its part.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each figure of a round")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=[*PARTS], help="some parts")
    asked = parser.parse_args(arguments)
    if platform.system() != "Linux":
        parser.error("This is measured on Linux only.")
    results: Results = {unit: {} for unit in UNITS}
    verdicts: list[report.Verdict] = []
    for name in asked.only:
        try:
            found = PARTS[name](asked.rounds, asked.seconds)
        except (ServerError, InstallationError, LoadError) as error:
            raise SystemExit(str(error)) from error
        for unit, parts in found.items():
            results[unit] |= parts
            print(report.table(name, parts[name], UNITS[unit]), flush=True)
        if MICROSECONDS in found:
            costs = found[MICROSECONDS][name]
            verdicts += [report.verdict(bound, costs) for bound in bounds(name)]
    print(report.verdict_table(verdicts))
    print(f"\n{report.heading()}")
    if asked.json:
        asked.json.write_text(report.as_json(results, verdicts) + "\n")


if __name__ == "__main__":
    main()
