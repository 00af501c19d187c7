"""Flask-SQLAlchemy."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event

import httpx
import pytest

from .conftest import PATIENCE, Visitor

NOTHING = {"connections": 0, "sessions": 0}


def wait_for(visitor: Visitor, connections: int) -> None:
    """Wait until so many connections are out, and as many sessions are open."""
    expected = {"connections": connections, "sessions": connections}
    deadline = time.monotonic() + PATIENCE
    while (found := visitor.get("/leaks").json()) != expected:
        assert time.monotonic() < deadline, found
        Event().wait(0.005)


@pytest.mark.parametrize("write", ["/notes", "/notes-async"])
@pytest.mark.parametrize("read", ["/notes", "/notes-async"])
def test_what_is_committed_stays(member: Visitor, name: str, write: str, read: str) -> None:
    for text in ("first", "second"):
        assert member.post(write, data={"text": text}).json()["user"] == name
    assert member.get(read).json()["notes"] == ["first", "second"]
    assert member.get("/leaks").json() == NOTHING


@pytest.mark.parametrize("path", ["/broken", "/broken-async"])
def test_an_error_rolls_back(member: Visitor, path: str) -> None:
    member.post("/notes", data={"text": "kept"})
    assert member.post(path).status_code == 500
    assert member.get("/notes").json()["notes"] == ["kept"]
    assert member.get("/all").json()["lost"] == 0
    assert member.get("/leaks").json() == NOTHING


@pytest.mark.parametrize("path", ["/notes-async", "/form-async", "/broken-async"])
def test_a_session_ends_with_its_request_also_where_it_is_refused(
    visitor: Visitor, path: str
) -> None:
    assert visitor.post(path, data={"text": "x"}).status_code == 401
    assert visitor.get("/notes/0").status_code == 404
    assert visitor.get("/leaks").json() == NOTHING


def test_pages(member: Visitor) -> None:
    for number in range(6):
        member.post("/notes-async", data={"text": str(number)})
    page = member.get("/all?per_page=3").json()
    assert (page["on page"], page["total"] >= 6) == (3, True)
    assert member.get("/all?per_page=100").json()["on page"] == 5
    assert member.get("/all?page=1000").status_code == 404


def test_a_streamed_body_has_the_session(member: Visitor, name: str) -> None:
    assert member.get("/stream").text == f"{name} has 0\n" * 3
    wait_for(member, connections=0)


def test_a_reader_who_leaves(member: Visitor, name: str) -> None:
    for _ in range(5):
        with member.stream("GET", "/stream?forever") as answer:
            assert next(answer.iter_lines()) == f"{name} has 0"
    wait_for(member, connections=0)


def test_a_visitor_who_does_not_wait(member: Visitor, tmp_path: Path) -> None:
    until = tmp_path / "enough"
    for _ in range(5):
        with pytest.raises(httpx.ReadTimeout):
            member.get("/slow", params={"until": str(until)}, timeout=httpx.Timeout(30, read=0.05))
    wait_for(member, connections=5)
    until.touch()
    wait_for(member, connections=0)
    assert member.get("/all").json()["lost"] == 0
