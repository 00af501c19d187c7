"""The app that is told to stop: streams and sockets without an end, requests that take a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from asyncflask import EventSourceResponse, Flask, request, websocket

app = Flask(__name__)
#: How many clients are being served, and how many were torn down; not those who ask for that.
counts = {"begun": 0, "torn down": 0}


@app.before_request
@app.before_websocket
async def begin() -> None:
    counts["begun"] += request.path != "/counts"


@app.teardown_request
@app.teardown_websocket
async def end(error: BaseException | None) -> None:
    counts["torn down"] += request.path != "/counts"


@app.get("/events")
async def events() -> EventSourceResponse:
    async def ticks() -> AsyncIterator[str]:
        yield "begun"
        await asyncio.get_running_loop().create_future()

    return EventSourceResponse(ticks())


@app.websocket("/ws")
async def socket() -> None:
    await websocket.send("begun")
    async for message in websocket:
        await websocket.send(message)


@app.get("/slow")
async def slow() -> str:
    await asyncio.sleep(2)
    return "whole" * 1000


@app.get("/slow/sync")
def slow_sync() -> str:
    time.sleep(2)
    return "whole" * 1000


@app.get("/counts")
async def told() -> dict[str, int]:
    return counts


@app.while_serving
async def last_words() -> AsyncIterator[None]:
    yield
    print(f"begun {counts['begun']}, torn down {counts['torn down']}", flush=True)
