"""Serve `wsgi_app` by a WSGI server that is a library: ``python -m tests.live.wsgi_run NAME PORT``.

Ends with what is in flight answered, as far as the server does that, when it is told to (SIGTERM).
"""

from __future__ import annotations

import importlib
import signal
import sys
import threading
import typing as t
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from .wsgi_app import app


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: t.Any) -> None:
        pass


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = False
    request_queue_size = 128


def wsgiref(port: int) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    with _Server(("127.0.0.1", port), _Handler) as server:
        server.set_app(t.cast("t.Any", app))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        stop.wait()
        server.shutdown()
        thread.join()


def waitress(port: int) -> None:
    def leave(number: int, frame: object) -> t.NoReturn:
        raise SystemExit

    signal.signal(signal.SIGTERM, leave)
    library: t.Any = importlib.import_module("waitress")  # it has no types
    library.serve(app, host="127.0.0.1", port=port, threads=8, _quiet=True)


if __name__ == "__main__":
    {"wsgiref": wsgiref, "waitress": waitress}[sys.argv[1]](int(sys.argv[2]))
