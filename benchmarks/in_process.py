"""Sync views called in process, as a server would call them: no network, no parsing.

Everything runs on one core and what is counted is the processor time of all threads. On an idle
machine that is the time that passes; on a busy one it does not count what others take.
"""

from __future__ import annotations

import asyncio
import time
import typing as t
from contextlib import contextmanager

import uvloop

from . import cpu, overhead, peers
from .rounds import Bound, Cell, Cells, Key

TITLE = "in process"
BARE, OURS, STARLETTE, FLASK = "bare ASGI", "asyncflask", "Starlette", "Flask (WSGI)"

#: How many requests are under way at once, and how that is called. Flask's follow one another.
AT_ONCE = {1: "one at a time", 32: "32 in flight"}

ASYNC, SYNC = "async view", "sync view"
HOOKS, PROXY = "sync view, 4 hooks", "sync view, ProxyFix"


def bounds() -> list[Bound]:
    """Return what must hold."""
    limits = {1: 0.3, 32: 0.15}
    return [
        Bound(
            f"sync view, {how}: asyncflask / Starlette",
            (f"{SYNC}, {how}", OURS),
            [(f"{SYNC}, {how}", STARLETTE)],
            limits[count],
        )
        for count, how in AT_ONCE.items()
    ]


def asgi_apps() -> dict[tuple[str, str], tuple[t.Any, str]]:
    """Return what is called over ASGI: work and framework, app and path."""
    plain, starlette = peers.asyncflask(), peers.starlette()
    return {
        (ASYNC, BARE): (peers.bare(), "/str"),  # the limit: what the calling itself takes
        (ASYNC, OURS): (plain, "/str"),
        (ASYNC, STARLETTE): (starlette, "/str"),
        (SYNC, OURS): (plain, "/sync"),
        (SYNC, STARLETTE): (starlette, "/sync"),
        (HOOKS, OURS): (peers.with_hooks(peers.asyncflask()), "/sync"),
        (PROXY, OURS): (peers.behind_proxy(peers.asyncflask()), "/sync"),
    }


def wsgi_apps() -> dict[tuple[str, str], t.Any]:
    """Return what is called over WSGI."""
    return {
        (SYNC, FLASK): peers.flask(),
        (HOOKS, FLASK): peers.with_hooks(peers.flask()),
        (PROXY, FLASK): peers.behind_proxy(peers.flask()),
    }


def cell(runner: asyncio.Runner, call: overhead.Call, count: int, seconds: float) -> Cell:
    """Return what measures a call that makes `count` requests."""
    return lambda: runner.run(overhead.cost(call, seconds, count, time.process_time))


@contextmanager
def cells(seconds: float) -> t.Iterator[Cells]:
    """Give what is to be measured, on one event loop.

    :param seconds: for each.
    """
    calls: dict[Key, tuple[overhead.Call, int]] = {}
    with cpu.pinned(1), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for count, how in AT_ONCE.items():
            for (work, name), (app, path) in asgi_apps().items():
                runner.run(overhead.check(name, app, path))
                calls[f"{work}, {how}", name] = (
                    overhead.caller(app, path, count, overhead.receive_once),
                    count,
                )
            for (work, name), app in wsgi_apps().items():
                overhead.check_wsgi(name, app, "/sync")
                call = overhead.wsgi_caller(app, "/sync", count)
                calls[f"{work}, {how}", name] = call, count
        yield {key: cell(runner, *call, seconds) for key, call in calls.items()}
