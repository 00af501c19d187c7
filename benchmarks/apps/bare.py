"""No framework: an ASGI callable that does the work and nothing else. The limit.

JSON is orjson's, as that of all who can choose. It has neither sessions nor uploads: both would be
a framework's worth of code.
"""

from __future__ import annotations

import typing as t
from urllib.parse import parse_qsl

import jinja2
import orjson

from . import shared

App = t.Callable[[t.Any, t.Any, t.Any], t.Awaitable[None]]

TEXT, HTML = b"text/plain; charset=utf-8", b"text/html; charset=utf-8"
JSON, BINARY, EVENTS = b"application/json", b"application/octet-stream", b"text/event-stream"


async def answer(send: t.Any, body: bytes, kind: bytes = TEXT, status: int = 200) -> None:
    """Send a response whose length is known."""
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_pieces(send: t.Any, pieces: t.AsyncIterable[bytes], kind: bytes) -> None:
    """Send a response in pieces."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    async for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def read(receive: t.Any) -> bytes:
    """Return a request's whole body."""
    pieces, more = [], True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


def main() -> App:
    """Return the app."""
    found = plain() | pages() | bodies() | files() | streams()

    async def missing(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await answer(send, b"", status=404)

    async def app(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        if scope["type"] != "lifespan":
            await found.get(scope["path"], missing)(scope, receive, send)

    return app


def plain() -> dict[str, App]:
    """Return what answers with next to nothing."""

    async def text(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await answer(send, shared.TEXT.encode())

    async def data(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await answer(send, orjson.dumps(shared.DATA), JSON)

    async def user(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await answer(send, str(int(scope["path"][6:])).encode())

    return {"/str": text, "/sync": text, "/json": data, "/user/42": user}


def pages() -> dict[str, App]:
    """Return what renders a template."""
    loader = jinja2.FileSystemLoader(shared.TEMPLATES)
    template = jinja2.Environment(loader=loader, autoescape=True).get_template(shared.TEMPLATE)
    asynchronous = jinja2.Environment(loader=loader, autoescape=True, enable_async=True)
    async_template = asynchronous.get_template(shared.TEMPLATE)

    async def table(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await answer(send, template.render(items=shared.ROWS).encode(), HTML)

    async def async_table(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await answer(send, (await async_template.render_async(items=shared.ROWS)).encode(), HTML)

    async def database(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await answer(send, template.render(items=shared.rows()).encode(), HTML)

    return {"/template": table, "/template-async": async_table, "/db": database}


def bodies() -> dict[str, App]:
    """Return what reads a body."""

    async def form(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        fields = dict(parse_qsl((await read(receive)).decode(), keep_blank_values=True))
        await answer(send, ",".join(fields[name] for name in shared.FIELDS).encode())

    async def big(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await answer(send, orjson.dumps(orjson.loads(await read(receive))), JSON)

    return {"/form": form, "/big-json": big}


def files() -> dict[str, App]:
    """Return what sends a file."""
    file = shared.static() / shared.FILE

    async def static(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        with file.open("rb") as opened:
            asked = dict(scope["headers"]).get(b"range")
            if not asked:
                return await answer(send, opened.read(), BINARY)
            first, last = map(int, asked.removeprefix(b"bytes=").split(b"-"))
            opened.seek(first)
            return await answer(send, opened.read(last - first + 1), BINARY, 206)

    return {f"/static/{shared.FILE}": static}


def streams() -> dict[str, App]:
    """Return what lasts."""

    async def stream(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await send_pieces(send, shared.chunks(), TEXT)

    async def events(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        pieces = (f"data: {each}\n\n".encode() async for each in shared.numbers())
        await send_pieces(send, pieces, EVENTS)

    async def echo(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})

    return {"/stream": stream, "/sse": events, "/ws": echo}


def hooks() -> App:
    """Return an app for ``/hooks``. There are no hooks: it is the limit."""

    async def app(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        if scope["type"] == "http":
            await answer(send, shared.TEXT.encode())

    return app


def routes(count: int) -> App:
    """Return an app with as many routes, found in a dictionary by their first part."""
    found = {f"r{number}" for number in range(count)}

    async def app(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        if scope["type"] == "http":
            _, first, id, _ = scope["path"].split("/")
            known = first in found
            await answer(send, str(int(id)).encode(), status=200 if known else 404)

    return app
