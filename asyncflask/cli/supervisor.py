"""Several worker processes on one listening socket.

The parent does not load the app. It starts a worker for one that has died, and on SIGHUP it
replaces them all, each when its successor serves, so that no connection is refused.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import click

from .children import WORKER, Child, handling

#: Seconds between two looks at the workers.
LOOK_EVERY = 0.25
#: Seconds that a new worker gets to start serving when it replaces another.
START_WITHIN = 60.0


class Supervisor:
    """Keeps a number of workers running.

    :param fd: the file descriptor of the listening socket.
    :param count: how many.
    :param stop_within: seconds for a worker to shut down before it is killed.
    """

    def __init__(self, fd: int, count: int, stop_within: float) -> None:
        self._fd, self._count, self._stop_within = fd, count, stop_within
        self._stop, self._replace = threading.Event(), threading.Event()
        self._workers: list[Child] = []
        self._started = 0

    def run(self) -> int:
        """Run until a signal comes, or a worker fails before it serves; return the exit status."""
        handlers: dict[int, Callable[[], object]] = {
            signal.SIGTERM: self._stop.set,
            signal.SIGINT: self._stop.set,
        }
        if hasattr(signal, "SIGHUP"):
            handlers[signal.SIGHUP] = self._replace.set
        with handling(handlers):
            try:
                return self._run()
            finally:
                self._end()

    def _run(self) -> int:
        self._workers = [self._start()]
        while not self._stop.wait(LOOK_EVERY):
            if (status := self._tend()) is not None:
                return status
            # The others follow when the first one serves: what cannot work fails once.
            if len(self._workers) < self._count and self._workers[0].has_served():
                self._workers += [self._start() for _ in range(self._count - 1)]
            if self._replace.is_set():
                self._replace.clear()
                self._replace_all()
        return 0

    def _start(self) -> Child:
        worker = Child(WORKER, self._started, self._fd)
        self._started += 1
        return worker

    def _tend(self) -> int | None:
        """Replace workers that have died; return the status of one that cannot work at all."""
        for place, worker in enumerate(self._workers):
            if (status := worker.status()) is None:
                continue
            if not worker.has_served():
                return status or 1
            click.echo(f" * Worker {worker.pid} ended with status {status}; starting another")
            worker.end(0)
            self._workers[place] = self._start()
        return None

    def _replace_all(self) -> None:
        click.echo(" * Replacing the workers")
        for place, old in enumerate(self._workers):
            new = self._start()
            if not self._comes_up(new):
                new.end(0)
                if not self._stop.is_set():
                    click.echo(" * The new worker does not serve; keeping the old ones", err=True)
                return
            self._workers[place] = new
            old.end(self._stop_within)

    def _comes_up(self, worker: Child) -> bool:
        for _ in range(int(START_WITHIN / LOOK_EVERY)):
            if worker.has_served():
                return True
            if worker.status() is not None or self._stop.wait(LOOK_EVERY):
                return False
        return False

    def _end(self) -> None:
        for worker in self._workers:
            worker.tell_to_end()  # all at once; then wait for each
        for worker in self._workers:
            worker.end(self._stop_within)
