"""Child processes: this very command, run again with our listening socket.

The reloader has one, a server with workers has several. A child inherits two sockets: the one to
listen on, and one end of a pair that ties it to its parent. On the pair it says when it serves,
and it ends when the parent is gone, however that happened.

Under the reloader the variables are werkzeug's, so that
``werkzeug.serving.is_running_from_reloader()`` answers as users expect.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

#: "true" in a child of the reloader: werkzeug's name for it, which users test for.
RELOADED = "WERKZEUG_RUN_MAIN"
#: "true" in a worker process.
WORKER = "ASYNCFLASK_WORKER"
#: "true" in the server that a load test has started for itself.
UNDER_LOAD = "ASYNCFLASK_UNDER_LOAD"
#: The file descriptor of the listening socket: werkzeug's name again.
SOCKET = "WERKZEUG_SERVER_FD"
#: The file descriptor of the child's end of the pair.
TIE = "ASYNCFLASK_PARENT_FD"
#: How many children the parent has started before this one.
GENERATION = "ASYNCFLASK_GENERATION"


class Child:
    """A running child process.

    :param kind: `RELOADED`, `WORKER` or `UNDER_LOAD`.
    :param generation: how many there were before it.
    :param fd: the file descriptor of the listening socket.
    """

    def __init__(self, kind: str, generation: int, fd: int) -> None:
        self._tie, theirs = socket.socketpair()
        self._tie.setblocking(False)
        self._served = False
        with theirs:
            for each in (fd, theirs.fileno()):
                os.set_inheritable(each, True)
            environ = {
                kind: "true",
                SOCKET: str(fd),
                TIE: str(theirs.fileno()),
                GENERATION: str(generation),
            }
            # The arguments as Python got them: right for scripts, for -m and for console scripts.
            self._process = subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                env=os.environ | environ,
                close_fds=False,
                start_new_session=kind == UNDER_LOAD,  # Ctrl-C ends the test, which ends its server
            )
        self.pid = self._process.pid

    def status(self) -> int | None:
        """Return the exit status, as a shell gives it; None while it runs."""
        status = self._process.poll()
        return 128 - status if status is not None and status < 0 else status

    def has_served(self) -> bool:
        """Return whether it has come as far as serving requests."""
        if not self._served:
            try:
                self._served = self._tie.recv(1) != b""
            except OSError:  # nothing there yet, or it has been killed
                return False
        return self._served

    def tell_to_end(self) -> None:
        """Send SIGTERM: finish what is going on, run the lifespan's end, and exit."""
        if self._process.poll() is None:
            self._process.terminate()

    def end(self, within: float) -> None:
        """Tell it to end and wait; kill it where that takes longer than `within` seconds."""
        self.tell_to_end()
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._tie.close()


def is_reloaded() -> bool:
    """Return whether this process runs below a reloader."""
    return os.environ.get(RELOADED) == "true"


def is_under_load() -> bool:
    """Return whether this process is the server of a load test."""
    return os.environ.get(UNDER_LOAD) == "true"


def is_child() -> bool:
    """Return whether this process is one that serves for a parent."""
    return is_reloaded() or is_under_load() or os.environ.get(WORKER) == "true"


def is_first() -> bool:
    """Return whether this process is to greet: no child, or its parent's first one."""
    return not is_child() or os.environ.get(GENERATION) == "0"


def inherited(name: str) -> socket.socket | None:
    """Return the socket that the parent has passed under that name, if there is one."""
    fd = os.environ.get(name) if is_child() else None
    if fd is None:
        return None
    os.set_inheritable(int(fd), False)  # not for what this process may start in its turn
    return socket.socket(fileno=int(fd))


def follow_parent() -> Callable[[], None]:
    """End in order when the parent goes away; return what tells it that requests are served."""
    tie = inherited(TIE)
    if tie is None:
        return lambda: None

    def watch() -> None:
        with suppress(OSError):  # it never sends: this returns, or fails, when it has gone
            tie.recv(1)
        os.kill(os.getpid(), signal.SIGTERM)

    def served() -> None:
        with suppress(OSError):
            tie.sendall(b"1")

    threading.Thread(target=watch, name="asyncflask-parent", daemon=True).start()
    return served


@contextmanager
def handling(handlers: dict[int, Callable[[], object]]) -> Iterator[None]:
    """Call functions on signals; where this is not the main thread, Python allows none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def call(signum: int, frame: FrameType | None) -> None:
        handlers[signum]()

    before = {number: signal.signal(number, call) for number in handlers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
