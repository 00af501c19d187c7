"""Websockets played by hand: what the client does is a script, what the app sent is looked at."""

from __future__ import annotations

import typing as t

import anyio

from .scopes import Header, scope

Message = t.MutableMapping[str, t.Any]

#: The extension of servers that answer a handshake with a response of the app's.
ANSWERS: t.Final[dict[str, t.Any]] = {"websocket.http.response": {}}


def text(data: str) -> Message:
    """Return the message of a text frame from the client."""
    return {"type": "websocket.receive", "text": data}


def binary(data: bytes) -> Message:
    """Return the message of a binary frame from the client."""
    return {"type": "websocket.receive", "bytes": data, "text": None}


def leave(code: int = 1001, reason: str = "") -> Message:
    """Return the message of a client that leaves."""
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


class Client:
    """One websocket's client.

    :param script: what it sends after the handshake. Behind it, it only listens.
    """

    def __init__(self, *script: Message) -> None:
        self.sent: list[Message] = []
        self._script: list[Message] = [{"type": "websocket.connect"}, *script]
        self.lost = False

    async def receive(self) -> Message:
        """Be the app's ``receive``."""
        await anyio.lowlevel.checkpoint()
        if self._script:
            message = self._script.pop(0)
            self.lost = message["type"] == "websocket.disconnect"
            return message
        await anyio.sleep_forever()
        raise AssertionError

    async def send(self, message: Message) -> None:
        """Be the app's ``send``, as of a server that tells when the client is lost."""
        await anyio.lowlevel.checkpoint()
        if self.lost:
            raise OSError("lost")
        self.sent.append(message)

    @property
    def ends(self) -> tuple[t.Any, t.Any]:
        """What an app is called with: ``receive`` and ``send``."""
        return self.receive, self.send

    @property
    def kinds(self) -> list[str]:
        """The kinds of what the app sent."""
        return [message["type"].removeprefix("websocket.") for message in self.sent]

    @property
    def data(self) -> list[str | bytes]:
        """The messages that the app sent."""
        return [
            message["text"] if "text" in message else message["bytes"]
            for message in self.sent
            if message["type"] == "websocket.send"
        ]


async def play(
    app: t.Any,
    path: str,
    *script: Message,
    headers: t.Iterable[Header] = (),
    extensions: t.Mapping[str, t.Any] = ANSWERS,
    **more: t.Any,
) -> Client:
    """Connect to an app, do as the script says, and return when the app is done.

    :param more: what differs in the scope.
    """
    client = Client(*script)
    await app(socket_scope(path, headers, extensions=extensions, **more), *client.ends)
    return client


def socket_scope(path: str, headers: t.Iterable[Header] = (), **more: t.Any) -> Message:
    """Return the scope of a websocket.

    :param more: what differs from a plain one.
    """
    made = scope(path, headers=headers, type="websocket", scheme="ws")
    del made["method"]
    return {**made, "subprotocols": [], "extensions": ANSWERS, **more}
