"""Clients by the thousand: raw sockets on one event loop, which read and write as told."""

from __future__ import annotations

import asyncio
import resource
import socket
import struct
import typing as t
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager

from ..detectors import slowness

#: Seconds in which all clients must be done, whatever they wait for. Most crowds take two; a busy
#: machine gets more, see `slowness`.
ALL = 50.0

Address = tuple[str, int]


class Caller:
    """One connection.

    :param sock: a connected socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._loop = asyncio.get_running_loop()

    async def send(self, raw: bytes) -> None:
        """Send all of it, as the server takes it."""
        await self._loop.sock_sendall(self.socket, raw)

    async def receive(self, size: int) -> bytes:
        """Return what is there next; at the end, nothing, also if the server reset it."""
        try:
            return await self._loop.sock_recv(self.socket, size)
        except ConnectionResetError:
            return b""

    async def head(self) -> bytes:
        """Receive the head of a response, byte by byte; nothing, if the server closes before."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (byte := await self.receive(1)):
                return b""
            head += byte
        return head

    async def exactly(self, size: int) -> int:
        """Receive and drop so many bytes; return how many came, fewer at the end."""
        left = size
        while left and (piece := await self.receive(min(left, 1 << 18))):
            left -= len(piece)
        return size - left

    async def rest(self) -> bytes:
        """Return all that comes until the server closes; of much, the end."""
        kept = b""
        while piece := await self.receive(1 << 18):
            kept = (kept + piece)[-1000:]
        return kept

    def finish(self) -> None:
        """Say that nothing more is sent (FIN)."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Drop the connection at once (RST)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@asynccontextmanager
async def calling(address: Address, buffer: int | None = None) -> AsyncIterator[Caller]:
    """Open a connection for the time of a block.

    :param buffer: bytes that the system may hold for a slow reader; its own choice if None.
    """
    with socket.socket() as sock:
        sock.setblocking(False)
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, address)
        yield Caller(sock)


def crowd(
    number: int,
    work: Callable[[int], Awaitable[None]],
    meanwhile: Callable[[], Coroutine[t.Any, t.Any, None]] | None = None,
    seconds: float = ALL,
) -> None:
    """Have clients work at the same time, and wait for the last one.

    :param work: what each does, given its number.
    :param meanwhile: what else to do beside them.
    :raises TimeoutError: if that takes more than so many seconds.
    """

    async def one(number: int) -> None:
        await work(number)

    async def everybody() -> None:
        async with asyncio.timeout(seconds * slowness()), asyncio.TaskGroup() as group:
            for each in range(number):
                group.create_task(one(each))
            if meanwhile is not None:
                group.create_task(meanwhile())

    asyncio.run(everybody())


def allow_files() -> None:
    """Let this process, and those that it starts, open as many files as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
