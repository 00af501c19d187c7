"""A real server on trio, in a thread of the test process: hypercorn."""

from __future__ import annotations

import socket
import threading
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from .server import PATIENCE, Site


class TrioServer(Site):
    """Serves an app until `stop`.

    :param app: the ASGI app.
    :param listener: a socket that is bound and listens.
    """

    def __init__(self, app: t.Any, listener: socket.socket) -> None:
        self.address = listener.getsockname()[:2]
        self._app, self._listener = app, listener
        self._settled = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="trio-server")

    def start(self) -> None:
        """Start the thread, and wait until the server answers."""
        self._thread.start()
        assert self._settled.wait(PATIENCE), "the server did not start"
        self._raise_error()

    def stop(self) -> None:
        """Shut the server down, and wait for the end of its thread."""
        if self._thread.is_alive():
            self._token.run_sync_soon(self._over.set)
        self._thread.join(3 * PATIENCE)
        assert not self._thread.is_alive(), "the server did not stop"
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _main(self) -> None:
        try:
            trio.run(self._serve)
        except BaseException as error:
            self._error = error
        finally:
            self._settled.set()

    async def _serve(self) -> None:
        self._token, self._over = trio.lowlevel.current_trio_token(), trio.Event()
        config = Config()
        config.bind = [f"fd://{self._listener.detach()}"]  # hypercorn closes it
        config.accesslog = config.errorlog = None
        config.graceful_timeout = 1.0
        run = partial(serve, self._app, config, shutdown_trigger=self._over.wait, mode="asgi")
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: run(task_status=task_status))
            self._settled.set()


@contextmanager
def serving_on_trio(app: t.Any) -> Iterator[TrioServer]:
    """Serve an app on trio while a block runs."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        server = TrioServer(app, listener)
        server.start()
        try:
            yield server
        finally:
            server.stop()
