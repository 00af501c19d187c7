from __future__ import annotations

import itertools
import json
import typing as t
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import chat
import pytest
from chat import Member, Room, Rooms, create_app
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from werkzeug.exceptions import NotFound, ServiceUnavailable

from asyncflask import Flask

from ..conftest import Live
from ..live.server import PATIENCE, LiveServer
from .browser import Browser, Tab
from .started import example


@pytest.fixture
def app() -> Flask:
    return create_app({"WEBSOCKET_MAX_MESSAGE_RATE": None})


class Talker:
    """Somebody in a room, by the `websockets` library."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._keys = map(str, itertools.count())

    async def heard(self, kind: str) -> t.Any:
        """Return the next item of a kind."""
        with anyio.fail_after(PATIENCE):
            while (item := json.loads(await self.socket.recv()))["type"] != kind:
                pass
        return item

    async def members(self, *names: str) -> None:
        """Wait until just these are in the room."""
        while (await self.heard("members"))["members"] != [*names]:
            pass

    async def say(self, text: t.Any, key: str | None = None) -> None:
        """Say something."""
        said = {"text": text, "key": next(self._keys) if key is None else key}
        await self.socket.send(json.dumps(said, ensure_ascii=False))


def address(server: LiveServer, name: str, room: str = "tea", after: int = 0) -> str:
    return f"{server.url}/rooms/{room}/socket?name={name}&after={after}".replace("http", "ws", 1)


@asynccontextmanager
async def talking(server: LiveServer, *args: t.Any, **options: t.Any) -> AsyncIterator[Talker]:
    async with connect(address(server, *args), compression=None, **options) as socket:
        yield Talker(socket)


# Rooms and members


@pytest.mark.anyio
async def test_a_member_that_reads_nothing_is_dropped() -> None:
    room, slow, quick = Room(), Member("Slow"), Member("Quick")
    heard: list[str] = []

    async def listen() -> None:
        async for item in quick.items():
            heard.extend([item["text"]] if "text" in item else [])

    async with anyio.create_task_group() as group:
        with room.joined(slow, 0), room.joined(quick, 0):
            group.start_soon(listen)
            for number in range(chat.BEHIND + 10):
                room.say("Quick", str(number), str(number))
                await anyio.wait_all_tasks_blocked()
            assert slow.lagging
            assert not quick.lagging
            group.cancel_scope.cancel()
    assert heard == [str(number) for number in range(chat.BEHIND + 10)]


@pytest.mark.anyio
async def test_who_lags_is_not_shown() -> None:
    room, slow, other = Room(), Member("Slow"), Member("Other")
    with room.joined(slow, 0):
        for number in range(chat.BEHIND):
            room.say("Slow", "x", str(number))
        with room.joined(other, 10**15):
            items = other.items()
            assert [(await anext(items))["type"], await anext(items)] == [
                "welcome",
                {"type": "members", "members": ["Other"]},
            ]
            await items.aclose()


def test_ids_grow_though_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room()
    for number, now in enumerate((5_000_000, 2_000_000, 9_000_000)):
        monkeypatch.setattr("time.time_ns", lambda now=now: now)
        room.say("Ada", "hello", str(number))
    assert [message["id"] for message in room.messages] == [5, 6, 9]


def test_history_is_bounded() -> None:
    room = Room()
    for number in range(chat.HISTORY + 5):
        room.say("Ada", str(number), str(number))
    assert room.messages[0]["text"] == "5"
    assert len(room.messages) == chat.HISTORY


def test_the_room_that_was_left_longest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "ROOMS", 2)
    rooms = Rooms()
    rooms.enter("a").members.append(Member("Ada"))
    quiet = rooms.enter("b")
    assert rooms.enter("c") is not quiet
    assert rooms.enter("b") is not quiet
    assert rooms.with_people() == {"a": 1}
    rooms.enter("b").members.append(Member("Bob"))
    with pytest.raises(ServiceUnavailable):
        rooms.enter("d")
    assert rooms.enter("a").members
    for room in ("a", "b"):
        rooms.enter(room).members.pop().leave()


@pytest.mark.parametrize("name", ["", "Tea", "-", "a b", "a" * 31, "<b>", "é", "a\n"])
def test_no_room_has_such_a_name(name: str) -> None:
    with pytest.raises(NotFound):
        Rooms().enter(name)


# Over a server


async def test_two_talk(app: Flask, live: Live) -> None:
    server = live(app)
    async with talking(server, "Ada") as ada:
        await ada.members("Ada")
        async with talking(server, "bob") as bob:
            await ada.members("Ada", "bob")
            await ada.say("  Hello! ", "k1")
            heard = await bob.heard("message")
            assert heard == await ada.heard("message")
            assert (heard["name"], heard["text"], heard["key"]) == ("Ada", "Hello!", "k1")
        await ada.members("Ada")
    server.rest()
    assert app.extensions["rooms"].with_people() == {}


async def test_rooms_are_apart(app: Flask, live: Live) -> None:
    server = live(app)
    async with talking(server, "Ada") as ada, talking(server, "Bob", "coffee") as bob:
        await ada.say("tea?")
        await bob.say("coffee?")
        assert (await ada.heard("message"))["text"] == "tea?"
        assert (await bob.heard("message"))["text"] == "coffee?"


async def test_who_comes_later_gets_the_history(app: Flask, live: Live) -> None:
    server = live(app)
    async with talking(server, "Ada") as ada:
        for number in range(3):
            await ada.say(str(number))
        heard = [await ada.heard("message") for _ in range(3)]
        async with talking(server, "Bob") as bob:
            assert (await bob.heard("welcome"))["messages"] == heard
        async with talking(server, "Bob", "tea", heard[0]["id"]) as bob:
            assert (await bob.heard("welcome"))["messages"] == heard[1:]


async def test_what_is_sent_again_is_said_once(app: Flask, live: Live) -> None:
    server = live(app)
    async with talking(server, "Ada") as ada, talking(server, "Ada") as again:
        await ada.say("once", "key")
        await ada.heard("message")
        await again.say("once", "key")
        await again.say("then", "other")
        assert [(await again.heard("message"))["text"] for _ in range(2)] == ["once", "then"]


@pytest.mark.parametrize(
    ("name", "room", "status"), [("", "tea", 400), ("%20%09", "tea", 400), ("Ada", "Tea!", 404)]
)
async def test_no_way_in(app: Flask, live: Live, name: str, room: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with talking(live(app), name, room):
            pass
    assert caught.value.response.status_code == status


async def test_pages_from_elsewhere_are_not_let_in(app: Flask, live: Live) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with talking(live(app), "Ada", origin="https://elsewhere.example"):
            pass
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize(("raw", "code"), [("{", 1007), ("x" * 20_000, 1009), (b"\xff", 1007)])
async def test_what_ends_a_connection(app: Flask, live: Live, raw: str | bytes, code: int) -> None:
    server = live(app)
    async with talking(server, "Bob") as bob:
        async with talking(server, "Ada") as ada:
            await ada.socket.send(raw)
            with pytest.raises(ConnectionClosed):
                await ada.heard("nothing")
            assert ada.socket.close_code == code
        await bob.say("still here")
        assert (await bob.heard("message"))["text"] == "still here"


@pytest.mark.parametrize(
    "raw", ["[]", "null", "7", '"x"', "{}", '{"text": 1, "key": "k"}', '{"text": "x"}']
)
async def test_what_is_no_message_is_ignored(app: Flask, live: Live, raw: str) -> None:
    async with talking(live(app), "Ada") as ada:
        await ada.socket.send(raw)
        await ada.say(" \n ")
        await ada.say("a" * 5000)
        assert (await ada.heard("message"))["text"] == "a" * chat.TEXT_LENGTH


@pytest.mark.time_limit(60)
async def test_a_slow_client_holds_nobody_up(
    app: Flask, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not read until the system's buffers are full, and then its queue here."""
    monkeypatch.setattr(chat, "BEHIND", 8)
    server = live(app)
    room = app.extensions["rooms"].enter("tea")
    async with talking(server, "Slow", max_queue=1) as slow:
        async with talking(server, "Quick") as quick:
            await quick.members("Quick", "Slow")
            while not any(member.lagging for member in room.members):
                await quick.say("\N{TEACUP WITHOUT HANDLE}" * chat.TEXT_LENGTH)
                await quick.heard("message")  # at once, whatever the other one does
        with pytest.raises(ConnectionClosed):
            await slow.heard("nothing")
        assert (slow.socket.close_code, slow.socket.close_reason) == chat.LAGGING


