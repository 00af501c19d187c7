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

from . import calling, cpu, realtime_apps
from .calling import CallError
from .realtime_apps import TEXT

#: Messages of one connection: so many that its beginning and its end do not count.
MESSAGES = 2000

#: What stands once in each message.
MARK = b"~"

Call = t.Callable[[t.Any], t.Awaitable[int]]


async def echoed(app: t.Any) -> int:
    """Send messages, each when the one before it has come back, and return how many did."""
    return await calling.echoed(app, "/echo", MESSAGES, TEXT)


async def streamed(app: t.Any) -> int:
    """Ask for events, and return how many came."""
    came = 0

    async def send(message: t.Any) -> None:
        nonlocal came
        came += message.get("body", b"").count(MARK)  # several may come in one message

    scope = {**calling.scope("/events"), "query_string": b"%d" % MESSAGES}
    await app(scope, calling.receive_once(), send)
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
