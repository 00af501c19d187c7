"""Rooms to talk in: names, history, who is here, and nothing missed after a reconnect."""

from __future__ import annotations

import re
import time
import typing as t
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager

import anyio
from werkzeug.exceptions import NotFound, ServiceUnavailable

from asyncflask import Flask, Response, redirect, render_template, request, url_for, websocket

#: Messages that a room remembers, for who comes or comes back.
HISTORY = 100

#: Messages that a member may be behind before it is dropped.
BEHIND = 100

#: Rooms that exist at once. The one that was silent longest makes room, if nobody is in it.
ROOMS = 200

TEXT_LENGTH = 2000  # characters of a message
NAME_LENGTH = 30

ROOM_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")

#: How a member is dropped that is too slow; 4000 and above are an app's own (RFC 6455).
LAGGING = 4008, "You were too far behind the others."

CONTENT_POLICY = (
    "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; img-src 'self';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

Item = dict[str, t.Any]


class Member:
    """Somebody in a room. Others never wait for it: what it has not read yet is in a queue.

    :param name: as others see it.
    """

    def __init__(self, name: str) -> None:
        self.name, self.lagging = name, False
        self._inbox, self._outbox = anyio.create_memory_object_stream[Item](BEHIND)

    def tell(self, item: Item) -> None:
        """Put something into the queue; one that is full is the end."""
        try:
            self._inbox.send_nowait(item)
        except anyio.WouldBlock:
            self.lagging = True
            self._inbox.close()
        except anyio.ClosedResourceError:
            pass  # it was told that already

    async def items(self) -> AsyncGenerator[Item, None]:
        """Yield what the member is told, and close its websocket if that became too much."""
        async for item in self._outbox:
            yield item
        if self.lagging:
            await websocket.close(*LAGGING)

    def leave(self) -> None:
        """Forget what was not read."""
        self._inbox.close()
        self._outbox.close()


class Room:
    """A room: its last messages, and who is in it."""

    def __init__(self) -> None:
        self.messages: deque[Item] = deque(maxlen=HISTORY)
        self.members: list[Member] = []

    @contextmanager
    def joined(self, member: Member, after: int) -> Iterator[None]:
        """Have a member in the room during a block.

        :param after: the last message that it has seen.
        """
        missed = [message for message in self.messages if message["id"] > after]
        member.tell({"type": "welcome", "messages": missed})
        self.members.append(member)
        self._tell_who_is_here()
        try:
            yield
        finally:
            member.leave()
            self.members.remove(member)
            self._tell_who_is_here()

    def _tell_who_is_here(self) -> None:
        names = {member.name for member in self.members if not member.lagging}
        self._tell({"type": "members", "members": sorted(names, key=str.lower)})

    def say(self, name: str, text: str, key: str) -> None:
        """Tell all what somebody says; the same message, sent again, is said once.

        :param key: the sender's own name for the message, by which it knows that it has arrived.
        """
        if any(message["key"] == key for message in self.messages):
            return
        newest = self.messages[-1]["id"] if self.messages else 0
        message: Item = {
            "type": "message",
            "id": max(newest + 1, time.time_ns() // 1_000_000),  # it grows over restarts, too
            "name": name,
            "text": text,
            "key": key,
        }
        self.messages.append(message)
        self._tell(message)

    def _tell(self, item: Item) -> None:
        for member in self.members:
            member.tell(item)


class Rooms:
    """All rooms by name, the one that was entered last at the end."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}

    def enter(self, name: str) -> Room:
        """Return a room, which is made if need be.

        :raises NotFound: if no room may have that name.
        :raises ServiceUnavailable: if there are too many with people in them.
        """
        if ROOM_NAME.fullmatch(name) is None:
            raise NotFound("A room's name consists of small letters, digits and hyphens.")
        room = self._rooms.pop(name, None) or Room()
        if len(self._rooms) == ROOMS:
            self._forget_one()
        self._rooms[name] = room
        return room

    def _forget_one(self) -> None:
        for name, room in self._rooms.items():
            if not room.members:
                del self._rooms[name]
                return
        raise ServiceUnavailable("There are too many rooms. Join one of them.")

    def with_people(self) -> dict[str, int]:
        """Return how many are in each room that has somebody in it."""
        return {name: len(room.members) for name, room in self._rooms.items() if room.members}


def create_app(test_config: Mapping[str, t.Any] | None = None) -> Flask:
    """Make the app.

    :param test_config: settings that win over the defaults.
    """
    app = Flask(__name__)
    app.config.update(WEBSOCKET_MAX_MESSAGE_SIZE=16 * 1024, WEBSOCKET_MAX_MESSAGE_RATE=20)
    app.config.update(test_config or {})
    rooms = Rooms()
    app.extensions["rooms"] = rooms

    @app.after_request
    async def restrict(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response

    @app.get("/")
    async def index() -> t.Any:
        """Show the door; a room that was typed into its form is gone to."""
        typed = request.args.get("room", "").lower()
        wanted = re.sub(r"[^a-z0-9]+", "-", typed).strip("-")[:NAME_LENGTH]
        if wanted:
            return redirect(url_for("room", name=wanted))
        return render_template("index.html", rooms=rooms.with_people())

    @app.get("/rooms/<name>")
    async def room(name: str) -> str:
        if ROOM_NAME.fullmatch(name) is None:
            raise NotFound("A room's name consists of small letters, digits and hyphens.")
        return render_template(
            "room.html", room=name, name_length=NAME_LENGTH, text_length=TEXT_LENGTH
        )

    @app.websocket("/rooms/<name>/socket")
    async def talk(name: str) -> t.Any:
        """Talk: ``{"text": ..., "key": ...}`` comes in, messages and lists of members go out."""
        who = " ".join(websocket.args.get("name", "").split())[:NAME_LENGTH]
        if not who:
            return "Say who you are: ?name=...", 400
        entered, member = rooms.enter(name), Member(who)
        with entered.joined(member, websocket.args.get("after", 0, type=int)):
            async with websocket.sending(member.items()):
                while True:
                    text, key = said(await websocket.receive_json())
                    if text:
                        entered.say(who, text, key)

    return app


def said(message: t.Any) -> tuple[str, str]:
    """Return the text and the key of what a client sent; no text if it was none of ours."""
    if not isinstance(message, dict):
        return "", ""
    text, key = message.get("text"), message.get("key")
    if not isinstance(text, str) or not isinstance(key, str):
        return "", ""
    return text.strip()[:TEXT_LENGTH], key[:64]
