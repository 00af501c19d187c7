"""A test from its plan to its exit status."""

from __future__ import annotations

import json
import os
import signal
import threading
import typing as t
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import anyio
import anyio.abc
import click

from .html import page
from .loop import run_on_loop, ungrouped
from .outcome import Outcome, Place
from .plan import Plan
from .processes import Crowd
from .progress import EVERY, Glance, Progress
from .record import Record
from .runner import Runner
from .sending import in_process, over_network
from .strain import Strain
from .summary import summary
from .text import report
from .thresholds import Thresholds

#: What stands for standard output among file names.
STDOUT = "-"


class Engine(t.Protocol):
    """What does the work: a `Runner`, or a `Crowd` of processes."""

    record: Record
    strain: Strain

    @property
    def glance(self) -> Glance:
        """The figures so far."""

    async def warm_up(self) -> None:
        """Do what does not count."""

    async def measure(self) -> None:
        """Do what counts."""

    async def stop(self) -> None:
        """End at once."""


@dataclass(frozen=True)
class Session:
    """A test and what is made of it.

    :param plan: what is to be done.
    :param app: the app that is called in this process, or None.
    :param place: where the app runs.
    :param processes: how many do it.
    :param thresholds: the limits.
    :param json_file: where the report goes as JSON: a file's name, ``-`` or None.
    :param html_file: where it goes as a page.
    :param quiet: whether no progress is shown.
    """

    plan: Plan
    app: t.Any = None
    place: Place = "url"
    processes: int = 1
    thresholds: Thresholds = field(default_factory=Thresholds)
    json_file: str | None = None
    html_file: str | None = None
    quiet: bool = False

    def run(self) -> int:
        """Do it, write the reports, and return the exit status.

        :raises click.ClickException: if it could not be done.
        """
        with ungrouped():
            outcome = run_on_loop(self._measured)
        self._write(outcome)
        return outcome.status

    @asynccontextmanager
    async def _engine(self) -> AsyncIterator[Engine]:
        if self.app is not None:
            async with self.app.test_app() as started:
                connect = in_process(self.app, started.state)
                async with Runner(self.plan, connect) as runner:
                    yield runner
        elif self.processes > 1:
            async with Crowd(self.plan, self.processes) as crowd:
                yield crowd
        else:
            async with Runner(self.plan, over_network(self.plan)) as runner:
                yield runner

    async def _measured(self) -> Outcome:
        progress = Progress(self.quiet)
        interrupted = anyio.Event()
        async with self._engine() as engine, anyio.create_task_group() as others:
            await others.start(_stop_on_signal, engine, interrupted)
            if self.plan.warm_up:
                progress.say(f"Warming up for {self.plan.warm_up:g} s ...")
            await engine.warm_up()
            began = datetime.now(UTC).astimezone()
            others.start_soon(_show, engine, progress)
            try:
                await engine.measure()
            finally:
                progress.close()
            others.cancel_scope.cancel()
        verdicts = self.thresholds.verdicts(engine.record)
        was_interrupted = interrupted.is_set()
        return Outcome(
            self.plan, self.place, engine.record, engine.strain, began, was_interrupted, verdicts
        )

    def _write(self, outcome: Outcome) -> None:
        for line in report(outcome):
            # With the JSON on standard output, nothing else is there.
            click.echo(line, err=self.json_file == STDOUT)
        if self.json_file is not None:
            _save(self.json_file, json.dumps(summary(outcome), indent=2) + "\n")
        if self.html_file is not None:
            _save(self.html_file, page(outcome))


async def _stop_on_signal(
    engine: Engine,
    interrupted: anyio.Event,
    *,
    task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Let Ctrl-C end the run; a second one, while that goes on, ends the program.

    Where there are no signals to wait for (on Windows, in another thread), the first one does.
    """
    if os.name != "posix" or threading.current_thread() is not threading.main_thread():
        task_status.started()
        return
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        await anext(aiter(signals))
    interrupted.set()
    await engine.stop()


async def _show(engine: Engine, progress: Progress) -> None:
    began = anyio.current_time()
    while True:
        await anyio.sleep(EVERY)
        progress.show(engine.glance, anyio.current_time() - began)


def _save(name: str, text: str) -> None:
    try:
        with click.open_file(name, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise click.ClickException(
            f"The report cannot be written to {name!r}: {error.strerror}."
        ) from None
