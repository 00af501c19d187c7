"""Websockets with Flask-Login and Flask-SQLAlchemy: whose they are, and what that one may see."""

from __future__ import annotations

import json
import typing as t

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from .conftest import PATIENCE, Visitor
from .test_database import wait_for


def open_socket(visitor: Visitor, path: str) -> ClientConnection:
    """Open a websocket with a visitor's cookies, as a browser does."""
    cookies = "; ".join(f"{each.name}={each.value}" for each in visitor.cookies.jar)
    url = str(visitor.base_url.join(path)).replace("http://", "ws://")
    socket: ClientConnection = connect(url, additional_headers={"Cookie": cookies}, proxy=None)
    return socket


def ask(socket: ClientConnection) -> t.Any:
    socket.send("?")
    return json.loads(socket.recv(PATIENCE))


@pytest.mark.parametrize("path", ["/socket/me", "/socket/me-async", "/socket/notes"])
def test_strangers_are_kept_out(visitor: Visitor, path: str) -> None:
    with pytest.raises(InvalidStatus) as denied:
        open_socket(visitor, path)
    assert denied.value.response.status_code == 401


@pytest.mark.parametrize("path", ["/socket/me", "/socket/me-async"])
def test_who_logged_in_is_known(member: Visitor, name: str, loop_thread: int, path: str) -> None:
    with open_socket(member, path) as socket:
        answers = [ask(socket) for _ in range(3)]
    assert [answer["user"] for answer in answers] == [name] * 3
    threads = {answer["thread"] for answer in answers}
    assert len(threads) == 1
    assert (threads == {loop_thread}) is path.endswith("-async")


def test_where_nobody_need_log_in(visitor: Visitor, member: Visitor, name: str) -> None:
    with open_socket(member, "/socket/anybody") as socket:
        assert json.loads(socket.recv(PATIENCE)) == {"user": name}
    member.post("/logout")
    with open_socket(member, "/socket/anybody") as socket:
        assert json.loads(socket.recv(PATIENCE)) == {"user": None}


def test_what_is_stored_meanwhile_is_seen(member: Visitor) -> None:
    with open_socket(member, "/socket/notes") as socket:
        assert ask(socket) == []
        assert member.post("/form", data={"text": "one"}).status_code == 201
        assert ask(socket) == ["one"]


@pytest.mark.parametrize("path", ["/socket/me", "/socket/me-async", "/socket/notes"])
def test_nothing_is_kept(member: Visitor, path: str) -> None:
    for _ in range(50):
        with open_socket(member, path) as socket:
            ask(socket)
    wait_for(member, 0)
