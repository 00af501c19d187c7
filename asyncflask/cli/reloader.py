"""The reloader: runs this very command again as a child process, and again when a file changes.

The parent holds the listening socket and does not load the app. The child inherits the socket and
runs the server in its main thread, so that it shuts down in order: on a change it gets SIGTERM,
finishes what it is at, runs its lifespan's end, and the next child takes over.

The child finds the same variables as under werkzeug's reloader, so that
``werkzeug.serving.is_running_from_reloader()`` answers as users expect.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import threading
import typing as t
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from types import FrameType

import click

if t.TYPE_CHECKING:
    from watchfiles import Change

#: Seconds for a child to shut down before it is killed. A reload is waited for: less than the
#: 30 s that a server in use gets.
STOP_WITHIN = 5.0
#: Milliseconds between two looks whether the child has ended by itself. Changes do not wait.
LOOK_EVERY = 250

#: "true" in a child: werkzeug's name for it, which users test for.
CHILD = "WERKZEUG_RUN_MAIN"
#: The file descriptor of the listening socket: werkzeug's name again.
SOCKET = "WERKZEUG_SERVER_FD"
#: Which child of its parent it is, from 0.
GENERATION = "ASYNCFLASK_RELOADS"


def is_child() -> bool:
    """Return whether this process runs below a reloader."""
    return os.environ.get(CHILD) == "true"


def is_first() -> bool:
    """Return whether this process is to greet: no reloader child, or the first one."""
    return not is_child() or os.environ.get(GENERATION) == "0"


class Reloader:
    """Keeps one child running.

    :param fd: the file descriptor of the listening socket.
    :param extra_files: files and directories to watch besides Python files.
    :param exclude_patterns: `fnmatch` patterns of paths whose changes do not count.
    """

    def __init__(
        self, fd: int, extra_files: Iterable[str] = (), exclude_patterns: Iterable[str] = ()
    ) -> None:
        self.extra = [Path(file).absolute() for file in extra_files]
        self.exclude = list(exclude_patterns)
        self.generation = -1
        self._fd = fd
        self._stop = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Run until the child ends by itself or a signal comes; return the exit status.

        A first child that fails ends it: a command that cannot work shall say so. A later one
        that fails has met a file half written: it is started again when a file changes.
        """
        with self._signals():
            self._start()
            for changes in self._changes():
                if changes:
                    click.echo(f" * Detected change in {_shortest(changes)!r}, reloading")
                    self._end_child()
                    self._start()
                elif (status := self._ended()) is not None:
                    return status
            self._end_child()
        return 0

    def counts(self, change: Change, path: str) -> bool:
        """Return whether a change of that file is a reason to reload."""
        from watchfiles import PythonFilter

        if any(fnmatch(path, pattern) for pattern in self.exclude):
            return False
        if any(Path(path).is_relative_to(extra) for extra in self.extra):
            return True
        return PythonFilter()(change, path)

    def roots(self) -> list[Path]:
        """Return the directories and files to watch: own code, not the installed one."""
        installed = [Path(path) for path in sysconfig.get_paths().values()]
        code = [Path(entry).absolute() for entry in sys.path]
        own = [d for d in code if d.is_dir() and not any(d.is_relative_to(i) for i in installed)]
        found = {Path.cwd(), *own, *(extra for extra in self.extra if extra.exists())}
        return [
            root for root in found if not any(root != o and root.is_relative_to(o) for o in found)
        ]

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
        self.generation += 1
        environ = os.environ | {
            CHILD: "true",
            SOCKET: str(self._fd),
            GENERATION: str(self.generation),
        }
        os.set_inheritable(self._fd, True)
        # argv as Python got it: works for scripts, for -m and for console scripts.
        command = [sys.executable, *sys.orig_argv[1:]]
        self._child = subprocess.Popen(command, env=environ, close_fds=False)

    def _ended(self) -> int | None:
        """Return the child's exit status if that ends the reloader too, else None."""
        status = None if self._child is None else self._child.poll()
        if status is None:
            return None
        self._child = None
        if status == 0 or self.generation == 0:
            return status if status >= 0 else 128 - status
        click.echo(f" * The app ended with status {status}; waiting for a file to change")
        return None

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.terminate()
        try:
            child.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Stop on SIGTERM and Ctrl+C, whichever of them this thread may handle."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(signum: int, frame: FrameType | None) -> None:
            self._stop.set()

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _shortest(changes: set[t.Any]) -> str:
    paths = [Path(path) for _, path in changes]
    here = Path.cwd()
    named = (str(p.relative_to(here) if p.is_relative_to(here) else p) for p in paths)
    return min(named, key=lambda name: (len(name), name))
