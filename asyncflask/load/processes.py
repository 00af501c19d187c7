"""Several client processes with one plan, and one record of what came of it."""

from __future__ import annotations

import json
import sys
import typing as t
from contextlib import suppress

import anyio
import anyio.abc
import click
from anyio.streams.buffered import BufferedByteReceiveStream

from .loop import ungrouped
from .plan import Plan
from .progress import Glance
from .record import Record
from .strain import Strain

#: Bytes of a line from a worker: a record is two histograms for each step and one timeline.
LONGEST_LINE = 64 * 1024 * 1024


class WorkerFailed(click.ClickException):
    """Raised when a client process has ended without a report."""


class Worker:
    """A client process.

    :param process: running `worker`.
    """

    def __init__(self, process: anyio.abc.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._input = process, process.stdin
        self.pid = process.pid
        self._lines = BufferedByteReceiveStream(process.stdout)
        self.glance = Glance()
        self.record, self.strain = Record(), Strain()

    async def tell(self, line: str) -> None:
        """Send it a line; one that has ended is found out when its answer is waited for."""
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._input.send(f"{line}\n".encode())

    async def stop(self) -> None:
        """Have it end at once."""
        await self._input.aclose()

    async def aclose(self) -> None:
        """Wait for its end."""
        await self.stop()
        await self._process.aclose()

    async def _message(self) -> dict[str, t.Any]:
        """Return the next thing that it says.

        :raises WorkerFailed: if that is that something is wrong, or it has ended.
        """
        try:
            line = await self._lines.receive_until(b"\n", LONGEST_LINE)
        except (anyio.IncompleteRead, anyio.ClosedResourceError):
            raise WorkerFailed(
                "A client process has ended before its report, as if it had been killed. What it"
                " wrote stands above."
            ) from None
        message: dict[str, t.Any] = json.loads(line)
        if "error" in message:
            raise WorkerFailed(message["error"])
        return message

    async def until_ready(self) -> None:
        """Wait until it has warmed up.

        :raises WorkerFailed: if it ends before.
        """
        while "ready" not in await self._message():
            pass

    async def until_done(self) -> None:
        """Take in what it says until it has sent its record.

        :raises WorkerFailed: if it ends before.
        """
        while "record" not in (message := await self._message()):
            self.glance = Glance(*message["glance"])
        self.record = Record.from_data(message["record"])
        self.strain = Strain.from_data(message["strain"])


class Crowd:
    """The workers of a plan: the same face as a `Runner` has.

    :param plan: the plan of all.
    :param processes: how many, at most.
    """

    def __init__(self, plan: Plan, processes: int) -> None:
        self._plans = plan.split(processes)
        self._workers: list[Worker] = []
        self.record, self.strain = Record(), Strain()

    async def __aenter__(self) -> t.Self:
        for plan in self._plans:
            process = await anyio.open_process(
                [sys.executable, "-m", "asyncflask.load.worker"],
                stderr=None,
                start_new_session=True,  # Ctrl-C is ours
            )
            self._workers.append(Worker(process))
            await self._workers[-1].tell(plan.as_json())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        with anyio.CancelScope(shield=True):
            for worker in self._workers:
                await worker.aclose()

    async def stop(self) -> None:
        """End at once, whatever has not been answered."""
        for worker in self._workers:
            await worker.stop()

    @property
    def pids(self) -> list[int]:
        """The numbers of the processes."""
        return [worker.pid for worker in self._workers]

    @property
    def glance(self) -> Glance:
        """The figures of all so far."""
        return sum((worker.glance for worker in self._workers), Glance())

    async def warm_up(self) -> None:
        """Wait until all have warmed up.

        :raises WorkerFailed: if one has ended before.
        """
        for worker in self._workers:
            await worker.until_ready()

    async def measure(self) -> None:
        """Start all at the same time, and add up what came of it.

        :raises WorkerFailed: if one has ended before its report.
        """
        for worker in self._workers:
            await worker.tell("start")
        with ungrouped():
            async with anyio.create_task_group() as waiting:
                for worker in self._workers:
                    waiting.start_soon(worker.until_done)
        for worker in self._workers:
            self.record.merge(worker.record)
            self.strain.merge(worker.strain)
