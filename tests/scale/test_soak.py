"""Mixed traffic for a while: whatever is asked for, nothing of it is kept."""

from __future__ import annotations

import os
import random
import time
import typing as t
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ..live.wire import BYTES, MULTIPART, multipart, part
from ..live.wire import request as raw_request
from .clients import ALL, Caller, calling, crowd
from .process import VARIETY, Server, name_of, started

#: Clients at work at the same time.
CLIENTS = 50

#: Seconds of traffic, twice: the first time, caches and the allocator's pools fill. SOAK=600 for a
#: thorough look.
SECONDS = int(os.environ.get("SOAK", "5"))

#: Python objects of each request that may be there afterwards. One that is kept of every kind of
#: request shows as 1, a whole request of one kind as more than 1.
KEPT = 0.02

#: Python objects that may come in any case: what the interpreter caches. 100 to 300 were seen,
#: after 2,000 requests as after 55,000.
CACHED = 1000

#: MiB by which memory may grow: the allocators take some for new heights of what happens at once.
GROWTH = 8

Act = Callable[[Caller], Awaitable[None]]


async def ask(caller: Caller, raw: bytes) -> None:
    """Send a request, over a connection that the server closes then, and take the answer."""
    head, _, body = raw.partition(b"\r\n\r\n")
    await caller.send(head + b"\r\nConnection: close\r\n\r\n" + body)
    assert (await caller.rest()) != b""


def get(path: str) -> Act:
    return lambda caller: ask(caller, raw_request("GET", path))


def post(path: str, kind: str, body: bytes) -> Act:
    return lambda caller: ask(caller, raw_request("POST", path, kind, body=body))


def half(path: str, kind: str, body: bytes) -> Act:
    """Upload the half, and vanish."""

    async def act(caller: Caller) -> None:
        await caller.send(raw_request("POST", path, kind, body=body)[: -len(body) // 2])
        caller.reset()

    return act


def some(path: str) -> Act:
    """Download a little, and vanish."""

    async def act(caller: Caller) -> None:
        await caller.send(raw_request("GET", path))
        assert await caller.exactly(20_000) == 20_000
        caller.reset()

    return act


FILE = multipart(part(b"file", b"x" * 50_000, filename=b"f"))
LARGE_FILE = multipart(part(b"file", b"x" * 700_000, filename=b"f"))

TRAFFIC: list[Act] = [
    *(
        get(f"{kind}/{name}")
        for kind in ("/sync", "/async")
        for name in ("file", "text", "nowhere")
    ),
    *(get(f"{kind}/{name}") for kind in ("/sync", "/async") for name in ("error", "refuse")),
    *(post(f"{kind}/form", MULTIPART, FILE) for kind in ("/sync", "/async")),
    *(half(f"{kind}/form", MULTIPART, LARGE_FILE) for kind in ("/sync", "/async")),
    *(post(path, BYTES, b"x" * 100_000) for path in ("/sync/stream", "/async/data", "/async/raw")),
    *(half(path, BYTES, b"x" * 600_000) for path in ("/sync/stream", "/async/data", "/async/raw")),
    *(some(path) for path in ("/sync/endless", "/sync/calling", "/sync/waiting", "/sync/file")),
    *(some(path) for path in ("/async/endless", "/async/file")),
]


@pytest.mark.time_limit(3 * SECONDS + 60)
@pytest.mark.parametrize("variety", VARIETY, ids=name_of)
def test_nothing_is_kept(variety: t.Any, tmp_path: Path) -> None:
    file = tmp_path / "file.bin"
    file.write_bytes(b"x" * 200_000)
    with started(tmp_path, **variety, file=str(file)) as server:
        server.ask("mark")
        threads = server.ask("threads")
        soak(server)
        warm = at_rest(server, threads)
        done = soak(server)
        end = at_rest(server, threads)
    kept = end.blocks - warm.blocks
    print(
        f"\n{done} requests; {warm.memory:.1f} MiB when warm, {end.memory:.1f} in the end;"
        f" {kept} objects kept",
        end=" ",
    )
    assert kept < CACHED + KEPT * done
    assert end.memory - warm.memory < GROWTH


def soak(server: Server) -> int:
    """Have traffic; return the number of requests."""
    done = 0
    end = time.monotonic() + SECONDS
    chance = random.Random(1)

    async def client(_: int) -> None:
        nonlocal done
        while time.monotonic() < end:
            async with calling(server.address) as caller:
                await chance.choice(TRAFFIC)(caller)
            done += 1

    crowd(CLIENTS, client, seconds=SECONDS + ALL)
    return done


class Rest(t.NamedTuple):
    """What a server holds that has nothing to do."""

    blocks: int
    memory: float


def at_rest(server: Server, threads: int) -> Rest:
    """Wait until nothing is left of any request, and the idle threads have ended."""

    def rests() -> bool:
        state, counts = server.ask("state"), server.ask("counts")
        return (
            not (state["connections"] or state["parts"] or state["cycles"] or state["left"])
            and counts["begun"] == counts["torn down"]
            and counts["opened"] == counts["closed"]
            and server.ask("threads") <= threads
        )

    assert server.until(rests), (server.ask("state"), server.ask("counts"), server.figures())
    return Rest(server.ask("state")["blocks"], server.memory)
