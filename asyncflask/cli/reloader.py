"""The reloader: runs the command as a child process, and again when a file changes.

The parent holds the listening socket and does not load the app. The child runs the server in its
main thread, so that it shuts down in order: on a change it gets SIGTERM, finishes what it is at,
runs its lifespan's end, and the next child takes over.
"""

from __future__ import annotations

import signal
import sys
import sysconfig
import threading
import typing as t
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import click

from .children import RELOADED, Child, handling
from .listener import ServerError

if t.TYPE_CHECKING:
    from watchfiles import Change

#: Seconds for a child to shut down before it is killed. A reload is waited for: less than the
#: 30 s that a server in use gets.
STOP_WITHIN = 5.0
#: Milliseconds between two looks whether the child has ended by itself. Changes do not wait.
LOOK_EVERY = 250

CANNOT_WATCH = """\
The files cannot be watched for changes: {error}. Turn the reloader off (--no-reload), or set
WATCHFILES_FORCE_POLLING=1 in the environment to have it look at them from time to time.\
"""


class Reloader:
    """Keeps one child running.

    :param fd: the file descriptor of the listening socket.
    :param extra_files: files and directories to watch besides Python files.
    :param exclude_patterns: `fnmatch` patterns of paths whose changes do not count.
    """

    def __init__(
        self, fd: int, extra_files: Iterable[str] = (), exclude_patterns: Iterable[str] = ()
    ) -> None:
        from watchfiles import PythonFilter

        self._is_code = PythonFilter(ignore_paths=[*_installed()])
        self.extra = [Path(file).absolute() for file in extra_files]
        self.exclude = list(exclude_patterns)
        self._fd = fd
        self._started = 0
        self._stop = threading.Event()
        self._child: Child | None = None

    def run(self) -> int:
        """Run until the child ends by itself or a signal comes; return the exit status.

        A first child that fails ends it: a command that cannot work shall say so. A later one
        that fails has met a file half written: it is started again when a file changes.
        """
        with handling({signal.SIGTERM: self._stop.set, signal.SIGINT: self._stop.set}):
            try:
                return self._run()
            except OSError as error:  # the system watches so many files, and no more
                raise ServerError(CANNOT_WATCH.format(error=error)) from None
            finally:
                self._end()

    def _run(self) -> int:
        self._start()
        for changes in self._changes():
            if changes:
                click.echo(f" * Detected change in {_shortest(changes)!r}, reloading")
                self._end()
                self._start()
            elif (status := self._ended()) is not None:
                return status
        return 0

    def counts(self, change: Change, path: str) -> bool:
        """Return whether a change of that file is a reason to reload."""
        if any(fnmatch(path, pattern) for pattern in self.exclude):
            return False
        if any(Path(path).is_relative_to(extra) for extra in self.extra):
            return True
        return self._is_code(change, path)

    def roots(self) -> list[Path]:
        """Return the directories and files to watch: own code, not the installed one."""
        installed = [Path(path) for path in _installed()]
        code = [Path(entry).absolute() for entry in sys.path]
        own = [d for d in code if d.is_dir() and not any(d.is_relative_to(i) for i in installed)]
        found = {Path.cwd(), *own, *(extra for extra in self.extra if extra.exists())}
        return [each for each in found if found.isdisjoint(each.parents)]

    def _changes(self) -> Iterator[set[t.Any]]:
        from watchfiles import watch

        return watch(
            *self.roots(),
            watch_filter=self.counts,
            stop_event=self._stop,
            rust_timeout=LOOK_EVERY,
            yield_on_timeout=True,
            raise_interrupt=False,
        )

    def _start(self) -> None:
        self._child = Child(RELOADED, self._started, self._fd)
        self._started += 1

    def _ended(self) -> int | None:
        """Return the child's exit status if that ends the reloader too, else None."""
        status = None if self._child is None else self._child.status()
        if status is None:
            return None
        self._end()
        if status == 0 or self._started == 1:
            return status
        click.echo(f" * The app ended with status {status}; waiting for a file to change")
        return None

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end(STOP_WITHIN)


def _installed() -> set[str]:
    """Return the directories that Python and its packages are installed in."""
    places = ("stdlib", "platstdlib", "purelib", "platlib")
    return {sysconfig.get_path(place) for place in places}


def _shortest(changes: set[t.Any]) -> str:
    paths = [Path(path) for _, path in changes]
    here = Path.cwd()
    named = (str(p.relative_to(here) if p.is_relative_to(here) else p) for p in paths)
    return min(named, key=lambda name: (len(name), name))