async def test_pages(app: Flask) -> None:
    async with app.async_client() as client:
        response = await client.get("/")
        assert "Nobody is anywhere yet" in response.text
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        response = await client.get("/?room=+Tea+%26+Biscuits!")
        assert response.headers["Location"] == "/rooms/tea-biscuits"
        assert (await client.get("/?room=%00../")).status_code == 200
        assert (await client.get("/rooms/Tea")).status_code == 404
        assert 'data-socket="/rooms/tea/socket"' in (await client.get("/rooms/tea")).text


# In a browser


def join(browser: Browser, url: str, name: str, room: str = "tea") -> Tab:
    """Open a tab, say who it is, and wait until it is in the room."""
    tab = browser.tab(f"{url}/rooms/{room}")
    tab.run("document.getElementById('name').value = ''")
    tab.type("#name", name)
    tab.click("#enter button")
    tab.wait_for("#status", "live")
    return tab


def say(tab: Tab, text: str) -> None:
    tab.type("#text", text)
    tab.click("#say button")


def texts(tab: Tab) -> list[str]:
    return tab.texts("#messages p")


def wait_for_text(tab: Tab, text: str) -> None:
    tab.wait(lambda: text in texts(tab), f"{text!r} did not come")


@pytest.mark.time_limit(90)
def test_tabs_in_two_rooms(app: Flask, live: Live, browser: Browser) -> None:
    url = live(app).url
    door = browser.tab(url)
    door.type("#room", "Tea")
    door.click("button")
    door.wait_for("h1", "tea")
    ada, bob, cleo = join(browser, url, "Ada"), join(browser, url, "Bob"), None
    cleo = join(browser, url, "Cleo", "coffee")
    say(ada, "Is the kettle on?")
    wait_for_text(bob, "Is the kettle on?")
    say(bob, "It is.")
    wait_for_text(ada, "It is.")
    say(cleo, "Nobody here?")
    wait_for_text(cleo, "Nobody here?")
    assert texts(ada) == texts(bob) == ["Is the kettle on?", "It is."]
    assert texts(cleo) == ["Nobody here?"]
    assert ada.texts("#messages .own p") == ["Is the kettle on?"]
    assert bob.texts("#members li") == ["Ada", "Bob"]
    door.open(url)
    assert door.texts(".rooms a") == ["coffee", "tea"]
    late = join(browser, url, "Dora")
    assert texts(late) == texts(ada)
    bob.close()
    ada.wait(lambda: ada.texts("#members li") == ["Ada", "Dora"])
    for tab in (ada, cleo, late, door):
        assert tab.foreign() == []
        assert tab.complaints() == []


