"""Ours.

Settings, and where its documentation has them:

- JSON by orjson, in both directions, with keys in the order that they came in, as with the others
  that use orjson (docs/json.md).
"""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator

from asyncflask import (
    EventSourceResponse,
    Flask,
    Response,
    render_template,
    render_template_async,
    request,
    session,
    websocket,
)
from asyncflask.json.orjson import OrjsonProvider

from . import shared


class UnsortedProvider(OrjsonProvider):
    """JSON by orjson, as it came."""

    sort_keys = False


def main() -> Flask:
    """Return the app."""
    app = Flask(__name__, template_folder=shared.TEMPLATES, static_folder=shared.static())
    app.secret_key = shared.SECRET
    app.json = UnsortedProvider(app)
    add_plain(app)
    add_session(app)
    add_pages(app)
    add_bodies(app)
    add_streams(app)
    return app


def add_plain(app: Flask) -> None:
    """Add what answers with next to nothing."""

    @app.get("/str")
    async def text() -> str:
        return shared.TEXT

    @app.get("/json")
    async def data() -> dict[str, str]:
        return shared.DATA

    @app.get("/user/<int:id>")
    async def user(id: int) -> str:
        return str(id)

    @app.get("/sync")
    def sync() -> str:
        return shared.TEXT


def add_session(app: Flask) -> None:
    """Add what reads and writes the session."""

    @app.get("/session")
    async def counter() -> str:
        session["counter"] = session.get("counter", 0) + 1
        return str(session["counter"])


def add_pages(app: Flask) -> None:
    """Add what renders a template."""

    @app.get("/template")
    async def table() -> str:
        return render_template(shared.TEMPLATE, items=shared.ROWS)

    @app.get("/template-async")
    async def async_table() -> str:
        return await render_template_async(shared.TEMPLATE, items=shared.ROWS)

    @app.get("/db")
    def database() -> str:
        return render_template(shared.TEMPLATE, items=shared.rows())


def add_bodies(app: Flask) -> None:
    """Add what reads a body."""

    @app.post("/form")
    async def form() -> str:
        fields = request.form
        return ",".join(fields[name] for name in shared.FIELDS)

    @app.post("/big-json")
    async def big() -> t.Any:
        return request.get_json()

    @app.post("/upload")
    async def upload() -> str:
        return str(len(request.files["file"].read()))


def add_streams(app: Flask) -> None:
    """Add what lasts."""

    @app.get("/stream")
    async def stream() -> AsyncIterator[bytes]:
        return shared.chunks()

    @app.get("/sse")
    async def events() -> EventSourceResponse:
        return EventSourceResponse(shared.numbers())

    @app.websocket("/ws")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)


def hooks() -> Flask:
    """Return the app with two hooks before and two after its view, all of them async."""
    app = Flask(__name__)

    async def before() -> None:
        pass

    async def after(response: Response) -> Response:
        return response

    for _ in range(2):
        app.before_request(before)
        app.after_request(after)

    @app.get("/hooks")
    async def text() -> str:
        return shared.TEXT

    return app


def routes(count: int) -> Flask:
    """Return an app with so many routes."""
    app = Flask(__name__)

    async def user(id: int) -> str:
        return str(id)

    for number in range(count):
        app.add_url_rule(f"/r{number}/<int:id>/x", f"r{number}", user)
    return app
