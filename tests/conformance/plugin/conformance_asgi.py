"""A pytest plugin that lets the test client's requests reach the app as ASGI.

Flask's test client calls the app as WSGI, in the test's own thread, and so do the suites. With this
plugin, each request goes to ``app(scope, receive, send)`` on an event loop in another thread, as it
would under a server: views run in lanes, bodies are received, exceptions cross threads. A test that
looks into the request's context from outside (``with client:``) cannot pass that way.
"""

from __future__ import annotations

import asyncio
import io
import threading
import typing as t
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from http import HTTPStatus

import flask
from werkzeug.test import Client

Environ = dict[str, t.Any]
Message = dict[str, t.Any]

LOOP = asyncio.new_event_loop()
threading.Thread(target=LOOP.run_forever, daemon=True).start()

plain_run = Client.run_wsgi_app


def run_wsgi_app(client: Client, environ: Environ, buffered: bool = False) -> t.Any:
    """Do what the method of the client does, with a stand-in for the app."""
    app = client.application
    if isinstance(app, flask.Flask):
        client.application = t.cast("t.Any", OverASGI(app))
    try:
        return plain_run(client, environ, buffered)
    finally:
        client.application = app


def pytest_configure() -> None:
    setattr(Client, "run_wsgi_app", run_wsgi_app)  # noqa: B010  (mypy forbids the plain way)


class OverASGI:
    """A WSGI app that is an ASGI app's client."""

    def __init__(self, app: t.Any) -> None:
        self.app = app

    def __call__(self, environ: Environ, start_response: Callable[..., t.Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        environ["wsgi.input"] = io.BytesIO(body)  # the client sends it again after a redirect
        exchange = Exchange(body)
        answered: Future[None] = asyncio.run_coroutine_threadsafe(
            exchange.run(self.app, scope_of(environ)), LOOP
        )
        answered.result()
        if exchange.error:
            raise exchange.error
        start = exchange.sent[0]
        headers = [tuple(part.decode("latin-1") for part in pair) for pair in start["headers"]]
        start_response(status_line(start["status"]), headers)
        parts = [message.get("body", b"") for message in exchange.sent[1:]]
        # The client takes a list for the whole, and anything else for a stream.
        return parts if any(name == "content-length" for name, _ in headers) else iter(parts)


class Exchange:
    """The server's side of one request."""

    def __init__(self, body: bytes) -> None:
        self.received: Message = {"type": "http.request", "body": body, "more_body": False}
        self.sent: list[Message] = []
        self.ended = asyncio.Event()
        self.error: BaseException | None = None

    async def run(self, app: t.Any, scope: Message) -> None:
        try:
            await app(scope, self.receive, self.send)
        except BaseException as error:  # among them KeyboardInterrupt, which would end the loop
            self.error = error

    async def receive(self) -> Message:
        message, self.received = self.received, {"type": "http.disconnect"}
        if message["type"] == "http.disconnect":
            await self.ended.wait()
        return message

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.ended.set()


def scope_of(environ: Environ) -> Message:
    root, path = text(environ["SCRIPT_NAME"]), text(environ["PATH_INFO"])
    headers = {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")}
    headers |= {name: environ.get(name) for name in ("CONTENT_TYPE", "CONTENT_LENGTH")}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        # Some suites ask for "page" where no browser could: "/page" is what they mean.
        "path": root + (path if path.startswith("/") or not path else f"/{path}"),
        "root_path": root,
        "query_string": environ["QUERY_STRING"].encode("latin-1"),
        "headers": [
            (name.replace("_", "-").lower().encode(), str(value).encode("latin-1"))
            for name, value in headers.items()
            if value
        ],
        "client": (environ.get("REMOTE_ADDR", "127.0.0.1"), 1),
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
    }


def text(wsgi: str) -> str:
    return wsgi.encode("latin-1").decode(errors="replace")


def status_line(code: int) -> str:
    known = {status.value: status.phrase.upper() for status in HTTPStatus}
    return f"{code} {known.get(code, 'UNKNOWN')}"
