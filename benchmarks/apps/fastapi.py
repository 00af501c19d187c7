"""FastAPI's app.

Settings, and where its documentation has them:

- nothing recorded (OpenTelemetry: tracing, metrics, logs) and no OpenAPI schema (metadata and docs
  URLs: openapi_url);
- small JSON by the return type, which Pydantic writes (custom response: JSON performance), large
  JSON by a response class that uses orjson (custom response class);
- all else as a response, which it passes on as it is (return a response directly);
- parameters and bodies read from the request, which spares their validation (using the request
  directly);
- plain functions run in a thread (concurrency and async / await);
- middleware as pure ASGI (advanced middleware), not by `@app.middleware`, which costs more.

Events are made by hand: its own `EventSourceResponse` takes 17 times as long, for a task, a queue
and a model for each. Sessions are Starlette's, around the one view that wants them. So are its
templates, which render sync only: the async table is rendered by a Jinja environment.
"""

from __future__ import annotations

import typing as t

import jinja2
import orjson
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from fastapi.telemetry import TelemetryConfig
from fastapi.templating import Jinja2Templates
from starlette.datastructures import MutableHeaders
from starlette.middleware.sessions import SessionMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import shared

LOADER = jinja2.FileSystemLoader(shared.TEMPLATES)
ENV = jinja2.Environment(loader=LOADER, autoescape=True, auto_reload=False)
ASYNC_ENV = jinja2.Environment(loader=LOADER, autoescape=True, auto_reload=False, enable_async=True)
TEMPLATES = Jinja2Templates(env=ENV)


class OrjsonResponse(JSONResponse):
    """JSON by orjson."""

    def render(self, content: t.Any) -> bytes:
        """Return it."""
        return orjson.dumps(content)


async def text() -> PlainTextResponse:
    """Answer with a text."""
    return PlainTextResponse(shared.TEXT)


async def data() -> dict[str, str]:
    """Answer with JSON."""
    return shared.DATA


async def user(request: Request) -> PlainTextResponse:
    """Answer with the parameter of the path."""
    return PlainTextResponse(str(request.path_params["id"]))


def sync() -> PlainTextResponse:
    """Answer with a text."""
    return PlainTextResponse(shared.TEXT)


async def counter(request: Request) -> PlainTextResponse:
    """Count the requests of a session."""
    request.session["counter"] = request.session.get("counter", 0) + 1
    return PlainTextResponse(str(request.session["counter"]))


async def table(request: Request) -> HTMLResponse:
    """Answer with a template."""
    return TEMPLATES.TemplateResponse(request, shared.TEMPLATE, {"items": shared.ROWS})


async def async_table() -> HTMLResponse:
    """Answer with a template that is rendered async."""
    template = ASYNC_ENV.get_template(shared.TEMPLATE)
    return HTMLResponse(await template.render_async(items=shared.ROWS))


def database(request: Request) -> HTMLResponse:
    """Answer with the database's rows."""
    return TEMPLATES.TemplateResponse(request, shared.TEMPLATE, {"items": shared.rows()})


async def form(request: Request) -> PlainTextResponse:
    """Answer with the fields."""
    fields = await request.form()
    return PlainTextResponse(",".join(str(fields[name]) for name in shared.FIELDS))


async def big(request: Request) -> OrjsonResponse:
    """Answer with the body."""
    return OrjsonResponse(await request.json())


async def upload(request: Request) -> PlainTextResponse:
    """Answer with the size of the file."""
    async with request.form() as fields:
        file: t.Any = fields["file"]
        return PlainTextResponse(str(len(await file.read())))


async def stream() -> StreamingResponse:
    """Answer in pieces."""
    return StreamingResponse(shared.chunks(), media_type="text/plain")


async def events() -> StreamingResponse:
    """Answer with events."""
    pieces = (f"data: {each}\n\n" async for each in shared.numbers())
    return StreamingResponse(pieces, media_type="text/event-stream")


async def echo(websocket: WebSocket) -> None:
    """Echo."""
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


def plain() -> FastAPI:
    """Return an app with the settings, and no route."""
    off = TelemetryConfig(tracing=False, metrics=False, logs=False, operation_spans=False)
    return FastAPI(openapi_url=None, telemetry=off)


def main() -> FastAPI:
    """Return the app."""
    app = plain()
    app.get("/str")(text)
    app.get("/json")(data)
    app.get("/user/{id:int}")(user)
    app.get("/sync")(sync)
    app.get("/session")(counter)
    # Only where it is needed: nothing else pays for it.
    route: t.Any = app.router.routes[-1]
    route.app = SessionMiddleware(route.app, secret_key=shared.SECRET)
    app.get("/template")(table)
    app.get("/template-async")(async_table)
    app.get("/db")(database)
    app.post("/form")(form)
    app.post("/big-json")(big)
    app.post("/upload")(upload)
    app.mount("/static", StaticFiles(directory=shared.static()))
    app.get("/stream")(stream)
    app.get("/sse")(events)
    app.websocket("/ws")(echo)
    return app


class Hook:
    """Middleware in plain ASGI.

    :param app: what it is around.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call a function before, and one after."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        await before(Request(scope, receive))

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                await after(MutableHeaders(scope=message))
            await send(message)

        await self.app(scope, receive, sending)


async def before(request: Request) -> None:
    """Do nothing."""


async def after(headers: MutableHeaders) -> None:
    """Do nothing."""


def hooks() -> FastAPI:
    """Return the app with two middlewares, each with its say before and after."""
    app = plain()
    app.add_middleware(Hook)
    app.add_middleware(Hook)
    app.get("/hooks")(text)
    return app


def routes(count: int) -> FastAPI:
    """Return an app with so many routes."""
    app = plain()
    for number in range(count):
        app.get(f"/r{number}/{{id:int}}/x")(user)
    return app
