"""Two hundred huge uploads at once to views that do not read them: the server's memory stays."""

from __future__ import annotations

import asyncio
import time
import typing as t
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from ..live.wire import BYTES, MULTIPART
from ..live.wire import request as raw_request
from .clients import Caller, calling, crowd
from .process import MIB, VARIETY, Server, name_of, started

CLIENTS = 200
SIZE = 256 * MIB

#: MiB by which the server's memory may grow.
ROOM = 64

#: The same where what is read of each upload before it is refused counts too. uvicorn 0.54 hands
#: over up to 320 kB at once and has it twice while it does: 200 bare ASGI callables that read no
#: more than that made it grow by 50 to 78 MiB, sync views in 200 threads by 106.
ROOM_FOR_READING = 192

#: `MAX_CONTENT_LENGTH`, where there is one.
LIMIT = 100_000

#: Seconds without a byte taken, after which the senders are held back and not merely slow.
STILL = 0.5

PIECE = b"x" * 65_536


class Senders:
    """Clients that send as fast as the server takes it, until they are answered."""

    def __init__(self, server: Server, head: bytes) -> None:
        self._server, self._head = server, head
        self.taken = 0
        self.outcomes: Counter[str] = Counter()

    async def one(self, _: int) -> None:
        async with calling(self._server.address) as caller:
            await caller.send(self._head)
            sending = asyncio.ensure_future(self._send(caller))
            answer = await caller.head()
            sending.cancel()
            await asyncio.wait([sending])
            self.outcomes[answer[9:12].decode() or "reset"] += 1

    async def _send(self, caller: Caller) -> None:
        chunked = b"chunked" in self._head
        piece = b"%x\r\n%s\r\n" % (len(PIECE), PIECE) if chunked else PIECE
        with suppress(ConnectionError):
            for _ in range(SIZE // len(PIECE)):
                await caller.send(piece)
                self.taken += len(PIECE)

    async def held_back(self) -> None:
        """Wait until nothing more is taken."""
        taken, since = -1, time.monotonic()
        while time.monotonic() < since + STILL:
            if self.taken != taken:
                taken, since = self.taken, time.monotonic()
            await asyncio.sleep(0.02)


def send_to(server: Server, raw: bytes, room: int, hold: bool = False) -> Senders:
    """Have all senders send, and fail if the server's memory grows too much.

    :param room: MiB by which it may grow.
    :param hold: whether the views wait until all senders are held back.
    """
    senders = Senders(server, raw)
    before = server.memory
    server.forget_peak()

    async def release() -> None:
        await server.at_work(CLIENTS)
        await senders.held_back()
        server.ask("open_gate")

    crowd(CLIENTS, senders.one, release if hold else None)
    print(
        f"\n{before:.1f} MiB before, {server.peak:.1f} peak, {server.memory:.1f} after;"
        f" {senders.taken / MIB:.0f} MiB taken, answers {dict(senders.outcomes)}",
        end=" ",
    )
    assert server.peak - before < room
    assert senders.taken < CLIENTS * SIZE / 10
    return senders


def ends_idle(server: Server) -> bool:
    """Whether nothing is left of the requests."""

    def idle() -> bool:
        state = server.ask("state")
        return not (state["connections"] or state["parts"] or server.ask("working"))

    return server.until(idle)


@pytest.mark.time_limit(60)
@pytest.mark.parametrize("variety", VARIETY, ids=name_of)
@pytest.mark.parametrize("path", ["/sync/held", "/async/held", "/sync/unread", "/async/unread"])
def test_never_read(variety: t.Any, path: str, tmp_path: Path) -> None:
    with started(tmp_path, **variety) as server:
        head = raw_request("POST", path, BYTES, f"Content-Length: {SIZE}")
        senders = send_to(server, head, ROOM, hold=path.endswith("held"))
        assert senders.outcomes.total() == CLIENTS
        assert set(senders.outcomes) <= {"200", "reset"}
        assert ends_idle(server)


@pytest.mark.time_limit(60)
@pytest.mark.parametrize("variety", VARIETY, ids=name_of)
@pytest.mark.parametrize("path", ["/sync/stream", "/sync/form", "/async/data", "/async/raw"])
def test_declared_too_long(variety: t.Any, path: str, tmp_path: Path) -> None:
    """What is declared to be longer than `MAX_CONTENT_LENGTH` is refused unread."""
    with started(tmp_path, **variety, config={"MAX_CONTENT_LENGTH": LIMIT}) as server:
        refused(server, raw_request("POST", path, kind(path), f"Content-Length: {SIZE}"), ROOM)


@pytest.mark.time_limit(60)
@pytest.mark.parametrize("path", ["/sync/stream", "/sync/form", "/async/data", "/async/raw"])
def test_found_too_long(path: str, tmp_path: Path) -> None:
    """What turns out to be longer is refused when it does."""
    with started(tmp_path, config={"MAX_CONTENT_LENGTH": LIMIT}) as server:
        head = raw_request("POST", path, kind(path), "Transfer-Encoding: chunked")
        refused(server, head, ROOM_FOR_READING)


def kind(path: str) -> str:
    return MULTIPART if path.endswith("form") else BYTES


def refused(server: Server, raw: bytes, room: int) -> None:
    senders = send_to(server, raw, room)
    assert senders.outcomes.total() == CLIENTS
    assert set(senders.outcomes) <= {"413", "reset"}
    assert "whole" not in server.ask("counts")
    assert ends_idle(server)
