"""Calls a WSGI app as a server would, in process: no network, no parsing.

Only the standard library is needed: the workers import this in the environments of the peers.
"""

from __future__ import annotations

import io
import sys
import typing as t

from .calling import Absent, Answer, Call, Headers, request_headers
from .workloads import Workload


def wsgi_environ(path: str) -> dict[str, t.Any]:
    """Return the environ of a plain GET, as a WSGI server makes it."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_ACCEPT": "*/*",
        "HTTP_USER_AGENT": "bench",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


class WSGICaller:
    """Calls a WSGI app. Its requests follow one another.

    :param app: the app.
    """

    def __init__(self, app: t.Any) -> None:
        self.app = app

    async def start(self) -> None:
        """Do nothing: there is no lifespan."""

    async def stop(self) -> None:
        """Do nothing, either."""

    def environ(self, workload: Workload, cookie: Headers) -> dict[str, t.Any]:
        """Return the environ of a request."""
        made = wsgi_environ(workload.path) | {"REQUEST_METHOD": workload.method}
        for name, value in request_headers(workload, cookie):
            key = name.upper().replace("-", "_")
            made[key if key.startswith("CONTENT_") else f"HTTP_{key}"] = value
        return made

    async def answer(self, workload: Workload, cookie: Headers = ()) -> Answer:
        """Return the answer to a request."""
        if workload.websocket:
            raise Absent
        seen: list[t.Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: t.Any) -> None:
            seen.append((int(status[:3]), [(name.lower(), value) for name, value in headers]))

        body = self._body(workload, self.environ(workload, cookie), start_response)
        status, headers = seen[0]
        return Answer(status, headers, body)

    def call(self, workload: Workload, cookie: Headers = ()) -> Call:
        """Return a coroutine function that makes the workload's requests."""
        base = self.environ(workload, cookie)

        def start_response(*_: t.Any) -> None:
            pass

        async def many() -> None:
            for _ in range(workload.at_once):
                self._body(workload, dict(base), start_response)

        return many

    def _body(self, workload: Workload, environ: dict[str, t.Any], start_response: t.Any) -> bytes:
        environ["wsgi.input"] = io.BytesIO(workload.body() if workload.body else b"")
        parts = self.app(environ, start_response)
        try:
            return b"".join(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()
