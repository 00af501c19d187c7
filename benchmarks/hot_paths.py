"""The hot paths: what most requests of most apps do, each as calls of one app."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator
from pathlib import Path

from asyncflask import (
    EventSourceResponse,
    Flask,
    ServerSentEvent,
    render_template_string,
    request,
    session,
    websocket,
)

from .apps.asyncflask import add_plain
from .requests import Call, ask, socket, urlencoded

ROWS = [{"id": number, "name": f"name {number}", "price": number * 1.5} for number in range(50)]
TABLE = """<table>{% for row in rows %}
<tr><td>{{ row.id }}</td><td>{{ row.name }}</td><td>{{ row.price }}</td></tr>{% endfor %}
</table>"""

#: Items of a shorter and of a longer stream: their difference is what items cost without the rest.
FEW, MANY = 8, 72


class HotPath(t.NamedTuple):
    """What is counted: one call; or, where there is a second, what that has more of."""

    call: Call
    longer: Call | None = None


def plain() -> Flask:
    """Return an app that answers with next to nothing."""
    app = Flask(__name__)
    add_plain(app)
    return app


def with_hooks(app: Flask) -> Flask:
    """Give an app four sync hooks, and return it."""
    app.before_request(lambda: None)
    app.after_request(lambda response: response)
    app.teardown_request(lambda error: None)
    app.teardown_appcontext(lambda error: None)
    return app


def make_app(static: Path) -> Flask:
    """Return the app that answers them all but those with hooks.

    :param static: the folder of its static files.
    """
    app = plain()
    app.config["SECRET_KEY"] = "guard"
    app.static_folder = str(static)

    @app.get("/session")
    async def counter() -> str:
        session["count"] = session.get("count", 0) + 1
        return str(session["count"])

    @app.get("/template")
    async def table() -> str:
        return render_template_string(TABLE, rows=ROWS)

    @app.post("/form")
    async def form() -> str:
        return ",".join(request.form.values())

    with_streams(app)
    return app


def with_streams(app: Flask) -> None:
    """Give the app what sends or takes so many items."""

    @app.get("/stream/<int:count>")
    async def stream(count: int) -> AsyncIterator[bytes]:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(count):
                yield b"x" * 1024

        return chunks()

    @app.get("/lines/<int:count>")
    def lines(count: int) -> t.Iterator[bytes]:
        return (b"x" * 1024 for _ in range(count))

    @app.get("/events/<int:count>")
    async def events(count: int) -> EventSourceResponse:
        async def each() -> AsyncIterator[ServerSentEvent]:
            for number in range(count):
                yield ServerSentEvent(str(number))

        return EventSourceResponse(each())

    @app.websocket("/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)


def with_async_hooks(app: t.Any) -> t.Any:
    """Give an app four hooks that are coroutines, and return it."""

    async def nothing(*_: t.Any) -> None:
        pass

    async def same(response: t.Any) -> t.Any:
        return response

    app.before_request(nothing)
    app.after_request(same)
    app.teardown_request(nothing)
    app.teardown_appcontext(nothing)
    return app


def session_cookie(app: t.Any) -> tuple[bytes, bytes]:
    """Return the header with the session of someone who was here before."""
    value = app.session_interface.get_signing_serializer(app).dumps({"count": 1})
    return b"cookie", f"session={value}".encode()


def hot_paths(static: Path) -> dict[str, HotPath]:
    """Return what is counted, by name.

    :param static: an empty folder.
    """
    (static / "file.txt").write_bytes(b"x" * 1000)
    app = make_app(static)
    headers, fields = urlencoded(10)
    message = {"type": "websocket.receive", "text": "x"}

    def longer(path: str) -> HotPath:
        return HotPath(ask(app, f"{path}/{FEW}"), ask(app, f"{path}/{MANY}"))

    return {
        "async str": HotPath(ask(app, "/str")),
        "JSON": HotPath(ask(app, "/json")),
        "<int:id>": HotPath(ask(app, "/user/42")),
        "sync view": HotPath(ask(app, "/sync")),
        "session read and written": HotPath(ask(app, "/session", [session_cookie(app)])),
        "four async hooks": HotPath(ask(with_async_hooks(plain()), "/str")),
        "four sync hooks": HotPath(ask(with_hooks(plain()), "/sync")),
        "template of 50 rows": HotPath(ask(app, "/template")),
        "form of 10 fields": HotPath(ask(app, "/form", headers, chunks=[fields])),
        "static file": HotPath(ask(app, "/static/file.txt")),
        "404": HotPath(ask(app, "/missing", status=404)),
        "streamed chunk": longer("/stream"),
        "streamed chunk, sync": longer("/lines"),
        "event": longer("/events"),
        "websocket message": HotPath(
            socket(app, "/echo", [message] * FEW), socket(app, "/echo", [message] * MANY)
        ),
    }
