"""A connection played by hand, on either event loop."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable

import anyio

from .scopes import scope

Message = t.MutableMapping[str, t.Any]


def part(body: bytes, more: bool = False) -> Message:
    """Return a piece of a request's body."""
    return {"type": "http.request", "body": body, "more_body": more}


class Played:
    """What a connection receives, and what was sent.

    :param messages: what is there to be received; the client leaves when told to.
    """

    def __init__(self, *messages: Message) -> None:
        self.sent: list[Message] = []
        self.messages = [*messages]
        self.gone = anyio.Event()
        self.asked = anyio.Event()  # what is not there yet
        self.on_send: Callable[[Message], t.Any] = lambda message: None

    async def receive(self) -> Message:
        if self.messages:
            return self.messages.pop(0)
        self.asked.set()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self.on_send(message)

    def leave_after(self, count: int) -> None:
        """Leave when so many messages were sent."""

        def look(message: Message) -> None:
            if len(self.sent) >= count:
                self.gone.set()

        self.on_send = look

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def kinds(self) -> list[str]:
        return [message["type"].rpartition(".")[2] for message in self.sent]

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    async def play(
        self,
        app: t.Any,
        path: str = "/",
        method: str = "GET",
        headers: Iterable[tuple[bytes, bytes]] = (),
        extensions: Iterable[str] = (),
        **more: t.Any,
    ) -> Played:
        """Have the app serve it, to the end."""
        offered: dict[str, t.Any] = {name: {} for name in extensions}
        asked = scope(path, method, headers, extensions=offered, **more)
        with anyio.fail_after(60):  # a busy machine; the time limit of the test comes first
            await app(asked, self.receive, self.send)
        return self
