"""What a request was made of is gone with its end, and does not wait for a garbage collection.

A body of 500 kB may be part of it, and whatever the user's view had in its variables.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ..live.wire import request as raw_request
from .clients import calling, crowd
from .process import VARIETY, Server, name_of, started
from .test_vanishing import SIZES, UPLOADS, body_of, leave, send_all, upload

SHORT = [f"/{kind}/{name}" for kind in ("sync", "async") for name in ("text", "error", "refuse")]


async def get(server: Server, path: str) -> None:
    async with calling(server.address) as caller:
        await caller.send(raw_request("GET", path, "Connection: close"))
        assert await caller.rest() != b""


async def leave_early(server: Server, path: str, number: int) -> None:
    async with calling(server.address) as caller:
        await caller.send(upload(path, body_of(path, SIZES[1]))[: -SIZES[0]])
        await leave(caller, number)


async def ask(server: Server, path: str, number: int) -> None:
    """Have a request of the kind that the path is for, whole or cut short by RST or FIN."""
    if path not in UPLOADS:
        await get(server, path)
    elif number == 2:
        await send_all(server, path, SIZES[1])
    else:
        await leave_early(server, path, number)


@pytest.mark.parametrize("variety", VARIETY, ids=name_of)
def test_nothing_waits_for_the_collector(variety: t.Any, tmp_path: Path) -> None:
    with started(tmp_path, **variety) as server:
        server.ask("mark")
        server.ask("keep_garbage")
        for path in (*SHORT, "/nowhere", *UPLOADS):
            crowd(3, lambda number, path=path: ask(server, path, number))  # type: ignore[misc]
            gone = server.until(lambda: not (server.ask("connections") or server.ask("alive")), 3)
            assert gone, (path, server.ask("alive"))
