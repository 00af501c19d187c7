"""What the tests of the examples share: their folders on the path, and a real server."""

from __future__ import annotations

import socket
import sys
import threading
import typing as t
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import uvicorn

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path[:0] = [str(EXAMPLES / "blog"), str(EXAMPLES / "async_api")]

Serve = t.Callable[[t.Any], str]

LIMIT = 10  # seconds for a server to start or to stop; both take a fraction of one


class Server(uvicorn.Server):
    """A uvicorn server that says when it has started, or failed to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.settled.set()


@contextmanager
def serving(app: t.Any) -> Iterator[str]:
    """Serve an app in a thread, on a free loopback port, and give its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=LIMIT))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            assert server.settled.wait(LIMIT)
            assert server.started
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(2 * LIMIT)
            assert not thread.is_alive()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve apps until the test ends: ``url = serve(app)``."""
    with ExitStack() as servers:
        yield lambda app: servers.enter_context(serving(app))
