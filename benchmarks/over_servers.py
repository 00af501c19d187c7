"""Every framework under its servers, over loopback: what a request costs, and how many there are.

All servers of an app are there at the same time, on one core, and one of them is asked; who asks
has another core. A server's processor time is divided by the requests it has answered: that hardly
drifts with the machine, as requests per second do.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from . import cpu, entry, environment, wrk
from .apps import shared
from .calling import Absent, CallError, Headers
from .echo import Echoer, handshake
from .frameworks import FRAMEWORKS, Deployment
from .in_process import search_path
from .load import Crowd, Question, Seen, Visitor, request
from .rounds import CellError, Found, Key, Pace, costs, measure, plain, say
from .selection import CONNECTIONS, SERVER, THROUGHPUT, Selection
from .server import Server, ServerError, serving
from .workloads import Workload, spec

#: Requests per second, latencies in milliseconds, and how busy the client was, of 1.
Rates = dict[Key, list[dict[str, float]]]


class Asked(t.NamedTuple):
    """One workload of one server that is up to it."""

    server: Server
    workload: Workload
    question: Question | None  # none: a WebSocket

    @contextmanager
    def asking(self, connections: int, pace: Pace) -> t.Iterator[Callable[[], Seen]]:
        """Have clients for the time of a block; what it gives returns what becomes of their load.

        :raises CellError: if an answer is wrong, or none comes.
        """
        try:
            crowd = Crowd(self._client(), connections)
            try:
                crowd.load(pace.warm_up)
                yield partial(crowd.watch, self.server.pid, pace.seconds)
            finally:
                crowd.leave()
        except OSError as error:
            raise ServerError(f"{self.server.name} is not up to the load: {error!r}") from error

    def _client(self) -> Callable[[t.Any], Visitor | Echoer]:
        if self.question is None:
            path = self.workload.path
            return lambda poll: Echoer(self.server.port, path, shared.TEXT, poll)
        question = self.question
        return lambda poll: Visitor(self.server.port, question, poll)

    @contextmanager
    def costing(self, pace: Pace) -> t.Iterator[Callable[[], float]]:
        """Give what measures the microseconds of processor time that a request costs the server.

        :raises CellError: if it cannot be measured.
        """
        with self.asking(self.workload.connections, pace) as seen:
            yield lambda: seen().cost

    def rates(self, connections: int, pace: Pace) -> dict[str, float]:
        """Return how many requests are answered in a second, and how soon.

        :raises CellError: if it cannot be measured.
        """
        if wrk.installed():
            return wrk.rates(self.server.port, self.workload.path, connections, pace.seconds)
        with self.asking(connections, pace) as look:
            seen = look()
        return {
            "per_second": seen.answered / seen.seconds,
            **{f"p{share}": seen.percentile(share) for share in (50, 90, 99)},
            "slowest": seen.percentile(100),
            "client": seen.client / seen.seconds,
        }


def prepare(server: Server, workload: Workload) -> Asked:
    """Look at a server's answer, and return what asks for it again and again.

    :raises Absent: if the framework cannot do it.
    :raises CallError: if the answer is wrong.
    :raises ServerError: if there is none.
    """
    if workload.websocket:
        answer = server.ask(handshake(workload.path).encode())
        if answer.status in (403, 404):
            raise Absent
        if answer.status != 101:
            raise CallError(f"{workload.path} is answered with {answer}")
        return Asked(server, workload, None)
    asked = _request(server, workload)
    answer = server.ask(asked)
    if workload.cookie and answer.status == workload.status:
        asked = _request(server, workload, answer.cookie())
        answer = server.ask(asked)
    answer.judged(workload)
    return Asked(server, workload, Question(asked, workload.check, workload.status))


def _request(server: Server, workload: Workload, cookie: Headers = ()) -> bytes:
    body = workload.body() if workload.body else None
    headers = (*workload.headers, *cookie)
    return request(server.port, workload.method, workload.path, headers, body)


def deployed(
    deployment: Deployment, workload: Workload, folders: Mapping[str, Path]
) -> t.ContextManager[Server]:
    """Return the context in which an app is served.

    :param workload: one of those that the app is for.
    :param folders: where each framework's blog is.
    """
    framework = FRAMEWORKS[deployment.framework]
    environ = {
        entry.VARIABLE: spec(workload, framework.name),
        "PYTHONPATH": search_path(framework.name, folders),
    }
    python = environment.python(framework.environment)
    return serving(deployment.title, python, *deployment.command, environ=environ)


class Servers:
    """The servers part of the suite.

    :param selection: what is asked for.
    :param costs: the pace of the part of that name.
    :param rates: the pace of requests per second.
    :param folders: where each framework's blog is.
    :param failures: told what cannot be measured.
    """

    def __init__(
        self,
        selection: Selection,
        costs: Pace,
        rates: Pace,
        folders: Mapping[str, Path],
        failures: list[str],
    ) -> None:
        self._selection, self._folders, self._failures = selection, folders, failures
        self._costs, self._rates = costs, rates
        self.costs: Found = {}
        self.rates: Rates = {}

    def run(self) -> None:
        """Measure, one app after the other.

        :raises InstallationError: if a peer cannot be installed.
        """
        works = [
            *self._selection.workloads(SERVER),
            *self._selection.workloads(THROUGHPUT),
        ]
        with cpu.pinned(0):
            for app in dict.fromkeys(each.app for each in works):
                self._run(app, {each.name: each for each in works if each.app == app})

    def _run(self, app: str, works: Mapping[str, Workload]) -> None:
        ready: dict[Key, Asked] = {}
        with ExitStack() as stack:
            for deployment in self._selection.deployments():
                asked = [each for each in works.values() if each.asks(deployment.framework)]
                if not asked:
                    continue
                say(f"{app}: {deployment.title}")
                try:
                    server = stack.enter_context(deployed(deployment, asked[0], self._folders))
                except CellError as error:
                    self._fail(f"{app} {deployment.name}: {error}")
                    continue
                for workload in asked:
                    self._prepare(ready, deployment.name, server, workload)
            self._measure(app, ready)

    def _prepare(
        self, ready: dict[Key, Asked], name: str, server: Server, workload: Workload
    ) -> None:
        try:
            ready[workload.name, name] = prepare(server, workload)
        except Absent:
            pass
        except (CallError, CellError) as error:
            self._fail(f"{workload.name} {name}: {error}")

    def _measure(self, app: str, ready: Mapping[Key, Asked]) -> None:
        wanted = {each.name for each in self._selection.workloads(SERVER)}
        cells = {
            key: partial(asked.costing, self._costs)
            for key, asked in ready.items()
            if key[0] in wanted
        }
        self.costs |= costs(f"{SERVER}, {app}", cells, self._costs, self._failures)
        wanted = {each.name for each in self._selection.workloads(THROUGHPUT)}
        rates = {
            (f"{work}@{connections}", name): partial(asked.rates, connections, self._rates)
            for (work, name), asked in ready.items()
            if work in wanted
            for connections in CONNECTIONS
        }
        what, rounds = f"{THROUGHPUT}, {app}", self._rates.rounds
        self.rates |= measure(what, plain(rates), rounds, self._failures)

    def _fail(self, what: str) -> None:
        self._failures.append(f"{SERVER}, {what}")
        say(self._failures[-1])
