"""The server process: serves the app and answers questions about itself, a JSON line each.

``python -m tests.scale.served OPTIONS``, where OPTIONS is JSON: see `Options`. It first says where
it listens; each line that it reads then is the name of a method of `Inside`. It ends when there is
no more to read.
"""

from __future__ import annotations

import gc
import json
import logging
import sys
import threading
import typing as t
from collections import Counter
from pathlib import Path

from ..detectors import Leftovers
from ..live.server import HttpName, LiveServer, LoopName, serving
from .app import Gate, make_app
from .sockets import add_sockets
from .tally import Tally

#: What a request or a websocket is made of: of these, none may stay.
PARTS = frozenset(
    {
        "AppContext",
        "Exchange",
        "Handshake",
        "Lane",
        "Pipe",
        "Request",
        "RequestBody",
        "Response",
        "SocketExchange",
        "Websocket",
    }
)

#: What uvicorn has for each request. It may keep one for a connection that was reset until the
#: time is over for which it keeps idle ones.
CYCLE = "RequestResponseCycle"


class Options(t.TypedDict):
    """How to serve."""

    loop: LoopName
    http: HttpName
    ws: str
    bridged: bool
    keep_alive: int
    file: str
    config: dict[str, t.Any]


class Inside:
    """What the process says of itself.

    :param server: the server that it runs.
    """

    def __init__(self, server: LiveServer, tally: Tally, gate: Gate) -> None:
        self._server, self._tally, self._gate = server, tally, gate
        self._leftovers = Leftovers()

    def mark(self) -> None:
        """Take what is here now for what has to be here afterwards."""
        gc.collect()
        gc.freeze()  # what is there already need not be looked through each time
        self._leftovers = Leftovers()

    def working(self) -> int:
        """Return how many requests are being handled."""
        return len(self._server.server_state.tasks)

    def connections(self) -> int:
        """Return how many connections are open."""
        return len(self._server.server_state.connections)

    def threads(self) -> int:
        """Return how many threads there are.

        Anyio's are not counted: an idle one of its ends when another one is asked for, not before.
        """
        return sum(not each.name.startswith("AnyIO") for each in threading.enumerate())

    def counts(self) -> dict[str, int]:
        """Return what the app counted."""
        return self._tally.values()

    def open_gate(self) -> None:
        """Let waiting views go on."""
        self._server.on_loop(self._gate.open)

    def keep_garbage(self) -> None:
        """Collect no garbage any more, until asked for `state`."""
        gc.disable()

    def alive(self) -> dict[str, int]:
        """Return what is there of requests, garbage included."""
        kinds = Counter(type(each).__name__ for each in gc.get_objects())
        return {name: kinds[name] for name in PARTS if kinds[name]}

    def state(self) -> dict[str, t.Any]:
        """Return all that has to come back to what it was; garbage is collected first."""
        gc.collect()
        state = self._server.server_state
        kinds = Counter(type(each).__name__ for each in gc.get_objects())
        return {
            "connections": self._server.on_loop(lambda: len(state.connections)),
            "tasks": self._server.tasks(),
            "left": self._leftovers.found(),
            "parts": self.alive(),
            "cycles": kinds[CYCLE],
            "blocks": sys.getallocatedblocks(),
            "garbage": len(gc.garbage),
        }


def main(options: Options) -> None:
    logging.disable(logging.ERROR)  # thousands of clients that leave are thousands of lines
    tally = Tally()
    gate = Gate()
    app = make_app(tally, gate, Path(options["file"]), options["bridged"])
    add_sockets(app, tally, gate)
    app.config.update(options["config"])
    with serving(
        app,
        options["loop"],
        options["http"],
        ws=options["ws"],
        backlog=4096,
        interface="asgi3",
        timeout_keep_alive=options["keep_alive"],
        ws_ping_interval=None,  # by default it sends pings after 20 s, which these clients ignore
    ) as server:
        inside = Inside(server, tally, gate)
        say(server.address)
        for line in sys.stdin:
            say(getattr(inside, line.strip())())
        server.on_loop(gate.open)


def say(what: t.Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