@pytest.mark.time_limit(60)
def test_markup_is_text(app: Flask, live: Live, browser: Browser) -> None:
    evil = "<img src=x onerror=alert(1)>"
    url = live(app).url
    mallory, ada = join(browser, url, evil[:30]), join(browser, url, "Ada")
    say(mallory, f"{evil}<script>alert(2)</script>")
    wait_for_text(ada, f"{evil}<script>alert(2)</script>")
    assert evil in ada.texts("#messages b")
    assert evil in ada.texts("#members li")
    assert ada.all("#messages img, #messages script, #members img") == []
    assert ada.complaints() == mallory.complaints() == []


@pytest.mark.time_limit(120)
def test_nothing_is_missed_when_the_server_is_started_anew(browser: Browser) -> None:
    """Started as the README says; killed, and started again while pages are open."""
    with example("chat") as server:
        url = server.start().rstrip("/")
        ada, bob = join(browser, url, "Ada"), join(browser, url, "Bob")
        say(ada, "before")
        wait_for_text(bob, "before")
        bob.type("#text", "half a sen")
        bob.run("pause = 3_600_000")  # this one comes back later than the other
        server.crash()
        for tab in (ada, bob):
            tab.wait_for("#status", "reconnecting…")
        say(ada, "meanwhile")
        assert ada.texts("#messages .waiting p") == ["meanwhile"]
        server.start()
        ada.wait_for("#status", "live")
        ada.wait(lambda: not ada.all("#messages .waiting"), "the message did not go out")
        assert bob.text("#status") != "live"
        bob.run("connect()")
        bob.wait_for("#status", "live")
        wait_for_text(bob, "meanwhile")
        bob.type("#text", "tence")
        bob.click("#say button")
        wait_for_text(ada, "half a sentence")
        assert texts(ada) == texts(bob) == ["before", "meanwhile", "half a sentence"]
        assert ada.complaints() == bob.complaints() == []


@pytest.mark.time_limit(60)
def test_the_server_ends_at_once_and_says_so(browser: Browser) -> None:
    with example("chat") as server:
        tab = join(browser, server.start().rstrip("/"), "Ada")
        status, output = server.end()
        assert status == 0, output
        assert "Traceback" not in output
        tab.wait_for("#status", "reconnecting…")
