"""BlackSheep's app.

Settings, and where its documentation has them:

- JSON by orjson, and its responses made without the way over `str` (settings: using orjson);
- views that take the request and return a response, which are called as they are (request
  handlers: normalization), the parameter of a path included (requests: route values);
- blocking work goes to the loop's executor (request handlers: asynchronous and synchronous code):
  it calls a plain function on the loop, where it would hold up all other requests;
- its session middleware around the one view that wants it (sessions).

Templates must end in ``.jinja``, so theirs is read under that name.
"""

from __future__ import annotations

import asyncio
import typing as t
from collections.abc import AsyncIterator

import jinja2
import orjson
from blacksheep import (
    Application,
    Content,
    Request,
    Response,
    Router,
    StreamedContent,
    WebSocket,
    WebSocketDisconnectError,
    html,
)
from blacksheep import text as text_response
from blacksheep.server.rendering.jinja2 import JinjaRenderer
from blacksheep.server.sse import ServerSentEventsResponse, TextServerSentEvent
from blacksheep.sessions import SessionMiddleware
from blacksheep.sessions.cookies import CookieSessionStore
from blacksheep.settings.json import json_settings

from . import shared

LOADER = jinja2.DictLoader({"items.jinja": (shared.TEMPLATES / shared.TEMPLATE).read_text()})
RENDERER, ASYNC_RENDERER = JinjaRenderer(LOADER), JinjaRenderer(LOADER, enable_async=True)
SESSION = SessionMiddleware(CookieSessionStore(shared.SECRET))


def json_response(value: t.Any) -> Response:
    """Return a response with JSON."""
    return Response(200, None, Content(b"application/json", orjson.dumps(value)))


async def text(request: Request) -> Response:
    """Answer with a text."""
    return text_response(shared.TEXT)


async def user(request: Request) -> Response:
    """Answer with the parameter of the path."""
    return text_response(str(int(request.route_values["id"])))


async def data(request: Request) -> Response:
    """Answer with JSON."""
    return json_response(shared.DATA)


async def in_thread(view: t.Callable[[], str]) -> str:
    """Return what a plain function returns."""
    return await asyncio.get_running_loop().run_in_executor(None, view)


async def sync(request: Request) -> Response:
    """Answer with what a plain function returns."""
    return text_response(await in_thread(lambda: shared.TEXT))


async def count(request: Request) -> Response:
    """Count the requests of a session."""
    number = request.session.get("counter", 0) + 1
    request.session["counter"] = number
    return text_response(str(number))


async def counter(request: Request) -> Response:
    """Count them, with a session."""
    return await SESSION(request, count)


async def table(request: Request) -> Response:
    """Answer with a template."""
    return html(RENDERER.render("items", {"items": shared.ROWS}))


async def async_table(request: Request) -> Response:
    """Answer with a template that is rendered async."""
    return html(await ASYNC_RENDERER.render_async("items", {"items": shared.ROWS}))


def rendered() -> str:
    """Return the database's rows as HTML; called in a thread."""
    found: str = RENDERER.render("items", {"items": shared.rows()})
    return found


async def database(request: Request) -> Response:
    """Answer with the database's rows."""
    return html(await in_thread(rendered))


async def form(request: Request) -> Response:
    """Answer with the fields."""
    fields = await request.form()
    return text_response(",".join(fields[name] for name in shared.FIELDS))


async def big(request: Request) -> Response:
    """Answer with the body."""
    return json_response(await request.json())


async def upload(request: Request) -> Response:
    """Answer with the size of the file."""
    (part,) = await request.files("file")
    return text_response(str(len(part.file.read())))


async def stream(request: Request) -> Response:
    """Answer in pieces."""
    return Response(200, None, StreamedContent(b"text/plain", shared.chunks))


async def said() -> AsyncIterator[TextServerSentEvent]:
    """Yield the events."""
    async for each in shared.numbers():
        yield TextServerSentEvent(each)


async def events(request: Request) -> Response:
    """Answer with events."""
    return ServerSentEventsResponse(said)


async def echo(websocket: WebSocket) -> None:
    """Echo."""
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnectError:
        pass


def main() -> Application:
    """Return the app."""
    json_settings.use(loads=orjson.loads)
    app = Application(router=Router())
    get, post = app.router.get, app.router.post
    get("/str")(text)
    get("/json")(data)
    get("/user/{int:id}")(user)
    get("/sync")(sync)
    get("/session")(counter)
    get("/template")(table)
    get("/template-async")(async_table)
    get("/db")(database)
    post("/form")(form)
    post("/big-json")(big)
    post("/upload")(upload)
    get("/stream")(stream)
    get("/sse")(events)
    app.router.ws("/ws")(echo)
    app.serve_files(shared.static(), root_path="static", extensions={".bin"})
    return app


async def hook(request: Request, handler: t.Any) -> Response:
    """Do nothing before, and nothing after."""
    return t.cast("Response", await handler(request))


async def second_hook(request: Request, handler: t.Any) -> Response:
    """Do nothing before, and nothing after."""
    return t.cast("Response", await handler(request))


def hooks() -> Application:
    """Return the app with two middlewares, each with its say before and after."""
    app = Application(router=Router())
    app.middlewares.append(hook)
    app.middlewares.append(second_hook)
    app.router.get("/hooks")(text)
    return app


def routes(count: int) -> Application:
    """Return an app with so many routes."""
    app = Application(router=Router())
    for number in range(count):
        app.router.get(f"/r{number}/{{int:id}}/x")(user)
    return app
