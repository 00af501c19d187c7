"""One of several client processes: ``python -m asyncflask.load.worker``.

It reads its plan from standard input, a line of JSON, warms up, says that it is ready, starts when
it gets a line more, and ends at once when its input ends: so it does not outlive its parent. What
it says are lines of JSON, objects with one of the members ``ready``, ``glance``, ``error``, or
with ``record`` and ``strain``.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import typing as t
from contextlib import suppress
from dataclasses import astuple

import anyio
import click

from .loop import run_on_loop
from .plan import Plan
from .progress import EVERY
from .runner import Runner
from .sending import over_network


def say(**message: t.Any) -> None:
    """Send a line to the parent, if it is still there."""
    left = memoryview(f"{json.dumps(message)}\n".encode())
    with suppress(BrokenPipeError):
        while left:
            left = left[os.write(1, left) :]


class Orders:
    """What the parent sends on standard input after the plan: the start, and the end.

    NOTE: read by `os.read` in a daemon thread. One that waited in a method of `sys.stdin` would
    hold its lock, which the interpreter wants at its end.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.start, self.end = anyio.Event(), anyio.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while os.read(0, 1):
            self._tell(self.start)
        self._tell(self.end)

    def _tell(self, event: anyio.Event) -> None:
        try:
            self._loop.call_soon_threadsafe(event.set)
        except RuntimeError:  # the loop is closed: nobody listens any more
            return


async def work(plan: Plan) -> None:
    """Do what a plan says, and report."""
    orders = Orders()
    async with Runner(plan, over_network(plan)) as runner, anyio.create_task_group() as others:
        others.start_soon(_stop, orders, runner)
        await runner.warm_up()
        say(ready=True)
        await orders.start.wait()
        others.start_soon(_glance, runner)
        await runner.measure()
        others.cancel_scope.cancel()
    say(record=runner.record.as_data(), strain=runner.strain.as_data())


async def _stop(orders: Orders, runner: Runner) -> None:
    await orders.end.wait()
    await runner.stop()
    orders.start.set()  # where it has not come that far


async def _glance(runner: Runner) -> None:
    while True:
        await anyio.sleep(EVERY)
        say(glance=astuple(runner.glance))


def read_plan() -> Plan:
    """Return the plan: the first line of standard input, and not a byte more."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            sys.exit(1)  # the parent has gone
        line += byte
    return Plan.from_json(line.decode())


def main() -> None:
    """Run as a process of its own; Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run_on_loop(work, read_plan())
    except click.ClickException as error:
        say(error=error.format_message())
        sys.exit(1)


if __name__ == "__main__":
    main()
