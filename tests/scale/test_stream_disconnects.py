"""Ten thousand clients that leave streams, at five points of each kind: nothing is left of them."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

import pytest

from ..live.server import STACKS
from ..live.wire import request as raw_request
from .clients import calling, crowd
from .process import Server, started
from .streams import POINTS
from .test_vanishing import check, grown, is_idle, leave

#: Clients at each point of each kind of stream, on each of the two stacks: 10,000 in all.
CLIENTS = 200

KINDS = ["generator", "sync", "sse", "ndjson", "block"]


@pytest.fixture(scope="module", params=STACKS, ids="-".join)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    loop, http = request.param
    with started(tmp_path_factory.mktemp("temporary"), loop=loop, http=http) as server:
        fresh = server.files
        for kind in KINDS:
            for point in POINTS:
                crowd(2, lambda number, kind=kind, point=point: visit(server, kind, point, number))  # type: ignore[misc]
        assert server.until(lambda: is_idle(server))
        server.ask("mark")
        yield server
        assert server.until(lambda: server.files == fresh), (fresh, server.files)


async def visit(server: Server, kind: str, point: str, number: int) -> None:
    """Ask for a stream, and leave it: every other client by RST, the others by FIN."""
    async with calling(server.address) as caller:
        await caller.send(raw_request("GET", f"/streams/{kind}?point={point}"))
        if point != "before":
            assert b" 200 " in await caller.head()
        if point == "chunk":
            assert await caller.exactly(100_000) == 100_000
        elif point in ("waiting", "end"):
            received = b""
            wanted = b"first" if point == "waiting" else b"0\r\n\r\n"
            while wanted not in received:
                received += await caller.receive(1 << 16)
        await leave(caller, number)


@pytest.mark.time_limit(60)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left(server: Server, kind: str) -> None:
    for point in POINTS:
        before, counted = server.ask("state"), server.ask("counts")
        crowd(CLIENTS, lambda number, point=point: visit(server, kind, point, number))  # type: ignore[misc]
        check(server, before, counted, f"{kind}, {point}")
        counts: t.Any = server.ask("counts")
        begun, opened = grown(counts, counted, "begun"), grown(counts, counted, "opened")
        if point != "before":  # a reset may come before the request was seen
            assert begun == opened == CLIENTS
        assert grown(counts, counted, "torn down") == begun
        assert grown(counts, counted, "closed") == opened
