"""Litestar's app.

Settings, and where its documentation has them:

- no OpenAPI schema and no logging set up (application: openapi_config, logging_config);
- JSON by msgspec, which is its default, and a media type for each view, so that it need not be
  guessed (responses: media type);
- forms as `data` (request data), JSON from the request, which spares its validation;
- plain functions run in a thread (route handlers: sync_to_thread);
- sessions only where they are wanted (middleware on a handler), kept in the cookie: it encrypts
  what others sign (client-side sessions);
- no limit on bodies, of which it allows 10 MB (requests: request_max_body_size).

Its template engine renders sync only: the async table is rendered by a Jinja environment. Events
end in CRLF unless they say otherwise. Absent: ranges, which its static files do not know.
"""

from __future__ import annotations

import typing as t

import jinja2
from litestar import Litestar, MediaType, Request, Response, WebSocket, get, post, websocket
from litestar.contrib.jinja import JinjaTemplateEngine
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import WebSocketDisconnect
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.params import Body
from litestar.response import ServerSentEvent, ServerSentEventMessage, Stream, Template
from litestar.static_files import create_static_files_router
from litestar.template.config import TemplateConfig

from . import shared

TEXT, HTML, OK = MediaType.TEXT, MediaType.HTML, 200

Form = t.Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]
Upload = t.Annotated[UploadFile, Body(media_type=RequestEncodingType.MULTI_PART)]

LOADER = jinja2.FileSystemLoader(shared.TEMPLATES)
ENV = jinja2.Environment(loader=LOADER, autoescape=True, auto_reload=False)
ASYNC_ENV = jinja2.Environment(loader=LOADER, autoescape=True, auto_reload=False, enable_async=True)

SESSION = CookieBackendConfig(secret=shared.SECRET.encode()[:32]).middleware


@get("/str", media_type=TEXT)
async def text() -> str:
    """Answer with a text."""
    return shared.TEXT


@get("/json")
async def data() -> dict[str, str]:
    """Answer with JSON."""
    return shared.DATA


@get("/user/{id:int}", media_type=TEXT)
async def user(id: int) -> str:
    """Answer with the parameter of the path."""
    return str(id)


@get("/sync", media_type=TEXT, sync_to_thread=True)
def sync() -> str:
    """Answer with a text."""
    return shared.TEXT


@get("/session", media_type=TEXT, middleware=[SESSION])
async def counter(request: Request[t.Any, t.Any, t.Any]) -> str:
    """Count the requests of a session."""
    number = request.session.get("counter", 0) + 1
    request.session["counter"] = number
    return str(number)


@get("/template", media_type=HTML)
async def table() -> Template:
    """Answer with a template."""
    return Template(shared.TEMPLATE, context={"items": shared.ROWS})


@get("/template-async", media_type=HTML)
async def async_table() -> str:
    """Answer with a template that is rendered async."""
    return await ASYNC_ENV.get_template(shared.TEMPLATE).render_async(items=shared.ROWS)


@get("/db", media_type=HTML, sync_to_thread=True)
def database() -> str:
    """Answer with the database's rows; rendered here, since a `Template` would be on the loop."""
    return ENV.get_template(shared.TEMPLATE).render(items=shared.rows())


@post("/form", media_type=TEXT, status_code=OK)
async def form(data: Form) -> str:
    """Answer with the fields."""
    return ",".join(data[name] for name in shared.FIELDS)


@post("/big-json", status_code=OK)
async def big(request: Request[t.Any, t.Any, t.Any]) -> t.Any:
    """Answer with the body."""
    return await request.json()


@post("/upload", media_type=TEXT, status_code=OK)
async def upload(data: Upload) -> str:
    """Answer with the size of the file."""
    return str(len(await data.read()))


@get("/stream", media_type=TEXT)
async def stream() -> Stream:
    """Answer in pieces."""
    return Stream(shared.chunks())


@get("/sse")
async def events() -> ServerSentEvent:
    """Answer with events."""
    return ServerSentEvent(
        ServerSentEventMessage(data=each, sep="\n") async for each in shared.numbers()
    )


@websocket("/ws")
async def echo(socket: WebSocket[t.Any, t.Any, t.Any]) -> None:
    """Echo."""
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass


def main() -> Litestar:
    """Return the app."""
    static = create_static_files_router("/static", directories=[shared.static()])
    views = [text, data, user, sync, counter, table, async_table, database, form, big, upload]
    return app(
        [*views, stream, events, echo, static],
        request_max_body_size=None,
        template_config=TemplateConfig(instance=JinjaTemplateEngine.from_environment(ENV)),
    )


def app(handlers: list[t.Any], **options: t.Any) -> Litestar:
    """Return an app with the settings."""
    return Litestar(handlers, openapi_config=None, logging_config=None, **options)


async def before(request: Request[t.Any, t.Any, t.Any]) -> None:
    """Do nothing before."""


async def after(response: Response[t.Any]) -> Response[t.Any]:
    """Do nothing after."""
    return response


async def both_before(request: Request[t.Any, t.Any, t.Any]) -> None:
    """Call two functions: of several `before_request`, it calls only the closest."""
    await before(request)
    await before(request)


async def both_after(response: Response[t.Any]) -> Response[t.Any]:
    """Call two functions, for the same reason."""
    return await after(await after(response))


@get("/hooks", media_type=TEXT)
async def hooked() -> str:
    """Answer with a text."""
    return shared.TEXT


def hooks() -> Litestar:
    """Return the app with two functions before and two after its view."""
    return app([hooked], before_request=both_before, after_request=both_after)


def routes(count: int) -> Litestar:
    """Return an app with so many routes."""
    paths = [f"/r{number}/{{id:int}}/x" for number in range(count)]

    @get(paths, media_type=TEXT)
    async def one(id: int) -> str:
        return str(id)

    return app([one])
