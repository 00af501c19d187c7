"""Websockets by the thousand, and ones that a slow side holds back."""

from __future__ import annotations

import asyncio
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..live.server import LoopName
from ..live.sockets import TEXT, UPGRADE, closing, frame
from ..live.wire import request as raw_request
from .clients import Caller, calling, crowd
from .process import MIB, Server, started
from .sockets import SENT

CLIENTS = 2000

#: Clients that want a thread each, and how many may have one.
THREADED, ALLOWED = 1000, 100

#: Messages that a client sends to a handler that does not read, and the bytes of each: 50 MB.
UNREAD = {"/async": (50_000, 1000), "/sync": (5_000, 10_000)}

#: MiB by which the server's memory may grow while it holds somebody back.
ROOM = 16

#: What the server sends back for `frame(TEXT, b"there")`.
ECHO = b"\x81\x05there"

#: The server's answer to `closing(1000)`.
CLOSED = b"\x88\x02\x03\xe8"

STACKS: list[tuple[LoopName, str]] = [("uvloop", "websockets-sansio"), ("asyncio", "wsproto")]


@pytest.fixture(params=STACKS, ids="-".join)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    loop, ws = request.param
    config = {"SYNC_WORKERS": 10, "SYNC_QUEUE_LIMIT": ALLOWED}
    with started(tmp_path, loop=loop, ws=ws, config=config) as server:
        for kind in ("/sync", "/async"):  # what is made only once is there then
            crowd(1, lambda _, kind=kind: visit(server, f"{kind}/echo"))  # type: ignore[misc]
        assert server.until(lambda: is_at_rest(server))
        server.ask("mark")
        yield server


def is_at_rest(server: Server) -> bool:
    """Whether nothing is left of any websocket."""
    state, counts = server.ask("state"), server.ask("counts")
    left = state["connections"] or state["parts"] or state["left"] or state["garbage"]
    return not left and counts["begun"] == counts["torn down"]


async def open_socket(caller: Caller, path: str) -> bytes:
    """Ask for a websocket; return the head of the answer."""
    await caller.send(raw_request("GET", path, *UPGRADE))
    return await caller.head()


async def echo(caller: Caller) -> None:
    await caller.send(frame(TEXT, b"there"))
    assert await caller.receive(len(ECHO)) == ECHO


async def visit(server: Server, path: str) -> None:
    async with calling(server.address) as caller:
        assert b" 101 " in await open_socket(caller, path)
        await echo(caller)
        await leave(caller, 0)


async def leave(caller: Caller, number: int) -> None:
    """End a websocket, in one of five ways."""
    way = number % 5
    if way in (0, 1):
        await caller.send(closing(1000 if way == 0 else 4000))
    if way == 0:
        assert await caller.receive(len(CLOSED)) == CLOSED
    if way == 2:
        await caller.send(frame(TEXT, b"x" * 300)[:7])
    if way in (2, 3):
        caller.reset()  # the others by FIN


@pytest.mark.time_limit(60)
def test_thousands_that_are_idle(server: Server) -> None:
    files, before = server.files, server.memory
    figures = hold_and_leave(server, "/async/echo", CLIENTS)
    gone = server.until(lambda: is_at_rest(server) and server.files <= files)
    assert gone, (server.ask("state"), server.figures(), files)
    counts = server.ask("counts")
    assert counts["begun"] == counts["torn down"] == CLIENTS + 2
    each = (figures - before) * 1024 / CLIENTS
    print(f"\n{each:.1f} KiB a websocket; after: {server.figures()}", end=" ")


def hold_and_leave(server: Server, path: str, number: int) -> float:
    """Have clients come, stay and leave, all at once; return the memory while they were there."""
    there, looked_at = asyncio.Barrier(number + 1), asyncio.Event()
    memory = 0.0

    async def client(each: int) -> None:
        async with calling(server.address) as caller:
            assert b" 101 " in await open_socket(caller, path)
            await echo(caller)
            await there.wait()
            await looked_at.wait()
            await leave(caller, each)

    async def look() -> None:
        nonlocal memory
        await there.wait()
        assert server.ask("connections") == number
        memory = server.memory
        looked_at.set()

    crowd(number, client, look)
    return memory


@pytest.mark.time_limit(60)
def test_more_than_there_are_threads_for(server: Server) -> None:
    """Those beyond the limit are told so at once, and those within it served all the while."""
    answered = asyncio.Barrier(THREADED)
    let_in: list[int] = []

    async def client(number: int) -> None:
        async with calling(server.address) as caller:
            head = await open_socket(caller, "/sync/echo")
            if b" 101 " in head:
                let_in.append(number)
                await echo(caller)
            else:
                assert b" 503 " in head
                assert b"retry-after: 1" in head.lower()
            await answered.wait()
            if b" 101 " in head:
                await echo(caller)
                await leave(caller, number)

    crowd(THREADED, client)
    assert server.until(lambda: is_at_rest(server)), server.ask("state")
    print(f"\n{len(let_in)} of {THREADED} let in; after: {server.figures()}", end=" ")
    assert ALLOWED <= len(let_in) < 2 * ALLOWED
    crowd(1, lambda _: visit(server, "/sync/echo"))


@pytest.mark.time_limit(60)
@pytest.mark.parametrize("kind", UNREAD)
def test_a_client_that_sends_more_than_is_read(server: Server, kind: str) -> None:
    before = server.memory
    server.forget_peak()
    number, size = UNREAD[kind]
    messages = frame(TEXT, b"x" * size) * number

    async def client(_: int) -> None:
        async with calling(server.address) as caller:
            assert b" 101 " in await open_socket(caller, f"{kind}/slow")
            sending = asyncio.create_task(caller.send(messages + closing(1000)))
            await still(lambda: server.peak)
            assert not sending.done()
            assert server.peak - before < ROOM
            server.ask("open_gate")
            await sending
            assert await caller.receive(len(CLOSED)) == CLOSED

    crowd(1, client)
    assert server.until(lambda: is_at_rest(server)), server.ask("state")
    assert server.ask("counts")["bytes"] == number * size
    print(f"\n{before:.1f} MiB before, {server.peak:.1f} peak", end=" ")
    assert server.peak - before < ROOM


@pytest.mark.time_limit(60)
@pytest.mark.parametrize("kind", ["/async", "/sync"])
@pytest.mark.parametrize("then", ["reads", "leaves"])
def test_a_client_that_does_not_read(server: Server, kind: str, then: str) -> None:
    before = server.memory
    server.forget_peak()

    async def client(_: int) -> None:
        async with calling(server.address, 65_536) as caller:
            assert b" 101 " in await open_socket(caller, f"{kind}/fast")
            await still(lambda: server.ask("counts").get("sent", 0))
            assert server.ask("counts").get("sent", 0) < ROOM
            assert server.peak - before < ROOM
            if then == "leaves":
                caller.reset()
            else:
                size = SENT * (MIB + 10)  # with the heads of the frames
                assert await caller.exactly(size) == size
                await leave(caller, 1)

    crowd(1, client)
    assert server.until(lambda: is_at_rest(server)), server.ask("state")
    sent = server.ask("counts").get("sent", 0)
    assert sent == SENT if then == "reads" else sent < ROOM
    print(f"\n{before:.1f} MiB before, {server.peak:.1f} peak", end=" ")
    assert server.peak - before < ROOM


async def still(value: t.Callable[[], t.Any]) -> None:
    """Wait until a value has not changed for half a second."""
    before, unchanged = None, 0
    while unchanged < 10:
        await asyncio.sleep(0.05)
        now = value()
        unchanged = unchanged + 1 if now == before else 0
        before = now
