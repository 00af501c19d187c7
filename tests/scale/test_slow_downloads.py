"""A GiB for slow readers: the server makes no more of it than they take, and it is all there."""

from __future__ import annotations

import asyncio
import typing as t
from pathlib import Path

import pytest

from ..live.wire import request as raw_request
from .app import LONG
from .clients import Caller, calling, crowd
from .process import MIB, VARIETY, Server, name_of, started

#: Readers at the same time.
CLIENTS = 8

#: MiB by which the server's memory may grow, with all of them.
ROOM = 16

#: Bytes that the system may hold for a reader, and that one takes at a time.
BUFFER, PIECE = 16_384, 8192

#: Bytes that a slow reader takes before it leaves.
TAKEN = 4 * MIB

#: Bytes that may be on their way to one reader, nearly all of them in the system's buffers. Linux
#: lets that of a sender grow to 4 MiB.
ON_THE_WAY = 8 * MIB


async def read_slowly(caller: Caller) -> None:
    left = TAKEN
    while left:
        left -= await caller.exactly(min(PIECE, left))
        await asyncio.sleep(0.001)  # the reader's pace


def slow_readers(server: Server, path: str) -> None:
    async def one(number: int) -> None:
        async with calling(server.address, BUFFER) as caller:
            await caller.send(raw_request("GET", path))
            assert b" 200 " in await caller.head()
            await read_slowly(caller)
            if number % 2:
                caller.reset()

    crowd(CLIENTS, one)


def read_whole(server: Server, path: str) -> int:
    """Read a response to its end, as fast as it comes; return how long its body was."""
    got = 0

    async def one(_: int) -> None:
        nonlocal got
        async with calling(server.address) as caller:
            await caller.send(raw_request("GET", path, "Connection: close"))
            head = await caller.head()
            assert b"content-length: %d\r\n" % LONG in head.lower()
            got = await caller.exactly(2 * LONG)

    crowd(1, one)
    return got


@pytest.mark.time_limit(60)
@pytest.mark.parametrize("variety", VARIETY, ids=name_of)
@pytest.mark.parametrize("path", ["/sync/long", "/sync/file", "/async/long", "/async/file"])
def test_long_download(variety: t.Any, path: str, tmp_path: Path) -> None:
    file = tmp_path / "sparse.bin"
    with file.open("wb") as sparse:
        sparse.truncate(LONG)
    with started(tmp_path, **variety, file=str(file)) as server:
        server.ask("mark")
        before = server.memory
        server.forget_peak()
        slow_readers(server, path)
        slow_peak, made = server.peak, server.ask("counts").get("bytes", 0)
        assert made < CLIENTS * (TAKEN + ON_THE_WAY)

        def all_is_freed() -> bool:
            state, counts = server.ask("state"), server.ask("counts")
            return (
                not (state["connections"] or state["parts"] or state["left"])
                and counts["begun"] == counts["torn down"]
            )

        assert server.until(all_is_freed), (server.ask("state"), server.ask("counts"))
        assert read_whole(server, path) == LONG
        print(
            f"\n{before:.1f} MiB before, {slow_peak:.1f} peak with slow readers,"
            f" {server.peak:.1f} with a fast one too; {made / MIB / CLIENTS:.1f} MiB made for each",
            end=" ",
        )
        assert server.peak - before < ROOM
        assert server.until(all_is_freed), (server.ask("state"), server.ask("counts"))
