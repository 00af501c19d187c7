"""How long an async view takes to answer while a crowd of sync requests is under way.

    python -m benchmarks.beside [--rounds 10] [--seconds 1.5] [--crowd 2000] [--json FILE]

The crowd asks for a sync view that takes one of ten resources, keeps it while it has a coroutine
run on the loop, and gives it back: so almost all of it waits, all the time. One client asks for an
async view, over and over.

A round measures that client without the crowd and with it. The machine's own noise decides what the
slowest of a hundred answers takes, and comes and goes in seconds: so there are many rounds, each
with a 99th percentile of its own for both, and their medians are compared. Server and clients have
a core each; the crowd gets what the one client leaves of theirs. Linux, two cores.

Beside the time there is what hardly depends on the machine's other work: the processor time that
the server spends, on whatever it is, from when a question is sent until its view is called.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import queue
import resource
import socket
import statistics
import subprocess
import sys
import time
import typing as t
from contextlib import contextmanager
from pathlib import Path

from . import cpu
from .environment import HOME
from .server import PATIENCE, Server, ServerError, serving, uvicorn

RESOURCES = 10

#: Seconds that a request keeps its resource: with ten of them, a thousand requests a second, which
#: leaves the server's core idle for more than half of the time. A core that has no time left is
#: late for everybody, whatever the framework does.
HOLD = 0.01

#: Seconds between two questions of the one client: it looks at the server, and is no load on it.
PAUSE = 0.0005

#: What is measured, and how it is called where only the server's processor time counts.
NAMES, SERVER = ("idle", "beside"), "{}, processor time until the view"

CROWD, FREE = "crowd", "free"

#: How long the free view's answer is: the nanoseconds of processor time that the server has used.
DIGITS = 20


def app() -> t.Any:
    """Return the app that is measured."""
    from asyncflask import Flask

    made = Flask(__name__)
    made.config["SYNC_QUEUE_LIMIT"] = 100_000  # nobody is to be refused
    free: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(RESOURCES):
        free.put(number)

    async def use() -> None:
        await asyncio.sleep(HOLD)

    @made.get(f"/{CROWD}")
    def crowd() -> str:
        mine = free.get()
        try:
            made.async_to_sync(use)()
        finally:
            free.put(mine)
        return CROWD

    @made.get(f"/{FREE}")
    async def free_view() -> str:
        return f"{time.clock_gettime_ns(time.CLOCK_PROCESS_CPUTIME_ID):0{DIGITS}}"

    @made.get("/under-way")
    async def under_way_view() -> str:
        now = made.sync_metrics
        return str(now.waiting + now.in_use + now.held)

    return made


class Took(t.NamedTuple):
    """What an answer took, in seconds."""

    passed: float
    server: float  # of the server's processor time, until its view was called


class Client:
    """The one client of the async view: a connection, and how long each answer took.

    :param server: whom it asks.
    """

    def __init__(self, server: Server) -> None:
        self._clock = cpu.clock(server.pid)
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = f"GET /{FREE} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()

    def ask(self) -> Took:
        """Return what an answer took.

        :raises ServerError: if it is not the expected one.
        """
        began, spent, answer = time.perf_counter(), time.clock_gettime_ns(self._clock), b""
        self._socket.sendall(self._request)
        while len(answer.partition(b"\r\n\r\n")[2]) < DIGITS:
            data = self._socket.recv(4096)
            answer += data
            if not data or len(answer) > 4096:
                raise ServerError(f"not the expected answer: {answer[:500]!r}")
        passed = time.perf_counter() - began
        called = answer[-DIGITS:]
        if not (answer.startswith(b"HTTP/1.1 200") and called.isdigit()):
            raise ServerError(f"not the expected answer: {answer[:500]!r}")
        return Took(passed, (int(called) - spent) / 1e9)

    def leave(self) -> None:
        """Close the connection."""
        self._socket.close()


def times(server: Server, seconds: float) -> list[Took]:
    """Return what each answer took, of those within so many seconds."""
    client = Client(server)
    try:
        deadline, took = time.perf_counter() + seconds, []
        while time.perf_counter() < deadline:
            took.append(client.ask())
            time.sleep(PAUSE)
    finally:
        client.leave()
    return took


@contextmanager
def crowding(server: Server, size: int) -> t.Iterator[None]:
    """Have a crowd under way for the time of a block, and wait until the server has done with it.

    :param size: how many requests are under way at once.
    :raises ServerError: if they do not come in, or leave by themselves.
    """
    options = {
        "port": server.port,
        "path": f"/{CROWD}",
        "pid": server.pid,
        "connections": size,
        "seconds": 3600,  # it is ended before
        "warm-up": 0,
    }
    command = ["nice", "-n", "19", sys.executable, "-m", "benchmarks.load"]
    command += [f"--{name}={value}" for name, value in options.items()]
    running = subprocess.Popen(command, cwd=HOME, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    with t.cast("t.IO[bytes]", running.stdin) as expected:
        expected.write(CROWD.encode())
    try:
        wait_until(lambda: under_way(server) >= size * 0.8, "the crowd did not come in")
        yield
        if running.poll() is not None:
            raise ServerError("the crowd left by itself")
    finally:
        running.kill()
        running.wait()
    wait_until(lambda: under_way(server) == 0, "the crowd's requests do not end")


def under_way(server: Server) -> int:
    """Return how many sync requests have, or wait for, a thread."""
    return int(server.get("/under-way"))


def wait_until(done: t.Callable[[], bool], otherwise: str) -> None:
    """Wait for something.

    :param otherwise: what to say if it takes too long.
    :raises ServerError: then.
    """
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise ServerError(otherwise)
        time.sleep(0.02)


def quantiles(took: t.Iterable[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile, in milliseconds."""
    cuts = statistics.quantiles(took, n=100)
    return cuts[49] * 1e3, cuts[98] * 1e3


