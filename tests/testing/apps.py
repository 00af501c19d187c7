"""Plain ASGI apps to try the async client on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

#: For tests that leave a body halfway: trio warns of the generators that httpx itself leaves open.
HTTPX_LEAVES_GENERATORS = pytest.mark.filterwarnings(
    "ignore:Async generator 'httpx:ResourceWarning"
)
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


def http(handler: Handler) -> ASGIApp:
    """Make an app of a handler that does not know the lifespan."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await handler(scope, receive, send)

    return app


def websocket(handler: Handler) -> ASGIApp:
    """Make an app of a handler of websockets that does not know the lifespan."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        assert await receive() == {"type": "websocket.connect"}
        await handler(scope, receive, send)

    return app


async def accept(send: Send, subprotocol: str | None = None, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": [*headers]})


async def echo_messages(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept, and send every message back until the client leaves."""
    await accept(send)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


async def start(send: Send, status: int = 200, *headers: tuple[bytes, bytes], **more: Any) -> None:
    message = {"type": "http.response.start", "status": status, "headers": [*headers], **more}
    await send(message)


async def body(send: Send, content: bytes = b"", *, more_body: bool = False) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": more_body})


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send, 200, (b"content-type", b"text/plain"))
    await body(send, b"hello")


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await body(send, message["body"], more_body=more)


async def receive_types(receive: Receive, count: int) -> list[str]:
    """Receive messages and return their types."""
    return [(await receive())["type"] for _ in range(count)]


async def chunks_of(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a response's body as they come."""
    async for chunk in response.aiter_raw():
        yield chunk


async def settle() -> None:
    """Let the other tasks run until they all wait."""
    await anyio.wait_all_tasks_blocked()
