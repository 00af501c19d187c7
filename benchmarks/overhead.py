"""What one request costs, in process: no network, no server, one core.

    python -m benchmarks.overhead [--rounds 7] [--seconds 0.4] [--json FILE]

Each framework answers the same request, called as its server would call it (ASGI, or WSGI for
Flask). A round measures every framework for every kind of work, one after another, so that a slow
moment of the machine hits all of them; what is printed is the median of the rounds, in
microseconds, and how many times it is what a bare ASGI callable takes. Absolute figures drift with
the machine: compare ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import sys
import time
import typing as t
from importlib import metadata
from pathlib import Path

import uvloop

from . import peers

Call = t.Callable[[], t.Awaitable[None]]
Receive = t.Callable[[], t.Awaitable[dict[str, t.Any]]]

#: What is asked for: a name, the path, and how many requests are under way at once.
WORK = (
    ("str", "/str", 1),
    ("dict -> JSON", "/json", 1),
    ("<int:id>", "/user/42", 1),
    ("sync view", "/sync", 1),
    ("sync view, 32 at once", "/sync", 32),
)
VERSIONS = ("asyncflask", "starlette", "flask", "werkzeug", "uvloop")


def scope(path: str) -> dict[str, t.Any]:
    """Return the scope of a plain GET, as uvicorn makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8000"), (b"accept", b"*/*"), (b"user-agent", b"bench")],
        "state": {},
    }


async def receive() -> dict[str, t.Any]:
    """Give the empty body of a GET."""
    return {"type": "http.request", "body": b"", "more_body": False}


def receive_once() -> Receive:
    """Return a `receive` of one request: the empty body of a GET, then nothing, as from a server.

    For what watches for the client's leaving; the rest need not pay for it.
    """
    given = False

    async def receive() -> dict[str, t.Any]:
        nonlocal given
        if given:
            await asyncio.get_running_loop().create_future()
        given = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive


async def discard(message: t.Any) -> None:
    """Take a message of the response and drop it."""


def caller(
    app: t.Any, path: str, at_once: int, receiver: t.Callable[[], Receive] = lambda: receive
) -> Call:
    """Return a coroutine function that makes `at_once` requests.

    :param receiver: makes the `receive` of each.
    """

    async def one() -> None:
        await app(scope(path), receiver(), discard)

    async def many() -> None:
        await asyncio.gather(*(one() for _ in range(at_once)))

    return one if at_once == 1 else many


def wsgi_caller(app: t.Any, path: str, at_once: int) -> Call:
    """Return the same for a WSGI application, whose requests follow one another."""
    base = peers.wsgi_environ(path)

    def start_response(*_: t.Any) -> None:
        pass

    async def many() -> None:
        for _ in range(at_once):
            body = app(dict(base), start_response)
            b"".join(body)
            if hasattr(body, "close"):
                body.close()

    return many


async def check(name: str, app: t.Any, path: str) -> None:
    """Fail if a framework does not answer 200: a wrong answer is quick to give.

    :raises SystemExit: if it does not.
    """
    seen: list[t.Any] = []

    async def send(message: t.Any) -> None:
        seen.append(message)

    await app(scope(path), receive_once(), send)
    if seen[0]["status"] != 200 or not b"".join(m.get("body", b"") for m in seen[1:]):
        raise SystemExit(f"{name} answers {path} with {seen}")


def check_wsgi(name: str, app: t.Any, path: str) -> None:
    """Do the same for a WSGI application.

    :raises SystemExit: if it does not answer 200.
    """
    seen: list[str] = []
    body = b"".join(app(peers.wsgi_environ(path), lambda status, *_: seen.append(status)))
    if seen != ["200 OK"] or not body:
        raise SystemExit(f"{name} answers {path} with {seen}, {body!r}")


async def cost(
    call: Call, seconds: float, at_once: int, clock: t.Callable[[], float] = time.perf_counter
) -> float:
    """Return microseconds per request, over about `seconds`.

    :param clock: what to read the time from.
    """
    batch, done, spent = 20, 0, 0.0
    while spent < seconds:
        began = clock()
        for _ in range(batch):
            await call()
        spent += clock() - began
        done += batch
    return spent / done / at_once * 1e6


async def measure(rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return the median cost of each kind of work in each framework."""
    calls: dict[tuple[str, str], tuple[Call, int]] = {}
    for name, app in peers.asgi().items():
        for work, path, at_once in WORK:
            await check(name, app, path)
            calls[work, name] = caller(app, path, at_once), at_once
    for work, path, at_once in WORK:
        check_wsgi("Flask (WSGI)", peers.flask(), path)
        calls[work, "Flask (WSGI)"] = wsgi_caller(peers.flask(), path, at_once), at_once
    found: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        for key, (call, at_once) in calls.items():
            found[key].append(await cost(call, seconds, at_once))
    table: dict[str, dict[str, float]] = {work: {} for work, _, _ in WORK}
    for (work, name), values in found.items():
        table[work][name] = statistics.median(values)
    return table


def show(table: dict[str, dict[str, float]]) -> None:
    """Print the table, with each figure's ratio to the bare callable's and ours to Starlette's."""
    names = [*next(iter(table.values()))]
    print("| us per request (x bare) | " + " | ".join(names) + " | ours / Starlette |")
    print("|---" * (len(names) + 2) + "|")
    for work, row in table.items():
        cells = [f"{row[name]:.1f} ({row[name] / row['bare ASGI']:.1f})" for name in names]
        ratio = row["asyncflask"] / row["Starlette"]
        print(f"| {work} | " + " | ".join(cells) + f" | {ratio:.2f} |")


def main() -> None:
    """Measure, print, and write the JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.4, help="for each cell of a round")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    asked = parser.parse_args()
    table = uvloop.run(measure(asked.rounds, asked.seconds))
    show(table)
    if asked.json:
        facts = {
            "date": time.strftime("%Y-%m-%d"),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "versions": {name: metadata.version(name) for name in VERSIONS},
            "rounds": asked.rounds,
            "microseconds": table,
        }
        asked.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
