"""No framework: an ASGI callable that does the work and nothing else. The limit.

JSON is orjson's, as that of all who can choose. It has neither sessions nor uploads: both would be
a framework's worth of code. Of the example blog it has the index page as a visitor gets it who is
not logged in: the blog's own queries, templates and filters, with settings, URLs and headers that
are written down rather than found out.
"""

from __future__ import annotations

import runpy
import sqlite3
import typing as t
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, parse_qsl

import jinja2
import orjson

from . import shared

App = t.Callable[[t.Any, t.Any, t.Any], t.Awaitable[None]]

TEXT, HTML = b"text/plain; charset=utf-8", b"text/html; charset=utf-8"
JSON, BINARY, EVENTS = b"application/json", b"application/octet-stream", b"text/event-stream"


async def answer(
    send: t.Any, body: bytes, kind: bytes = TEXT, status: int = 200, more: t.Any = ()
) -> None:
    """Send a response whose length is known."""
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *more]
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


#: Where the pages are to which the blog's index page has links.
LINKS = {"posts.index": "/", ".index": "/", "auth.login": "/login", "auth.register": "/register"}

#: As many posts as the blog has on a page.
PAGE = 10


def link(endpoint: str, **values: t.Any) -> str:
    """Return the URL of a page of the blog."""
    if endpoint == ".show":
        return f"/posts/{values['post_id']}"
    if endpoint == "static":
        return f"/static/{values['filename']}"
    return f"{LINKS[endpoint]}?page={values['page']}" if values else LINKS[endpoint]


def page(file: str, query: str, number: int) -> dict[str, t.Any]:
    """Return a page of the blog's list, by a connection of its own, as each request has one.

    :param file: the database.
    :param query: the blog's own, for posts with their authors.
    """
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        (total,) = connection.execute("SELECT count(*) FROM post").fetchone()
        rows = connection.execute(
            f"{query} ORDER BY written_at DESC, post.id DESC LIMIT ? OFFSET ?",
            (PAGE, (number - 1) * PAGE),
        )
        return {"number": number, "last": -(-total // PAGE), "posts": rows.fetchall()}


def blog() -> App:
    """Return the index page of the example blog, whose package is where modules are found."""
    import blog as example
    from blog import posts, text

    folder = Path(example.__file__).parent
    file = runpy.run_path(str(folder.parent / "instance/config.py"))["DATABASE"]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {"excerpt": text.excerpt, "day": text.day}
    nobody = SimpleNamespace(author=None)
    environment.globals |= {"url_for": link, "g": nobody, "get_flashed_messages": list}
    template = environment.get_template("posts/index.html")
    more = [(n.lower().encode(), v.encode()) for n, v in example.SECURITY_HEADERS.items()]
    more.append((b"vary", b"Cookie"))

    async def app(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        if scope["type"] != "http":
            return
        if any(name == b"cookie" for name, _ in scope["headers"]):
            return await answer(send, b"", status=501)  # sessions are a framework's
        number = int(parse_qs(scope["query_string"].decode()).get("page", ["1"])[0])
        found = page(file, posts.SELECT, number)
        await answer(send, template.render(page=found).encode(), HTML, more=more)

    return app
