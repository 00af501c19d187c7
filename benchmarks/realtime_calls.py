"""What a message costs in process: an app called by hand, as a server would call it.

    python -m benchmarks.realtime_calls --factory starlette --seconds 0.5

A process of its own, on one core, in the environment of the framework. It prints the microseconds
of processor time for one message echoed and for one event sent, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import typing as t

import uvloop

from . import cpu, overhead, realtime_apps
from .realtime_apps import TEXT

#: Messages of one connection: so many that its beginning and its end do not count.
MESSAGES = 2000

Call = t.Callable[[t.Any], t.Awaitable[int]]


class CallError(Exception):
    """Raised when an app does not answer as it should."""


def websocket_scope() -> dict[str, t.Any]:
    """Return the scope of a handshake, as uvicorn makes it."""
    scope = overhead.scope("/echo")
    del scope["method"]
    return {
        **scope,
        "type": "websocket",
        "scheme": "ws",
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }


async def echoed(app: t.Any) -> int:
    """Send messages, each when the one before it has come back, and return how many did."""
    sent = back = 0
    waiting: asyncio.Future[None] | None = None
    begun = False

    async def receive() -> dict[str, t.Any]:
        nonlocal begun, sent, waiting
        if not begun:
            begun = True
            return {"type": "websocket.connect"}
        if back < sent:  # only from who reads ahead
            waiting = asyncio.get_running_loop().create_future()
            await waiting
        if sent == MESSAGES:
            return {"type": "websocket.disconnect", "code": 1000, "reason": ""}
        sent += 1
        return {"type": "websocket.receive", "text": TEXT}

    async def send(message: t.Any) -> None:
        nonlocal back, waiting
        if message["type"] == "websocket.send":
            back += message["text"] == TEXT
            if waiting is not None:
                waiting.set_result(None)
                waiting = None

    await app(websocket_scope(), receive, send)
    return back


async def streamed(app: t.Any) -> int:
    """Ask for events, and return how many came."""
    came = 0

    async def send(message: t.Any) -> None:
        nonlocal came
        if b"~" in message.get("body", b""):
            came += 1

    scope = {**overhead.scope("/events"), "query_string": b"%d" % MESSAGES}
    await app(scope, overhead.receive_once(), send)
    return came


CALLS: dict[str, Call] = {"echo": echoed, "events": streamed}


async def cost(app: t.Any, call: Call, seconds: float) -> float:
    """Return the microseconds that one message costs, over about `seconds`.

    :raises CallError: if one is missing.
    """
    done, began, spent = 0, time.process_time(), 0.0
    while not done or spent < seconds:
        count = await call(app)
        if count != MESSAGES:
            raise CallError(f"{count} of {MESSAGES} messages arrived")
        done += count
        spent = time.process_time() - began
    return spent / done * 1e6


def main() -> None:
    """Warm up, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--factory", required=True)
    parser.add_argument("--call", choices=CALLS, required=True)
    parser.add_argument("--seconds", type=float, default=0.5)
    asked = parser.parse_args()
    app = getattr(realtime_apps, asked.factory)()
    with cpu.pinned(1), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(cost(app, CALLS[asked.call], asked.seconds / 5))
        print(json.dumps(runner.run(cost(app, CALLS[asked.call], asked.seconds))))


if __name__ == "__main__":
    main()
