"""WSGI servers in threads of the test process: the standard library's, strict, and waitress."""

from __future__ import annotations

import importlib
import io
import threading
import typing as t
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer
from wsgiref.validate import validator

from .server import PATIENCE, Site

waitress: t.Any = importlib.import_module("waitress.server")  # it has no types


class _Handler(WSGIRequestHandler):
    """Handles one request; errors go to the server's record, and nothing to the terminal."""

    server: _Threading

    def handle(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            return
        output: t.Any = self.wfile  # typed more narrowly than what it is
        handler = ServerHandler(
            self.rfile, output, self.server.errors, self.get_environ(), multithread=True
        )
        handler.request_handler = self  # type: ignore[attr-defined] # as in the base class
        handler.run(t.cast("t.Any", self.server.get_app()))

    def log_message(self, format: str, *args: t.Any) -> None:
        pass


class _Threading(ThreadingMixIn, WSGIServer):
    """One thread for each connection, all of them joined at the end."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.errors = io.StringIO()

    def complaints(self) -> str:
        """Return what was written to ``wsgi.errors`` since this was last called."""
        found, self.errors = self.errors.getvalue(), io.StringIO()
        return found


class WSGISite(Site):
    """A WSGI server that runs.

    :param address: its host and port.
    :param complaints: returns what was found wrong with the app's use of WSGI.
    """

    def __init__(self, address: tuple[str, int], complaints: Callable[[], str]) -> None:
        self.address = address
        self.complaints = complaints


@contextmanager
def wsgiref(app: t.Any) -> Iterator[WSGISite]:
    """Serve an app by the standard library's server, and have its use of WSGI validated."""
    with _Threading() as server:
        server.set_app(t.cast("t.Any", validator(app)))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield WSGISite(server.server_address[:2], server.complaints)  # type: ignore[arg-type]
        finally:
            server.shutdown()
            thread.join(PATIENCE)


@contextmanager
def waitress_server(app: t.Any) -> Iterator[WSGISite]:
    """Serve an app by waitress."""
    server = waitress.create_server(
        app, host="127.0.0.1", port=0, threads=8, outbuf_high_watermark=100_000
    )
    thread = threading.Thread(target=server.run)
    thread.start()

    def stop() -> None:
        for dispatcher in [*server._map.values()]:
            dispatcher.close()

    try:
        yield WSGISite((server.effective_host, server.effective_port), str)
    finally:
        server.trigger.pull_trigger(stop)
        thread.join(PATIENCE)
        server.task_dispatcher.shutdown()


SERVERS = {"wsgiref": wsgiref, "waitress": waitress_server}
