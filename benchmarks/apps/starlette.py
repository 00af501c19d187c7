"""Starlette's, as its documentation has it: routes in a list, responses as classes.

JSON is written by a response class that uses orjson (responses: custom JSON serialization); a
body, which the request reads with the standard library, is read with orjson as well.
It has no server-sent events of its own: their text is made by hand.
"""

from __future__ import annotations

import typing as t

import jinja2
import orjson
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from . import shared


class OrjsonResponse(JSONResponse):
    """JSON by orjson."""

    def render(self, content: t.Any) -> bytes:
        """Return it."""
        return orjson.dumps(content)


async def text(request: Request) -> PlainTextResponse:
    """Answer with a text."""
    return PlainTextResponse(shared.TEXT)


async def user(request: Request) -> PlainTextResponse:
    """Answer with the parameter of the path."""
    return PlainTextResponse(str(request.path_params["id"]))


def main() -> Starlette:
    """Return the app."""
    return Starlette(routes=[*plain(), *pages(), *bodies(), *streams()])


def plain() -> list[Route]:
    """Return what answers with next to nothing."""

    async def data(request: Request) -> OrjsonResponse:
        return OrjsonResponse(shared.DATA)

    def sync(request: Request) -> PlainTextResponse:
        return PlainTextResponse(shared.TEXT)

    async def counter(request: Request) -> PlainTextResponse:
        request.session["counter"] = request.session.get("counter", 0) + 1
        return PlainTextResponse(str(request.session["counter"]))

    session = Middleware(SessionMiddleware, secret_key=shared.SECRET)
    return [
        Route("/str", text),
        Route("/json", data),
        Route("/user/{id:int}", user),
        Route("/sync", sync),
        Route("/session", counter, middleware=[session]),  # nothing else pays for it
    ]


def pages() -> list[Route]:
    """Return what renders a template."""
    loader = jinja2.FileSystemLoader(shared.TEMPLATES)
    options: dict[str, t.Any] = {"loader": loader, "autoescape": True, "auto_reload": False}
    templates = Jinja2Templates(env=jinja2.Environment(**options))
    asynchronous = jinja2.Environment(**options, enable_async=True)

    async def table(request: Request) -> Response:
        return templates.TemplateResponse(request, shared.TEMPLATE, {"items": shared.ROWS})

    async def async_table(request: Request) -> HTMLResponse:
        template = asynchronous.get_template(shared.TEMPLATE)
        return HTMLResponse(await template.render_async(request=request, items=shared.ROWS))

    def database(request: Request) -> Response:
        return templates.TemplateResponse(request, shared.TEMPLATE, {"items": shared.rows()})

    return [
        Route("/template", table),
        Route("/template-async", async_table),
        Route("/db", database),
    ]


def bodies() -> list[Route]:
    """Return what reads a body."""

    async def form(request: Request) -> PlainTextResponse:
        fields = await request.form()
        return PlainTextResponse(",".join(str(fields[name]) for name in shared.FIELDS))

    async def big(request: Request) -> OrjsonResponse:
        return OrjsonResponse(orjson.loads(await request.body()))

    async def upload(request: Request) -> PlainTextResponse:
        async with request.form() as fields:
            file: t.Any = fields["file"]
            return PlainTextResponse(str(len(await file.read())))

    return [
        Route("/form", form, methods=["POST"]),
        Route("/big-json", big, methods=["POST"]),
        Route("/upload", upload, methods=["POST"]),
    ]


def streams() -> list[BaseRoute]:
    """Return what lasts, and the static files."""

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(shared.chunks(), media_type="text/plain")

    async def events(request: Request) -> StreamingResponse:
        pieces = (f"data: {each}\n\n" async for each in shared.numbers())
        return StreamingResponse(pieces, media_type="text/event-stream")

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        async for message in websocket.iter_text():
            await websocket.send_text(message)

    return [
        Route("/stream", stream),
        Route("/sse", events),
        Mount("/static", StaticFiles(directory=shared.static())),
        WebSocketRoute("/ws", echo),
    ]


class Hook:
    """Middleware in plain ASGI, which costs less than `BaseHTTPMiddleware`: one call on each way.

    :param app: what it is around.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do nothing before, and nothing after."""
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


def hooks() -> Starlette:
    """Return the app with two middlewares, each of which has its say before and after."""
    middleware = [Middleware(Hook), Middleware(Hook)]
    return Starlette(routes=[Route("/hooks", text)], middleware=middleware)


def routes(count: int) -> Starlette:
    """Return an app with so many routes."""
    return Starlette(routes=[Route(f"/r{number}/{{id:int}}/x", user) for number in range(count)])
