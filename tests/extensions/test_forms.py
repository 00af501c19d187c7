"""Flask-WTF: forms, and the protection of every other request."""

from __future__ import annotations

import re

import pytest

from .conftest import Visitor

WRITING = ["/notes", "/notes-async", "/form", "/form-async", "/login-async", "/logout"]


@pytest.mark.parametrize("path", WRITING)
def test_no_token_no_entry(member: Visitor, path: str) -> None:
    del member.headers["X-CSRFToken"]
    answer = member.post(path, data={"text": "forged"})
    assert (answer.status_code, "token is missing" in answer.text) == (400, True)
    assert member.get("/notes").json()["notes"] == []


@pytest.mark.parametrize("path", WRITING)
def test_a_token_of_somebody_else(member: Visitor, url: str, path: str) -> None:
    with Visitor(url) as other:
        member.headers["X-CSRFToken"] = other.headers["X-CSRFToken"]
    answer = member.post(path, data={"text": "forged"})
    assert (answer.status_code, "tokens do not match" in answer.text) == (400, True)
    assert member.get("/notes").json()["notes"] == []


@pytest.mark.parametrize("path", ["/form", "/form-async"])
def test_a_form_in_a_page(member: Visitor, name: str, path: str) -> None:
    del member.headers["X-CSRFToken"]
    hidden = re.search(r'name="csrf_token".* value="([^"]+)"', member.get("/form").text)
    assert hidden is not None
    answer = member.post(path, data={"text": "dear diary", "csrf_token": hidden[1]})
    assert (answer.status_code, answer.json()["user"]) == (201, name)
    assert member.get("/notes").json()["notes"] == ["dear diary"]


@pytest.mark.parametrize("path", ["/form", "/form-async"])
@pytest.mark.parametrize(
    ("text", "error"),
    [("", "This field is required."), ("x" * 21, "Field cannot be longer than 20 characters.")],
)
def test_fields_are_validated(member: Visitor, path: str, text: str, error: str) -> None:
    answer = member.post(path, data={"text": text})
    assert (answer.status_code, answer.json()) == (422, {"errors": {"text": [error]}})


@pytest.mark.parametrize("path", ["/form", "/form-async"])
def test_a_form_of_several_parts(member: Visitor, path: str) -> None:
    attached = {"attached": ("a.txt", b"x" * 600_000)}
    answer = member.post(path, data={"text": "in parts"}, files=attached)
    assert answer.status_code == 201
    assert member.get("/notes-async").json()["notes"] == ["in parts"]


def test_an_exempt_view(visitor: Visitor, loop_thread: int) -> None:
    del visitor.headers["X-CSRFToken"]
    answer = visitor.post("/hook", json={"event": 1}).json()
    assert answer == {"user": None, "thread": loop_thread, "given": {"event": 1}}
