"""Many clients at once, each with a connection that it keeps: fast enough to load a server."""

from __future__ import annotations

import asyncio
import typing as t
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from ..detectors import slowness
from .wire import SILENCE


class Reply(t.NamedTuple):
    """A response as `Client.ask` reads it."""

    status: int
    head: bytes
    body: bytes

    def raw_header(self, name: str) -> str:
        """Return the value of a header, or nothing if there is none."""
        at = self.head.lower().find(f"\r\n{name.lower()}: ".encode())
        rest = b"" if at < 0 else self.head[at + len(name) + 4 :]
        return rest.partition(b"\r\n")[0].decode("latin-1")


class Client:
    """One keep-alive connection.

    :param reader: its incoming side.
    :param writer: its outgoing side.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, raw: bytes, seconds: float = SILENCE) -> Reply:
        """Send a request and read its response: by its length, in chunks, or up to the end."""
        self._writer.write(raw)
        async with asyncio.timeout(seconds * slowness()):
            head = await self._reader.readuntil(b"\r\n\r\n")
            reply = Reply(int(head[9:12]), head, b"")
            if length := reply.raw_header("content-length"):
                body = await self._reader.readexactly(int(length))
            elif reply.raw_header("transfer-encoding"):
                body = await self._chunks()
            else:
                body = await self._reader.read()
            return reply._replace(body=body)

    async def _chunks(self) -> bytes:
        parts = []
        while size := int(await self._reader.readline(), 16):
            parts.append((await self._reader.readexactly(size + 2))[:-2])
        await self._reader.readline()
        return b"".join(parts)


@asynccontextmanager
async def connected(address: tuple[str, int]) -> AsyncIterator[Client]:
    """Open a connection for the time of a block."""
    reader, writer = await asyncio.open_connection(*address, limit=1 << 20)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


def load(
    address: tuple[str, int], clients: int, work: Callable[[int, Client], Awaitable[None]]
) -> None:
    """Have clients work at the same time, and wait for the last one.

    :param clients: how many.
    :param work: what each does, given its number and its connection.
    """

    async def one(number: int) -> None:
        async with connected(address) as client:
            await work(number, client)

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(one(number))

    asyncio.run(all_of_them())
