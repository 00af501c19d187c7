"""Quart's app.

Settings, and where its documentation has them:

- JSON by orjson, in both directions, with the provider that its team maintains;
- no time limit on a response (configuration: RESPONSE_TIMEOUT), which is for slow clients;
- sync views go to a thread, which is what it does with them (synchronous code).

Its `render_template` is async only: the sync table is rendered by a Jinja environment of its own.
It has no server-sent events: their text is made by hand, as in its guide (server sent events).
"""

from __future__ import annotations

import typing as t

import jinja2
import quart
from flask_orjson import OrjsonProvider

from . import shared

ENV = jinja2.Environment(
    loader=jinja2.FileSystemLoader(shared.TEMPLATES), autoescape=True, auto_reload=False
)


async def text() -> str:
    """Answer with a text."""
    return shared.TEXT


async def user(id: int) -> str:
    """Answer with the parameter of the path."""
    return str(id)


async def data() -> dict[str, str]:
    """Answer with JSON."""
    return shared.DATA


def sync() -> str:
    """Answer with a text."""
    return shared.TEXT


async def counter() -> str:
    """Count the requests of a session."""
    quart.session["counter"] = quart.session.get("counter", 0) + 1
    return str(quart.session["counter"])


async def table() -> str:
    """Answer with a template."""
    return ENV.get_template(shared.TEMPLATE).render(items=shared.ROWS)


async def async_table() -> str:
    """Answer with a template that is rendered async."""
    return await quart.render_template(shared.TEMPLATE, items=shared.ROWS)


def database() -> str:
    """Answer with the database's rows."""
    return ENV.get_template(shared.TEMPLATE).render(items=shared.rows())


async def form() -> str:
    """Answer with the fields."""
    fields = await quart.request.form
    return ",".join(fields[name] for name in shared.FIELDS)


async def big() -> t.Any:
    """Answer with the body."""
    return await quart.request.get_json()


async def upload() -> str:
    """Answer with the size of the file."""
    return str(len((await quart.request.files)["file"].read()))


async def stream() -> t.Any:
    """Answer in pieces."""
    return shared.chunks(), {"Content-Type": "text/plain"}


async def events() -> t.Any:
    """Answer with events."""
    pieces = (f"data: {each}\n\n".encode() async for each in shared.numbers())
    return pieces, {"Content-Type": "text/event-stream"}


async def echo() -> None:
    """Echo."""
    while True:
        await quart.websocket.send(await quart.websocket.receive())


def main() -> quart.Quart:
    """Return the app."""
    app = quart.Quart(
        __name__, template_folder=shared.TEMPLATES, static_folder=str(shared.static())
    )
    app.secret_key = shared.SECRET
    app.json = OrjsonProvider(app)
    app.config["RESPONSE_TIMEOUT"] = None
    app.get("/str")(text)
    app.get("/json")(data)
    app.get("/user/<int:id>")(user)
    app.get("/sync")(sync)
    app.get("/session")(counter)
    app.get("/template")(table)
    app.get("/template-async")(async_table)
    app.get("/db")(database)
    app.post("/form")(form)
    app.post("/big-json")(big)
    app.post("/upload")(upload)
    app.get("/stream")(stream)
    app.get("/sse")(events)
    app.websocket("/ws")(echo)
    return app


def hooks() -> quart.Quart:
    """Return the app with two hooks before and two after its view, all of them async."""
    app = quart.Quart(__name__)

    async def before() -> None:
        pass

    async def after(response: t.Any) -> t.Any:
        return response

    for _ in range(2):
        app.before_request(before)
        app.after_request(after)
    app.add_url_rule("/hooks", view_func=text)
    return app


def routes(count: int) -> quart.Quart:
    """Return an app with so many routes."""
    app = quart.Quart(__name__)
    for number in range(count):
        app.add_url_rule(f"/r{number}/<int:id>/x", f"r{number}", user)
    return app
