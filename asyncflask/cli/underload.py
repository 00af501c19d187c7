"""The server that a load test starts: this very command again, as a child that serves."""

from __future__ import annotations

import time
import typing as t
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from . import children
from .listener import ServerError, listen
from .server import serve

#: Seconds that the app may take to start: one that loads a model takes its time.
START = 60.0
#: Seconds that it may take to end. Its requests are over by then.
END = 10
#: Seconds between two looks at whether it has started.
LOOK = 0.02


@contextmanager
def server() -> Iterator[str]:
    """Run a server on a free port of this machine while a block runs; give its URL.

    :raises ServerError: if it does not start.
    """
    listener = listen("127.0.0.1", 0)
    try:
        # Not generation 0: it is not the one that greets.
        child = children.Child(children.UNDER_LOAD, 1, listener.sock.fileno())
        try:
            _wait(child)
            yield listener.url("http")
        finally:
            child.end(END)
    finally:
        listener.close()


def _wait(child: children.Child) -> None:
    deadline = time.monotonic() + START
    while not child.has_served():
        status = child.status()
        if status is not None:
            raise ServerError(
                f"The server has ended with status {status} before it served: what it said stands"
                " above. 'asyncflask run' shows the same without a load test."
            )
        if time.monotonic() > deadline:
            raise ServerError(f"The app has not started within {START:g} s.")
        time.sleep(LOOK)


def serve_parent(load: Callable[[], t.Any]) -> None:
    """Serve the app, in the child."""
    serve(load, greet=lambda: None, shutdown_timeout=END)
