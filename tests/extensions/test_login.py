"""Flask-Login."""

from __future__ import annotations

import pytest

from .conftest import Visitor


def test_it_is_our_flask_that_they_extend(visitor: Visitor) -> None:
    assert visitor.get("/loop").json()["flask"] == "asyncflask.app"


@pytest.mark.parametrize("path", ["/me", "/me-async", "/fresh-async", "/private"])
def test_strangers_are_kept_out(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).status_code == 401


@pytest.mark.parametrize("door", ["/login", "/login-async"])
@pytest.mark.parametrize("path", ["/me", "/me-async", "/fresh-async", "/anybody", "/notes"])
def test_who_logged_in_is_known(visitor: Visitor, name: str, door: str, path: str) -> None:
    assert visitor.post("/register", data={"name": name}).status_code == 201
    assert visitor.post(door, data={"name": name}).json()["user"] == name
    answer = visitor.get(path)
    assert answer.json()["user"] == name
    assert answer.headers["X-User"] == name
    assert "Cookie" in answer.headers["Vary"]


def test_a_name_is_taken_once(member: Visitor, name: str) -> None:
    assert member.post("/register", data={"name": name}).status_code == 409


def test_an_unknown_name(visitor: Visitor) -> None:
    assert visitor.post("/login", data={"name": "nobody"}).status_code == 401


def test_logging_out(member: Visitor) -> None:
    assert member.post("/logout").json()["keys"] == ["csrf_token"]
    assert member.get("/me").status_code == 401
    assert member.get("/anybody").json()["user"] is None


def test_a_remembered_user_comes_back_but_is_not_fresh(visitor: Visitor, name: str) -> None:
    visitor.post("/register", data={"name": name})
    visitor.post("/login", data={"name": name, "remember": "1"})
    assert visitor.get("/fresh-async").status_code == 200
    visitor.cookies.delete("session")
    assert visitor.get("/me-async").json()["user"] == name
    assert visitor.get("/fresh-async").status_code == 401


@pytest.mark.parametrize("path", ["/me-async", "/fresh-async"])
def test_async_views_run_on_the_loop(member: Visitor, loop_thread: int, path: str) -> None:
    assert member.get(path).json()["thread"] == loop_thread


def test_plain_views_do_not(member: Visitor, loop_thread: int) -> None:
    assert member.get("/me").json()["thread"] != loop_thread
