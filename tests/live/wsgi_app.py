"""The app that WSGI servers serve in processes of their own, and what it tells about itself.

The folder that tests and app have in common is named by `WSGI_TEST_FOLDER`: a file that appears in
it is how one process waits for the other.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import sqlite3
import threading
import typing as t
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

from asyncflask import Flask, g, request, send_file, streaming_response

FOLDER = Path(os.environ.get("WSGI_TEST_FOLDER", "."))

#: Bytes of the big download, and of each of its chunks.
BIG, PIECE = 48 << 20, 1 << 16

app = Flask(__name__)
loops: set[int] = set()
failures: list[str] = []
counts = {"began": 0, "ended": 0, "opened": 0, "closed": 0}
lock = threading.Lock()


def count(name: str) -> None:
    with lock:
        counts[name] += 1


async def appearance(name: str) -> None:
    """Wait until a file of this name appears in the folder."""
    while not await anyio.Path(FOLDER, name).exists():  # noqa: ASYNC110 - made by another process
        await asyncio.sleep(0.01)


@app.before_request
def connect() -> None:
    count("began")
    g.database = sqlite3.connect(":memory:")  # for this thread alone
    g.database.execute("create table numbers as select 1 as number union select 2")


@app.teardown_request
def disconnect(error: BaseException | None) -> None:
    try:
        g.database.close()
    except sqlite3.Error as failure:
        failures.append(repr(failure))
    count("ended")


@app.get("/sync")
def sync_view() -> str:
    return "sync"


@app.get("/async")
async def async_view() -> str:
    await asyncio.sleep(0.01)
    loops.add(id(asyncio.get_running_loop()))
    return "async"


@app.get("/thread")
async def thread() -> str:
    return await anyio.to_thread.run_sync(lambda: "thread")


@app.get("/report")
def report() -> dict[str, t.Any]:
    """Tell what was seen, this request left out."""
    found = {**counts, "began": counts["began"] - 1, "loops": len(loops), "failures": failures}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes on Linux
    return {**found, "pid": os.getpid(), "peak": peak * 1024}


@app.get("/generator")
async def generator() -> AsyncIterator[str]:
    async def numbers() -> AsyncIterator[str]:
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            for number in range(3):
                ready = group.create_task(asyncio.sleep(0.001))
                await ready
                yield f"{number};"

    return numbers()


@app.get("/rows")
def rows() -> Iterator[str]:
    for (number,) in g.database.execute("select number from numbers order by number"):
        yield f"{number};"


@app.post("/upload")
def upload() -> str:
    return hashlib.sha256(request.get_data()).hexdigest()


@app.post("/upload-async")
async def upload_async() -> str:
    loops.add(id(asyncio.get_running_loop()))
    return hashlib.sha256(request.data).hexdigest()


@app.post("/upload-stream", stream_body=True)
async def upload_stream() -> str:
    digest = hashlib.sha256()
    stream: t.Any = request.stream
    async for chunk in stream:
        digest.update(chunk)
    return digest.hexdigest()


@app.get("/big")
async def big() -> AsyncIterator[bytes]:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(BIG // PIECE):
            yield bytes([number % 256]) * PIECE

    return pieces()


@app.get("/file")
def file() -> t.Any:
    return send_file(FOLDER / "file.bin")


@app.get("/endless")
async def endless() -> AsyncIterator[bytes]:
    async def pieces() -> AsyncIterator[bytes]:
        count("opened")
        try:
            while True:
                yield b"x" * 10_000
        finally:
            await asyncio.sleep(0)
            count("closed")

    return pieces()


@app.get("/block")
async def block() -> t.Any:
    async with streaming_response(mimetype="text/csv") as out:
        for number in range(3):
            await out.send(f"{number};")
    return out


@app.get("/block-endless")
async def endless_block() -> t.Any:
    count("opened")
    try:
        async with streaming_response() as out:
            while True:
                await out.send(b"x" * 10_000)
    finally:
        await asyncio.sleep(0)
        count("closed")
    return out


@app.get("/starlette")
async def starlette() -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number};"

    async def later() -> None:
        await anyio.Path(FOLDER, "later").touch()

    return StreamingResponse(pieces(), background=BackgroundTask(later))


@app.get("/wait")
async def wait() -> str:
    """Answer only when the test says so."""
    await anyio.Path(FOLDER, "waiting").touch()
    await appearance("go")
    return "waited"


@app.get("/trickle")
async def trickle() -> AsyncIterator[str]:
    async def pieces() -> AsyncIterator[str]:
        yield "first;"
        await anyio.Path(FOLDER, "trickling").touch()
        await appearance("go")
        yield "last;"

    return pieces()


if "WSGI_TEST_EARLY" in os.environ:  # an async call in the parent, before it forks
    app.async_to_sync(asyncio.sleep)(0)
