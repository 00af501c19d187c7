"""Whether every framework gives the right answers, in process and under each of its servers.

    python -m benchmarks.check [NAMES]

Nothing is measured: every workload is asked for once, a WebSocket's message goes back and forth a
few times, and every server is stopped. A line for each app says how many answers were right, and
what is absent. It fails if an answer is wrong, if something is absent that should be there or the
other way round, or if a server has to be killed.

NAMES are those of parts, workloads, frameworks and deployments, as for ``--only`` of
`benchmarks.__main__`, with commas between them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from pathlib import Path

from . import blog
from .calling import Absent, CallError
from .in_process import working
from .over_servers import deployed, prepare
from .rounds import CellError, Pace
from .selection import IN_PROCESS, SERVER, Selection, SelectionError, select
from .server import Server
from .workloads import Workload

#: What a framework cannot do by its own means, and why. A path that is mistyped looks the same.
ABSENT: dict[str, dict[str, str]] = {
    "bare": {"session": "no framework", "upload": "no framework"},
    "litestar": {"range": "its static files are always sent whole"},
    "falcon": {"session": "it has none"},
    "sanic": {"session": "it has none"},
    "flask": {"template-async": "it renders sync", "websocket": "WSGI has none"},
}

#: Over a server, each answer is looked at for so long, on one connection.
PACE = Pace(rounds=1, seconds=0.02)


class Findings:
    """What was found wrong, and lines that say what was right."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def judge(
        self, title: str, framework: str, works: Iterable[Workload], ask: Callable[[Workload], bool]
    ) -> None:
        """Ask for every workload of an app, and say what came of it.

        :param title: what the app is, for the line that says it.
        :param ask: returns whether the framework can do it; raises if the answer is wrong.
        """
        right, absent = 0, list[str]()
        for workload in works:
            try:
                can = ask(workload)
            except (CallError, CellError) as error:
                self.wrong.append(f"{title}: {workload.name}: {error}")
                continue
            if can == (workload.name in ABSENT.get(framework, {})):
                there = "there" if can else "absent"
                self.wrong.append(f"{title}: {workload.name} should not be {there}")
            right += can
            absent += [] if can else [workload.name]
        print(
            f"{title}: {right} right" + "".join(f", {name} absent" for name in absent), flush=True
        )


def check_calls(selection: Selection, folders: Mapping[str, Path], found: Findings) -> None:
    """Call every framework in process.

    :param folders: where each framework's blog is.
    """
    for framework in selection.frameworks():
        works = [each for each in selection.workloads(IN_PROCESS) if each.asks(framework.name)]
        if works:
            with working(framework, folders) as child:
                found.judge(f"{framework.title}, in process", framework.name, works, child.can)


def check_servers(selection: Selection, folders: Mapping[str, Path], found: Findings) -> None:
    """Ask every framework under its servers.

    :param folders: where each framework's blog is.
    """
    for deployment in selection.deployments():
        works = [each for each in selection.workloads(SERVER) if each.asks(deployment.framework)]
        for app, group in groupby(sorted(works, key=lambda each: each.app), lambda each: each.app):
            asked, title = [*group], f"{deployment.title}, {app}"
            try:
                with deployed(deployment, asked[0], folders) as server:
                    found.judge(title, deployment.framework, asked, asking(server))
                if server.killed:
                    found.wrong.append(f"{title}: did not stop when it was told to")
            except CellError as error:
                found.wrong.append(f"{title}: {error}")


def asking(server: Server) -> Callable[[Workload], bool]:
    """Return what asks a server for a workload, and returns whether it can do it."""

    def ask(workload: Workload) -> bool:
        try:
            with prepare(server, workload).asking(1, PACE) as seen:
                seen()
        except Absent:
            return False
        return True

    return ask


def main(arguments: list[str] | None = None) -> None:
    """Check what is asked for.

    :param arguments: the command line's, else the process's own.
    """
    words = " ".join(sys.argv[1:] if arguments is None else arguments).replace(",", " ").split()
    try:
        selection, found = select(words), Findings()
    except SelectionError as error:
        sys.exit(str(error))
    with blog.installed() as folders:
        check_calls(selection, folders, found)
        check_servers(selection, folders, found)
    if found.wrong:
        sys.exit("\n".join(found.wrong))


if __name__ == "__main__":
    main()
