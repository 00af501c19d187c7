"""Sanic's app.

Settings, and where its documentation has them:

- one process and no access log (running Sanic: single process, access log); the server is its own
  (running Sanic), in process it is called as the ASGI app that it can be, too (ASGI);
- JSON by orjson (response: serialization, `dumps`; request: `loads`);
- blocking work goes to the loop's executor: it calls a plain function on the loop, where it would
  hold up all other requests;
- of Sanic Extensions only the templates (Sanic Extensions: configuration), since the rest puts
  signals in the way of each request; these templates are async, so the sync table is rendered by a
  Jinja environment.

It has no server-sent events: their text is made by hand (streaming). It has no sessions: absent.
"""

from __future__ import annotations

import asyncio
import typing as t

import jinja2
import orjson
import sanic
from sanic_ext import Config, Extend, render
from sanic_ext.extensions.templating.extension import TemplatingExtension

from . import shared

App: t.TypeAlias = sanic.Sanic[t.Any, t.Any]

ENV = jinja2.Environment(
    loader=jinja2.FileSystemLoader(shared.TEMPLATES), autoescape=True, auto_reload=False
)


async def text(request: sanic.Request) -> sanic.HTTPResponse:
    """Answer with a text."""
    return sanic.text(shared.TEXT)


async def user(request: sanic.Request, id: int) -> sanic.HTTPResponse:
    """Answer with the parameter of the path."""
    return sanic.text(str(id))


async def in_thread(view: t.Callable[[], str]) -> str:
    """Return what a plain function returns."""
    return await asyncio.get_running_loop().run_in_executor(None, view)


async def sync(request: sanic.Request) -> sanic.HTTPResponse:
    """Answer with what a plain function returns."""
    return sanic.text(await in_thread(lambda: shared.TEXT))


def plain(name: str) -> App:
    """Return an app with the settings, and no route. The names of apps must differ."""
    app = sanic.Sanic(name, loads=orjson.loads, dumps=orjson.dumps, configure_logging=False)
    app.config.AUTO_EXTEND = False
    app.config.ACCESS_LOG = False
    app.config.MOTD = False
    # It takes the signals that nobody listens to out of its code: once a process is all it can.
    app.config.TOUCHUP = not hasattr(sanic.Sanic, "__touched__")
    return app


async def data(request: sanic.Request) -> sanic.HTTPResponse:
    """Answer with JSON."""
    return sanic.json(shared.DATA)


async def table(request: sanic.Request) -> sanic.HTTPResponse:
    """Answer with a template."""
    return sanic.html(ENV.get_template(shared.TEMPLATE).render(items=shared.ROWS))


async def async_table(request: sanic.Request) -> sanic.HTTPResponse:
    """Answer with a template that is rendered async."""
    return await render(shared.TEMPLATE, app=request.app, context={"items": shared.ROWS})


def rendered() -> str:
    """Return the database's rows as HTML; called in a thread."""
    return ENV.get_template(shared.TEMPLATE).render(items=shared.rows())


async def database(request: sanic.Request) -> sanic.HTTPResponse:
    """Answer with the database's rows."""
    return sanic.html(await in_thread(rendered))


async def form(request: sanic.Request) -> sanic.HTTPResponse:
    """Answer with the fields."""
    fields: t.Any = request.form
    return sanic.text(",".join(fields.get(name) for name in shared.FIELDS))


async def big(request: sanic.Request) -> sanic.HTTPResponse:
    """Answer with the body."""
    return sanic.json(request.json)


async def upload(request: sanic.Request) -> sanic.HTTPResponse:
    """Answer with the size of the file."""
    files: t.Any = request.files
    return sanic.text(str(len(files.get("file").body)))


async def stream(request: sanic.Request) -> None:
    """Answer in pieces."""
    response = await request.respond(content_type="text/plain")
    async for chunk in shared.chunks():
        await response.send(chunk)


async def events(request: sanic.Request) -> None:
    """Answer with events."""
    response = await request.respond(content_type="text/event-stream")
    async for each in shared.numbers():
        await response.send(f"data: {each}\n\n")


async def echo(request: sanic.Request, ws: sanic.Websocket) -> None:
    """Echo."""
    while (message := await ws.recv()) is not None:
        await ws.send(message)


def main() -> App:
    """Return the app."""
    app = plain("main")
    Extend(
        app,
        built_in_extensions=False,
        extensions=[TemplatingExtension],
        config=Config(templating_path_to_templates=str(shared.TEMPLATES)),
    )
    app.get("/str")(text)
    app.get("/json")(data)
    app.get("/user/<id:int>")(user)
    app.get("/sync")(sync)
    app.get("/template")(table)
    app.get("/template-async")(async_table)
    app.get("/db")(database)
    app.post("/form")(form)
    app.post("/big-json")(big)
    app.post("/upload")(upload)
    app.get("/stream")(stream)
    app.get("/sse")(events)
    app.websocket("/ws")(echo)
    app.static("/static", shared.static(), use_content_range=True)
    return app


def hooks() -> App:
    """Return the app with two middlewares before and two after its view, all of them async."""
    app = plain("hooks")

    def before() -> t.Any:
        async def hook(request: sanic.Request) -> None:
            pass

        return hook

    def after() -> t.Any:
        async def hook(request: sanic.Request, response: sanic.HTTPResponse) -> None:
            pass

        return hook

    for _ in range(2):  # each function is registered once
        app.on_request(before())
        app.on_response(after())
    app.get("/hooks")(text)
    return app


def routes(count: int) -> App:
    """Return an app with so many routes."""
    app = plain(f"routes-{count}")
    for number in range(count):
        app.add_route(user, f"/r{number}/<id:int>/x", name=f"r{number}")
    return app