#: Median and 99th percentile of each round, in milliseconds.
Rounds = list[tuple[float, float]]


def measure(rounds: int, seconds: float, crowd: int) -> dict[str, Rounds]:
    """Return what answers took without the crowd and with it, and what of it the server worked.

    :raises ServerError: if the server does not do its part.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = crowd + 500  # the server and the crowd inherit it
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ServerError(f"a process may open {hard} files here, and {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    found: dict[str, Rounds] = {what: [] for what in (*NAMES, *map(SERVER.format, NAMES))}

    def note(what: str, took: list[Took]) -> None:
        found[what].append(quantiles(each.passed for each in took))
        found[SERVER.format(what)].append(quantiles(each.server for each in took))

    command = uvicorn("benchmarks.beside:app")
    with serving("asyncflask", sys.executable, *command) as server, cpu.pinned(0):
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            note("idle", times(server, seconds))
            with crowding(server, crowd):
                note("beside", times(server, seconds))
    return found


def show(found: dict[str, Rounds], crowd: int) -> dict[str, t.Any]:
    """Print the medians of the rounds, and return them."""
    facts: dict[str, t.Any] = {}
    print("| ms, medians of the rounds | p50 | p99 | p99 of the rounds from - to |")
    print("|---|---:|---:|---:|")
    for what, pairs in found.items():
        halves, slow = zip(*pairs, strict=True)
        facts[what] = {"p50": statistics.median(halves), "p99": statistics.median(slow)}
        name = what.replace("beside", f"beside {crowd} sync requests")
        print(
            f"| {name} | {facts[what]['p50']:.2f} | {facts[what]['p99']:.2f}"
            f" | {min(slow):.2f} - {max(slow):.2f} |"
        )
    facts["ratio of p99"] = facts["beside"]["p99"] / facts["idle"]["p99"]
    print(f"\np99 beside / p99 idle: {facts['ratio of p99']:.2f}")
    return facts


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write the JSON if asked to.

    :param arguments: the command line, if it is not the process's own.
    :raises SystemExit: if the server does not do its part.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.5, help="for each half of a round")
    parser.add_argument("--crowd", type=int, default=2000, help="sync requests at once")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    asked = parser.parse_args(arguments)
    try:
        found = measure(asked.rounds, asked.seconds, asked.crowd)
    except ServerError as error:
        raise SystemExit(str(error)) from error
    facts = show(found, asked.crowd)
    if asked.json:
        asked.json.write_text(json.dumps({**facts, "rounds": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
