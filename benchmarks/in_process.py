"""Every framework called in process, each by a worker of its own, in turns.

All workers for an app, or for apps of one family, are there at the same time, on one core, and one
of them works: so a slow moment of the machine hits all of them. What is counted is the processor
time of all threads of the worker.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import typing as t
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from . import cpu, environment
from .frameworks import Framework
from .rounds import Cell, CellError, Found, Key, Pace, costs, plain, say
from .selection import IN_PROCESS, Selection
from .server import QUIET
from .workloads import Workload, spec

#: Seconds without an answer after which a worker counts as stuck. To make an app with thousands of
#: routes takes some frameworks as long.
PATIENCE = 180.0


class Child:
    """A worker.

    :param framework: which it calls.
    :param process: its process.
    """

    def __init__(self, framework: Framework, process: subprocess.Popen[bytes]) -> None:
        self._framework, self._process = framework, process

    def ask(self, workload: Workload, **more: float) -> dict[str, t.Any]:
        """Give a command and return the answer.

        :raises CellError: if there is none, or it tells of an error.
        """
        name = self._framework.name
        command = {"app": spec(workload, name), "workload": workload.name, **more}
        told, heard = self._process.stdin, self._process.stdout
        assert told is not None
        assert heard is not None
        try:
            told.write(json.dumps(command | {"wsgi": self._framework.wsgi}).encode() + b"\n")
        except (OSError, ValueError) as error:
            raise CellError("the worker has ended") from error
        if not select.select([heard], [], [], PATIENCE)[0]:
            self._process.kill()
            raise CellError(f"no answer for {PATIENCE:.0f} s")
        answer: dict[str, t.Any] = json.loads(heard.readline() or b'{"error": "it has ended"}')
        if "error" in answer:
            raise CellError(answer["error"])
        return answer

    def can(self, workload: Workload) -> bool:
        """Return whether the framework can do it, and does it right.

        :raises CellError: if it does it wrong.
        """
        return "absent" not in self.ask(workload)

    def cost(self, workload: Workload, seconds: float) -> float:
        """Return the microseconds of processor time that a request costs.

        :raises CellError: if it cannot be measured.
        """
        return t.cast("float", self.ask(workload, seconds=seconds)["cost"])

    def cells(
        self, workloads: Iterable[Workload], seconds: float, failures: list[str]
    ) -> dict[Key, Cell]:
        """Return what measures those workloads that the framework can do.

        :param failures: told what it does wrong.
        """
        name, found = self._framework.name, dict[Key, Cell]()
        for workload in workloads:
            try:
                if self.can(workload):
                    found[workload.name, name] = partial(self.cost, workload, seconds)
            except CellError as error:
                failures.append(f"{IN_PROCESS}, {workload.name} {name}: {error}")
                say(failures[-1])
        return found


@contextmanager
def working(framework: Framework, folders: Mapping[str, Path]) -> t.Iterator[Child]:
    """Have a worker for the time of a block.

    :param folders: where each framework's blog is.
    """
    python = environment.python(framework.environment)
    with subprocess.Popen(
        [python, "-m", "benchmarks.worker"],
        cwd=environment.HOME,
        env={**os.environ, **QUIET, "PYTHONPATH": search_path(framework.name, folders)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,  # so that closing has nothing to write to who has ended
    ) as process:
        cpu.pin(1, process.pid)
        try:
            yield Child(framework, process)
        finally:
            process.terminate()


def search_path(framework: str, folders: Mapping[str, Path]) -> str:
    """Return where modules are found: ours, and the framework's blog if it has one."""
    found = [environment.HOME, *(folders[name] for name in folders if name == framework)]
    return os.pathsep.join(map(str, found))


def run(
    selection: Selection, pace: Pace, folders: Mapping[str, Path], failures: list[str]
) -> Found:
    """Measure what is asked for.

    :param folders: where each framework's blog is.
    :param failures: told what cannot be measured.
    :raises InstallationError: if a peer cannot be installed.
    """
    works = selection.workloads(IN_PROCESS)
    found: Found = {}
    for family in dict.fromkeys(each.family for each in works):
        asked = [each for each in works if each.family == family]
        with ExitStack() as stack:
            cells: dict[Key, Cell] = {}
            for framework in selection.frameworks():
                if mine := [each for each in asked if each.asks(framework.name)]:
                    say(f"{IN_PROCESS}, {family}: {framework.title}")
                    child = stack.enter_context(working(framework, folders))
                    cells |= child.cells(mine, pace.seconds, failures)
            found |= costs(f"{IN_PROCESS}, {family}", plain(cells), pace, failures)
    return found
