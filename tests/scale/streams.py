"""Streams of every kind for clients that leave at a given point, with counts of their ends."""

from __future__ import annotations

import asyncio
import time
import typing as t
from collections.abc import AsyncIterator, Callable, Iterator

from asyncflask import (
    Blueprint,
    EventSourceResponse,
    Flask,
    NDJSONResponse,
    Response,
    request,
    streaming_response,
)

from .tally import Tally

#: Where a client leaves: before the response begins, when it has begun, in the middle of a chunk,
#: while there is nothing to send, when all was sent.
POINTS = ["before", "start", "chunk", "waiting", "end"]

#: Text of one chunk, more than is sent at once.
CHUNK = "x" * 200_000


async def never() -> None:
    await asyncio.get_running_loop().create_future()


class Source:
    """An iterable of what is sent; it is counted when it is made, and when it is closed.

    :param wait: waits for ever; in a thread, until it is interrupted.
    """

    def __init__(self, tally: Tally, wait: Callable[[], t.Any]) -> None:
        self.tally, self.point, self.wait = tally, request.args["point"], wait
        self.closed = False
        tally("opened")

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.tally("closed")

    def __iter__(self) -> Iterator[str]:
        if self.point == "chunk":
            while True:
                yield CHUNK
        if self.point != "start":
            yield "first"
        if self.point != "end":
            self.wait()
        yield "last"


class AsyncSource(Source):
    """The same on the loop."""

    __iter__ = None  # type: ignore[assignment]

    def __init__(self, tally: Tally) -> None:
        super().__init__(tally, never)

    async def aclose(self) -> None:
        await asyncio.sleep(0)  # closing may wait
        self.close()

    async def __aiter__(self) -> AsyncIterator[str]:
        if self.point == "chunk":
            while True:
                yield CHUNK
        if self.point != "start":
            yield "first"
        if self.point != "end":
            await self.wait()
        yield "last"


def add_streams(app: Flask, tally: Tally) -> Blueprint:
    """Return a blueprint with the streams."""
    views = Blueprint("streams", __name__)

    @views.before_request
    async def begin() -> None:
        tally("begun")

    @views.teardown_request
    async def end(error: BaseException | None) -> None:
        tally("torn down")

    async def made() -> AsyncSource:
        if request.args["point"] == "before":
            await asyncio.sleep(0.02)
        return AsyncSource(tally)

    @views.get("/generator")
    async def generator() -> Response:
        return Response(await made())

    @views.get("/sse")
    async def sse() -> Response:
        return EventSourceResponse(await made())

    @views.get("/ndjson")
    async def ndjson() -> Response:
        return NDJSONResponse(await made())

    @views.get("/block")
    async def block() -> t.Any:
        source = await made()
        try:
            async with streaming_response() as out:
                async for chunk in source:
                    await out.send(chunk)
        finally:
            await source.aclose()
        return out

    @views.get("/sync")
    def in_thread() -> Response:
        if request.args["point"] == "before":
            time.sleep(0.01)
        return Response(Source(tally, app.async_to_sync(never)))

    return views
