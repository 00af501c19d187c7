"""One server process, loopback, 32 connections: the processor time that a request costs it."""

from __future__ import annotations

import sys
import typing as t
from contextlib import ExitStack, contextmanager
from pathlib import Path

from . import environment, peers
from .rounds import Bound, Cell, Cells, Key
from .server import Server, ServerError, serving, uvicorn

TITLE = "over uvicorn"
BARE, OURS, STARLETTE, QUART = "bare ASGI", "asyncflask", "Starlette", "Quart"
ASYNC, SYNC = "async view", "sync view"
CONNECTIONS = 32


def bounds() -> list[Bound]:
    """Return what must hold."""
    what = "server CPU of asyncflask: sync view / async view"
    return [Bound(what, (SYNC, OURS), [(ASYNC, OURS)], 1.25)]


def cell(server: Server, path: str, seconds: float) -> Cell:
    """Return what measures one path of a server.

    :raises ServerError: if the server answers it wrongly.
    """
    body = server.get(path)
    if body != peers.TEXT.encode():
        raise ServerError(f"{server.name} answers {path} with {body[:500]!r}")
    return lambda: server.cost(path, body, seconds, CONNECTIONS)


@contextmanager
def cells(seconds: float) -> t.Iterator[Cells]:
    """Give what is to be measured, with the servers running.

    :param seconds: for each.
    :raises ServerError: if a server does not start, or answers wrongly.
    """
    ours, theirs = Path(sys.executable), environment.python(environment.PEERS)
    pythons = {BARE: ours, OURS: ours, STARLETTE: theirs, QUART: theirs}
    factories = {BARE: "bare", OURS: "asyncflask", STARLETTE: "starlette", QUART: "quart"}
    found: dict[Key, Cell] = {}
    with ExitStack() as stack:
        for name, factory in factories.items():
            app = uvicorn(f"benchmarks.peers:{factory}")
            server = stack.enter_context(serving(name, pythons[name], *app))
            found[ASYNC, name] = cell(server, "/str", seconds)
            if name != BARE:  # it has no views
                found[SYNC, name] = cell(server, "/sync", seconds)
        yield found
