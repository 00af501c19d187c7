"""Thousands of idle keep-alive connections that are all reset at once."""

from __future__ import annotations

import asyncio
import math
import typing as t
from pathlib import Path

import pytest

from ..detectors import slowness
from ..live.wire import request as raw_request
from .clients import calling, crowd
from .process import PATIENCE, VARIETY, Server, name_of, started

CLIENTS = 2000

#: Seconds for which the server keeps idle connections: longer than answering them all takes. On a
#: busy machine that is longer, see `slowness`.
#: NOTE: uvicorn 0.54 keeps what it has for the last request of a connection that is reset until
#: this time is over, also with a bare ASGI callable: 2,000 cycles, all gone when it
#: was over. Its timer refers to them, and only a connection that ends in order stops it.
KEEP_ALIVE = 10

PATHS = ("/sync/unread", "/async/unread")

CONFIG = {"SYNC_QUEUE_LIMIT": CLIENTS}  # they all ask at once, and none is to be refused


@pytest.mark.time_limit(60)
@pytest.mark.parametrize("variety", VARIETY, ids=name_of)
def test_reset_all_at_once(variety: t.Any, tmp_path: Path) -> None:
    keep_alive = math.ceil(KEEP_ALIVE * slowness())
    with started(tmp_path, **variety, keep_alive=keep_alive, config=CONFIG) as server:
        server.ask("mark")
        files, before = server.files, server.figures()
        peak = hold_and_reset(server)
        gone = server.until(lambda: is_as_before(server, files), keep_alive + PATIENCE)
        assert gone, server.ask("state")
        assert server.ask("counts")["begun"] == server.ask("counts")["torn down"] == CLIENTS
        print(f"\nbefore {before}; peak {peak}; after {server.figures()}", end=" ")


def is_as_before(server: Server, files: int) -> bool:
    """Whether nothing is left of the connections, of requests, and of idle threads' files."""
    state = server.ask("state")
    left = state["connections"] or state["parts"] or state["left"] or state["cycles"]
    return not left and server.files <= files


def hold_and_reset(server: Server) -> str:
    """Have clients be answered and stay; when all are there, have them reset at once."""
    opened, answered = asyncio.Barrier(CLIENTS), asyncio.Barrier(CLIENTS + 1)
    looked_at, peak = asyncio.Event(), ""

    async def client(number: int) -> None:
        async with calling(server.address) as caller:
            await opened.wait()
            await caller.send(raw_request("POST", PATHS[number % 2]))
            assert b" 200 " in await caller.head()
            await answered.wait()
            await looked_at.wait()
            caller.reset()

    async def look() -> None:
        nonlocal peak
        await answered.wait()
        assert server.ask("connections") == CLIENTS
        peak = server.figures()
        looked_at.set()

    crowd(CLIENTS, client, look)
    return peak
