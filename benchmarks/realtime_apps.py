"""The same two things in each framework, as its documentation writes them: an echo, and a feed."""

from __future__ import annotations

import asyncio
import typing as t
from collections.abc import AsyncGenerator
from contextlib import aclosing

#: What is echoed, and what an event says. The first character is in no header: it counts events.
TEXT = "~ the kettle in the kitchen has boiled, tea for all"

#: What a listener is sent for one event.
EVENT = f"data: {TEXT}\n\n"

#: Events that a listener may be behind. With so few, the source waits for the slowest often enough
#: for its work to be spread evenly, and not so often that waiting is all that is measured.
BEHIND = 16


class Feed:
    """One source of events and any number of listeners. It waits for the slowest of them."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[str]] = set()
        self._source: asyncio.Task[None] | None = None

    async def listen(self) -> AsyncGenerator[str, None]:
        """Yield what the source says."""
        queue: asyncio.Queue[str] = asyncio.Queue(BEHIND)
        self._queues.add(queue)
        if self._source is None:
            self._source = asyncio.create_task(self._say())
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)
            while not queue.empty():  # who waits for room in it is let go
                queue.get_nowait()

    async def _say(self) -> None:
        while self._queues:
            for queue in tuple(self._queues):
                await queue.put(TEXT)
        self._source = None

    def asked(self, query: str) -> AsyncGenerator[str, None]:
        """Return what a request asks for: a number of events without a wait, or the feed."""
        return some(int(query)) if query else self.listen()


async def some(count: int) -> AsyncGenerator[str, None]:
    """Yield events, without a wait."""
    for _ in range(count):
        yield TEXT


async def by_hand(source: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    """Yield the text of events, for frameworks that have none."""
    async with aclosing(source):
        async for text in source:
            yield f"data: {text}\n\n"


def bare() -> t.Any:
    """Return an ASGI callable with no framework around it: the limit."""
    feed = Feed()

    async def echo(receive: t.Any, send: t.Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})

    async def events(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        left = asyncio.create_task(has_left(receive))
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        source = feed.asked(scope["query_string"].decode())
        async for text in source:
            if left.done():
                break
            body = f"data: {text}\n\n".encode()
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        await source.aclose()
        left.cancel()

    async def has_left(receive: t.Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def app(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        if scope["type"] == "websocket":
            await echo(receive, send)
        elif scope["type"] == "http":
            await events(scope, receive, send)

    return app


def asyncflask() -> t.Any:
    """Return our app."""
    from asyncflask import EventSourceResponse, Flask, request, websocket

    app, feed = Flask(__name__), Feed()

    @app.websocket("/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    @app.get("/events")
    async def events() -> EventSourceResponse:
        return EventSourceResponse(feed.asked(request.query_string.decode()))

    return app


def starlette() -> t.Any:
    """Return Starlette's. It has no events of its own: the text is made by hand."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import StreamingResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket

    feed = Feed()

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    async def events(request: Request) -> StreamingResponse:
        stream = by_hand(feed.asked(request.url.query))
        return StreamingResponse(stream, media_type="text/event-stream")

    return Starlette(routes=[WebSocketRoute("/echo", echo), Route("/events", events)])


def quart() -> t.Any:
    """Return Quart's, which is not in our environment. The text is made by hand, too."""
    import quart as real  # type: ignore[import-not-found,unused-ignore]

    app, feed = real.Quart(__name__), Feed()

    async def echo() -> None:
        while True:
            await real.websocket.send(await real.websocket.receive())

    async def events() -> t.Any:
        stream = by_hand(feed.asked(real.request.query_string.decode()))
        response = await real.make_response(stream, {"Content-Type": "text/event-stream"})
        response.timeout = None
        return response

    app.add_websocket("/echo", view_func=echo)
    app.add_url_rule("/events", view_func=events)
    return app
