"""Thousands of clients that leave in the middle: afterwards everything is as it was before."""

from __future__ import annotations

import asyncio
import typing as t
from collections.abc import Iterator

import pytest

from ..live.server import STACKS
from ..live.wire import BYTES, MULTIPART, multipart, part
from ..live.wire import request as raw_request
from .clients import Caller, calling, crowd
from .process import Server, started

CLIENTS = 1000
#: Every so many-th client of an upload stays, and sends all of it.
HONEST = 50

UPLOADS = ["/sync/stream", "/sync/form", "/async/data", "/async/raw", "/async/form"]
DOWNLOADS = [
    "/sync/endless",
    "/sync/calling",
    "/sync/waiting",
    "/sync/file",
    "/async/endless",
    "/async/file",
]

#: Bytes that are sent of a body: less than one read, more than is read before a thread is taken,
#: more than is kept in memory.
SIZES = (10, 100_000, 600_000)


def body_of(path: str, size: int) -> bytes:
    content = b"x" * size
    if path.endswith("/form"):
        return multipart(part(b"file", content, filename=b"f"))
    return content


def upload(path: str, body: bytes) -> bytes:
    kind = MULTIPART if path.endswith("/form") else BYTES
    return raw_request("POST", path, kind, body=body)


@pytest.fixture(scope="module", params=STACKS, ids="-".join)
def stack(request: pytest.FixtureRequest) -> t.Any:
    return request.param


@pytest.fixture(scope="module", params=["direct", "bridged"])
def server(
    request: pytest.FixtureRequest, stack: t.Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("temporary")
    file = tmp_path_factory.mktemp("files") / "file.bin"
    file.write_bytes(b"x" * 5_000_000)
    loop, http = stack
    bridged = request.param == "bridged"
    with started(folder, loop=loop, http=http, bridged=bridged, file=str(file)) as server:
        fresh = server.ask("threads"), server.files
        warm_up(server)
        yield server
        assert server.until(lambda: (server.ask("threads"), server.files) == fresh), fresh


def warm_up(server: Server) -> None:
    """Have each kind of request once, so that what is made only once is there."""
    for path in UPLOADS:
        crowd(3, lambda number, path=path: send_all(server, path, SIZES[number]))  # type: ignore[misc]
    for path in DOWNLOADS:
        crowd(1, lambda number, path=path: download(server, path, number))  # type: ignore[misc]
    assert server.until(lambda: is_idle(server))
    server.ask("mark")


def is_idle(server: Server) -> bool:
    """Whether nothing is left of any request: a test ends with what it began with."""
    state = server.ask("state")
    return not (server.ask("working") or state["connections"] or state["parts"])


async def send_all(server: Server, path: str, size: int) -> None:
    async with calling(server.address) as caller:
        await caller.send(upload(path, body_of(path, size)))
        assert b" 200 " in await caller.head()
        assert await caller.exactly(5) == 5


async def leave(caller: Caller, number: int) -> bytes:
    """Vanish: every other by RST, the others by FIN, after which they take what still comes."""
    if number % 2:
        caller.reset()
        return b""
    caller.finish()
    return await caller.rest()


async def download(server: Server, path: str, number: int) -> None:
    async with calling(server.address) as caller:
        await caller.send(raw_request("GET", path))
        assert await caller.exactly(20_000) == 20_000
        await leave(caller, number)


def grown(counts: t.Any, before: t.Any, name: str) -> int:
    return int(counts.get(name, 0) - before.get(name, 0))


def check(server: Server, before: t.Any, counted: t.Any, about: str) -> None:
    """Fail unless all is as it was."""

    def differences() -> dict[str, t.Any]:
        state, counts = server.ask("state"), server.ask("counts")
        found = {
            name: (before[name], state[name])
            for name in ("connections", "tasks", "left", "parts", "garbage")
            if state[name] != before[name]
        }
        for began, ended in (("begun", "torn down"), ("opened", "closed")):
            if grown(counts, counted, began) != grown(counts, counted, ended):
                found[ended] = (grown(counts, counted, began), grown(counts, counted, ended))
        return found

    settled = server.until(lambda: not differences())
    print(f"\n{about}: after {server.figures()}", end="")
    assert settled or differences() == {}


@pytest.mark.time_limit(60)
@pytest.mark.parametrize("path", UPLOADS)
def test_in_the_middle_of_an_upload(server: Server, path: str) -> None:
    before, counted = server.ask("state"), server.ask("counts")
    print(f"\n{path}: before {server.figures()}", end="")
    all_there = asyncio.Event()

    async def client(number: int) -> None:
        whole = upload(path, body_of(path, SIZES[number % 3]))
        sent = whole if number % HONEST == 0 else whole[: -SIZES[number % 3] // 2]
        async with calling(server.address) as caller:
            await caller.send(sent[:-1])
            await all_there.wait()
            await caller.send(sent[-1:])
            if number % HONEST == 0:
                assert b" 200 " in await caller.head()
            else:
                assert b"whole" not in await leave(caller, number)

    async def let_them_leave() -> None:
        await server.at_work(CLIENTS)
        print(f"; peak {server.figures()}", end="")
        all_there.set()

    crowd(CLIENTS, client, let_them_leave)
    check(server, before, counted, path)
    counts = server.ask("counts")
    assert counts["whole"] - counted["whole"] == CLIENTS // HONEST
    assert counts["begun"] - counted["begun"] == CLIENTS


@pytest.mark.time_limit(60)
@pytest.mark.parametrize("path", DOWNLOADS)
def test_in_the_middle_of_a_download(server: Server, path: str) -> None:
    before, counted = server.ask("state"), server.ask("counts")
    print(f"\n{path}: before {server.figures()}", end="")
    crowd(CLIENTS, lambda number: download(server, path, number))
    check(server, before, counted, path)
    assert server.ask("counts")["begun"] - counted["begun"] == CLIENTS
