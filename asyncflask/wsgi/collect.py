"""ASGI responses that a view returned, under WSGI."""

from __future__ import annotations

import typing as t

import anyio

from .. import portal

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Message = t.MutableMapping[str, t.Any]


def collected(response: t.Any, environ: WSGIEnvironment) -> t.Any:
    """Return `response`; if an ASGI application makes its body, with that body in it."""
    asgi_app = getattr(response, "asgi_app", None)
    if asgi_app is not None:
        known = hasattr(asgi_app, "raw_headers")
        start, body = portal.call_async(_collect, asgi_app, _scope(environ))
        response.asgi_app = None
        response.response = [body]
        if not known:
            response.status_code = start["status"]
            for name, value in start["headers"]:
                response.headers.add(name.decode("latin-1"), value.decode("latin-1"))
    return response


async def _collect(asgi_app: t.Any, scope: Message) -> tuple[Message, bytes]:
    """Run an ASGI application to its end and return how it started and all that it sent."""
    start: Message = {"status": 500, "headers": []}
    body: list[bytes] = []

    messages: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if not messages:
            await anyio.sleep_forever()
        return messages.pop()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            body.append(message.get("body", b""))

    await asgi_app(scope, receive, send)
    return start, b"".join(body)


def _scope(environ: WSGIEnvironment) -> Message:
    """Make the ASGI scope of a WSGI request."""
    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "path": path.decode(errors="replace"),
        "raw_path": path,
        "root_path": environ.get("SCRIPT_NAME", ""),
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "headers": [
            (key[5:].replace("_", "-").lower().encode(), value.encode("latin-1"))
            for key, value in environ.items()
            if key.startswith("HTTP_")
        ],
        "client": None,
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
        "extensions": {},
    }
