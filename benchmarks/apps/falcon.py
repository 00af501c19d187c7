"""Falcon's ASGI app.

Settings, and where its documentation has them:

- JSON by orjson, in both directions (media, JSONHandler: alternative libraries);
- no queue in front of WebSockets, since the server has one (WebSocket options: max_receive_queue);
- a text in `resp.text`, JSON in `resp.media` (Response);
- blocking work goes to the loop's executor by `falcon.sync_to_async` (helpers for asyncio): its
  ASGI responders cannot be plain functions;
- an upload read from the part's stream, which has no limit (multipart forms).

It has no templates, and sends the reader to Jinja: rendered by hand. It has no sessions: absent.
"""

from __future__ import annotations

import typing as t

import falcon
import falcon.asgi
import falcon.media
import jinja2
import orjson

from . import shared

Request: t.TypeAlias = falcon.asgi.Request
Response: t.TypeAlias = falcon.asgi.Response


class Text:
    """Answers with a text."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Answer."""
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = shared.TEXT


class Data:
    """Answers with JSON, and with the JSON that it is sent."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Answer."""
        resp.media = shared.DATA

    async def on_post(self, req: Request, resp: Response) -> None:
        """Answer with the body."""
        resp.media = await req.get_media()


class User:
    """Answers with the parameter of the path."""

    async def on_get(self, req: Request, resp: Response, id: int) -> None:
        """Answer."""
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = str(id)


class Sync:
    """Answers with what a plain function returns."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Answer."""
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = await falcon.sync_to_async(self.view)

    def view(self) -> str:
        """Return the body; called in a thread."""
        return shared.TEXT


class Table:
    """Answers with a template: rendered, rendered async, or with what a database has."""

    def __init__(self) -> None:
        loader = jinja2.FileSystemLoader(shared.TEMPLATES)
        options: dict[str, t.Any] = {"loader": loader, "autoescape": True, "auto_reload": False}
        self._env = jinja2.Environment(**options)
        self._async_env = jinja2.Environment(**options, enable_async=True)

    async def on_get(self, req: Request, resp: Response) -> None:
        """Answer with the rows."""
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._env.get_template(shared.TEMPLATE).render(items=shared.ROWS)

    async def on_get_async(self, req: Request, resp: Response) -> None:
        """Answer with the rows, rendered async."""
        template = self._async_env.get_template(shared.TEMPLATE)
        resp.content_type = falcon.MEDIA_HTML
        resp.text = await template.render_async(items=shared.ROWS)

    async def on_get_db(self, req: Request, resp: Response) -> None:
        """Answer with the database's rows."""
        resp.content_type = falcon.MEDIA_HTML
        resp.text = await falcon.sync_to_async(self.view)

    def view(self) -> str:
        """Return the body; called in a thread."""
        return self._env.get_template(shared.TEMPLATE).render(items=shared.rows())


class Bodies:
    """Reads forms."""

    async def on_post(self, req: Request, resp: Response) -> None:
        """Answer with the fields."""
        fields = await req.get_media()
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = ",".join(fields[name] for name in shared.FIELDS)

    async def on_post_upload(self, req: Request, resp: Response) -> None:
        """Answer with the size of the file."""
        resp.content_type = falcon.MEDIA_TEXT
        async for part in await req.get_media():
            if part.name == "file":
                resp.text = str(len(await part.stream.read()))


class Streams:
    """Sends pieces, events and messages."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Answer in pieces."""
        resp.content_type = falcon.MEDIA_TEXT
        resp.stream = shared.chunks()

    async def on_get_sse(self, req: Request, resp: Response) -> None:
        """Answer with events."""
        resp.sse = self.events()

    async def events(self) -> t.AsyncIterator[falcon.asgi.SSEvent]:
        """Yield the events."""
        async for number in shared.numbers():
            yield falcon.asgi.SSEvent(text=number)

    async def on_websocket(self, req: Request, ws: falcon.asgi.WebSocket) -> None:
        """Echo."""
        await ws.accept()
        try:
            while True:
                await ws.send_text(await ws.receive_text())
        except falcon.WebSocketDisconnected:
            pass


def fast(app: falcon.asgi.App) -> falcon.asgi.App:
    """Give an app the settings, and return it."""
    handler = falcon.media.JSONHandler(dumps=orjson.dumps, loads=orjson.loads)
    app.req_options.media_handlers[falcon.MEDIA_JSON] = handler
    app.resp_options.media_handlers[falcon.MEDIA_JSON] = handler
    app.ws_options.max_receive_queue = 0
    return app


def main() -> falcon.asgi.App:
    """Return the app."""
    app, data, table, bodies, streams = falcon.asgi.App(), Data(), Table(), Bodies(), Streams()
    app.add_route("/str", Text())
    app.add_route("/json", data)
    app.add_route("/big-json", data)
    app.add_route("/user/{id:int}", User())
    app.add_route("/sync", Sync())
    app.add_route("/template", table)
    app.add_route("/template-async", table, suffix="async")
    app.add_route("/db", table, suffix="db")
    app.add_route("/form", bodies)
    app.add_route("/upload", bodies, suffix="upload")
    app.add_route("/stream", streams)
    app.add_route("/sse", streams, suffix="sse")
    app.add_route("/ws", streams)
    app.add_static_route("/static", shared.static())
    return fast(app)


class Middleware:
    """A middleware component: called before the responder, and after it."""

    async def process_request(self, req: Request, resp: Response) -> None:
        """Do nothing before."""

    async def process_response(
        self, req: Request, resp: Response, resource: t.Any, req_succeeded: bool
    ) -> None:
        """Do nothing after."""


def hooks() -> falcon.asgi.App:
    """Return the app with two components, each with a function before and one after.

    Its decorators `before` and `after` are for one resource, these are for the app, as hooks are.
    """
    app = falcon.asgi.App(middleware=[Middleware(), Middleware()])
    app.add_route("/hooks", Text())
    return app


def routes(count: int) -> falcon.asgi.App:
    """Return an app with so many routes."""
    app, user = falcon.asgi.App(), User()
    for number in range(count):
        app.add_route(f"/r{number}/{{id:int}}/x", user)
    return app
