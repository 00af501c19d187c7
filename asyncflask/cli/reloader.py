"""The reloader: runs the command as a child process, and again when a file changes.

The parent holds the listening socket and does not load the app. The child runs the server in its
main thread, so that it shuts down in order: on a change it gets SIGTERM, finishes what it is at,
runs its lifespan's end, and the next child takes over.
"""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
import threading
import typing as t
from collections.abc import Iterable, Iterator
from contextlib import closing
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

#: Where Python is installed.
_PYTHON = Path(sysconfig.get_path("stdlib"))
#: Names of directories that hold nothing to watch.
_SKIPPED = {"__pycache__", "dist-packages", "node_modules", "site-packages"}

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

        self._is_code = PythonFilter()
        self._has_new_folder = False
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
        if os.path.isdir(path):
            return self._is_new_code(path)
        if any(Path(path).is_relative_to(extra) for extra in self.extra):
            return True
        return self._is_code(change, path)

    def _is_new_code(self, folder: str) -> bool:
        """Take note of a directory that is not watched yet; return whether it has code already."""
        if _is_skipped(folder):
            return False
        self._has_new_folder = True
        return any(name.endswith(".py") for name in os.listdir(folder))

    def folders(self) -> set[str]:
        """Return the directories to watch, each of them without what is below it.

        Own code is watched: what is on the path, less what is installed. A watch on everything
        below the project would take seconds where that holds environments or node_modules, and a
        good part of the watches that the system has.
        """
        code = [entry for entry in map(os.path.abspath, sys.path) if not _is_skipped(entry)]
        found = {str(file.parent) for file in self.extra if file.parent.is_dir()}
        for root in {os.getcwd(), *code, *map(str, self.extra)}:
            found.update(_walk(root))
        return found

    def _changes(self) -> Iterator[set[t.Any]]:
        from watchfiles import watch

        while not self._stop.is_set():
            self._has_new_folder = False
            watching = watch(
                *self.folders(),
                recursive=False,
                watch_filter=self.counts,
                stop_event=self._stop,
                rust_timeout=LOOK_EVERY,
                yield_on_timeout=True,
                raise_interrupt=False,
            )
            with closing(watching):
                for changes in watching:
                    yield changes
                    if self._has_new_folder:
                        break

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


def _walk(root: str) -> Iterator[str]:
    for folder, below, _ in os.walk(root):
        below[:] = [name for name in below if not _is_skipped(os.path.join(folder, name))]
        yield folder


def _is_skipped(folder: str) -> bool:
    """Return whether a directory has no code of the user's: hidden, installed, an environment."""
    name = os.path.basename(folder)
    return (
        name.startswith(".")
        or name in _SKIPPED
        or Path(folder).is_relative_to(_PYTHON)
        or os.path.exists(os.path.join(folder, "pyvenv.cfg"))
    )


def _shortest(changes: set[t.Any]) -> str:
    paths = [Path(path) for _, path in changes]
    here = Path.cwd()
    named = (str(p.relative_to(here) if p.is_relative_to(here) else p) for p in paths)
    return min(named, key=lambda name: (len(name), name))
