"""A request to a WSGI application through the bridge, played by hand: no server, any event loop."""

from __future__ import annotations

import time
import typing as t
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from asyncflask import Flask
from asyncflask.asgi.bridge import serve_wsgi

from ..scopes import Header, scope

#: Seconds for what takes a fraction of one.
PATIENCE = 10.0

Message = t.MutableMapping[str, t.Any]


def body(content: bytes, *, more: bool = False) -> Message:
    """Return a message with a part of a request's body."""
    return {"type": "http.request", "body": content, "more_body": more}


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come to it"
        time.sleep(0)


class Conversation:
    """What a client sends, and what it gets.

    :param messages: what it sends; when that is used up, it waits until it is `leave`-ing.
    """

    def __init__(self, *messages: Message) -> None:
        self.sent: list[Message] = []
        self.received = 0
        self.gone = anyio.Event()
        self.on_chunk: Callable[[bytes], None] = lambda chunk: None
        self._messages = [*messages]

    async def receive(self) -> Message:
        if self._messages:
            self.received += 1
            return self._messages.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body" and message["body"]:
            self.on_chunk(message["body"])

    def leave(self, chunk: bytes = b"") -> None:
        """Be gone; also an `on_chunk`."""
        self.gone.set()

    async def ask(self, app: t.Any, wsgi_app: t.Any, **request: t.Any) -> t.Self:
        """Ask an application, and return when its answer has been served, as this."""
        await serve_wsgi(app, wsgi_app, scope(**request), self.receive, self.send)
        return self

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> list[Header]:
        found: list[Header] = self.sent[0]["headers"]
        return found

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def ended(self) -> bool:
        """Whether the answer came to its end."""
        return bool(self.sent[1:]) and not self.sent[-1].get("more_body", False)


@asynccontextmanager
async def hosting() -> AsyncIterator[Flask]:
    """An app without anything in it, for the time of a block: what it lends is threads."""
    host = Flask("host")
    try:
        yield host
    finally:
        await host._budgets.close()


async def ask(
    wsgi_app: t.Any, *messages: Message, by: Conversation | None = None, **request: t.Any
) -> Conversation:
    """Ask a WSGI application that is alone.

    :param by: the client, where it is wanted even if this raises.
    """
    async with hosting() as host:
        return await (by or Conversation(*messages)).ask(host, wsgi_app, **request)
