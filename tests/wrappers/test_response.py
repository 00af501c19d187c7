"""Responses with async bodies, used by sync code."""

from __future__ import annotations

import copy
import pickle
import typing as t
from collections.abc import AsyncIterator
from http import HTTPStatus

import anyio
import anyio.lowlevel
import pytest
import werkzeug
from markupsafe import Markup
from werkzeug.datastructures import Headers

from asyncflask import Flask, Response
from asyncflask.wrappers.response import text_response


async def timed() -> AsyncIterator[str]:
    """Give chunks from within a block that must begin and end in one task."""
    with anyio.fail_after(10):
        yield "a"
        await anyio.lowlevel.checkpoint()
        yield "b"


def test_an_async_body_is_made_in_one_task() -> None:
    assert Response(timed()).get_data() == b"ab"


def test_it_may_be_asked_for_again() -> None:
    response = Response(timed())
    assert response.get_data(as_text=True) == "ab"
    assert response.get_data() == b"ab"
    assert not response.is_async


def test_it_is_closed_where_it_is_left() -> None:
    ends: list[str] = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            await anyio.lowlevel.checkpoint()
            ends.append("closed")

    response = Response(endless())
    assert next(response.iter_encoded())[:1] == b"x"
    response.close()
    assert ends == ["closed"]


def test_one_that_never_began_is_closed() -> None:
    class Body:
        ends = 0

        def __aiter__(self) -> t.Any:
            raise AssertionError("nobody asked for it")

        async def aclose(self) -> None:
            self.ends += 1

    body = Body()
    Response(t.cast("t.Any", body)).close()
    assert body.ends == 1


def test_hooks_may_read_an_async_body() -> None:
    app = Flask("reading")

    @app.after_request
    def count(response: Response) -> Response:
        response.headers["X-Count"] = str(len(response.get_data()))
        return response

    @app.get("/")
    async def view() -> t.Any:
        return timed()

    answer = app.test_client().get("/")
    assert (answer.text, answer.headers["X-Count"]) == ("ab", "2")


class Status201(Response):
    default_status = 201


class Uncounted(Response):
    automatically_set_content_length = False


class Own(Response):
    def set_data(self, value: bytes | str) -> None:
        super().set_data(b"own: " + (value.encode() if isinstance(value, str) else value))


class OwnStatus(Response):
    @property
    def status(self) -> str:
        return "299 Own"

    @status.setter
    def status(self, value: t.Any) -> None:
        self._status, self._status_code = "299 Own", 299


class Text(Response):
    default_mimetype = "text/plain"


class Untyped(Response):
    default_mimetype = None


@pytest.mark.parametrize("kind", [Response, Status201, Uncounted, Own, OwnStatus, Text, Untyped])
@pytest.mark.parametrize(
    "body",
    [
        "",
        "text \u20ac",
        Markup("<p>"),
        b"bytes",
        bytearray(b"array"),
        ["a", "b"],
        (),
        iter("a"),
        None,
    ],
)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mimetype": "text/csv"},
        {"status": 404},
        {"headers": {"X-A": "b"}},
        {"status": "200 Yes"},
        {"status": HTTPStatus.CREATED, "mimetype": "image/svg+xml"},
        {"status": 299, "headers": [("X-A", "1"), ("X-A", "2")]},
        {"headers": {"content-TYPE": "text/own", "X-A": "b"}},
        {"headers": {"content-TYPE": "text/own"}, "mimetype": "text/csv"},
        {"headers": {"Content-Length": "1", "X-A": ["b", "c"]}},
        {"headers": {}},
        {"headers": {"X-A": 5, "x-b": b"c", "X-C": "", "X-D": "\u20ac\u00a0\t"}},
        {"content_type": "text/plain; charset=latin-1"},
        {"direct_passthrough": True},
    ],
    ids=str,
)
def test_it_is_made_as_werkzeug_makes_it(
    kind: type[Response], body: t.Any, options: dict[str, t.Any]
) -> None:
    made, by_werkzeug = kind(body, **options), kind.__new__(kind)
    werkzeug.wrappers.Response.__init__(by_werkzeug, body, **options)
    assert vars(made) == vars(by_werkzeug)
    assert [*made.headers] == [*by_werkzeug.headers]
    assert isinstance(made.headers, type(by_werkzeug.headers))
    assert made.headers == by_werkzeug.headers


def test_it_keeps_the_headers_that_it_is_given() -> None:
    class OwnHeaders(Headers):
        pass

    for headers in (Headers(), Headers({"X-A": "b"}), OwnHeaders({"X-A": "b"}), OwnHeaders()):
        response = Response("text", headers=headers)
        assert response.headers is headers
        assert headers["Content-Length"] == "4"


def test_headers_that_are_given_once() -> None:
    for name in ("X-A", "Content-Type"):
        headers = [*Response("text", headers=(each for each in [(name, "b")])).headers]
        assert headers[0] == (name, "b")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"mimetype": "text/a\nb"}, ValueError),
        ({"status": ""}, ValueError),
        ({"headers": {"X-A": "a\nb"}}, ValueError),
        ({"headers": {"X-A": "a\rb"}}, ValueError),
        ({"headers": 5}, TypeError),
    ],
    ids=str,
)
def test_what_werkzeug_refuses(options: dict[str, t.Any], error: type[Exception]) -> None:
    for kind in (Response, werkzeug.wrappers.Response):
        with pytest.raises(error):
            kind("text", **options)


@pytest.mark.parametrize("kind", [Response, Status201, Text, Untyped])
@pytest.mark.parametrize("text", ["", "text \u20ac", "x" * 511, "x" * 512])
def test_text_becomes_what_the_class_makes_of_it(kind: type[Response], text: str) -> None:
    made = text_response(kind, text)
    assert type(made) is kind
    assert vars(made) == vars(kind(text))
    assert [*made.headers] == [*kind(text).headers]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("default_status", 202),
        ("default_mimetype", None),
        ("default_mimetype", "text/own"),
        ("automatically_set_content_length", False),
        ("set_data", lambda made, value: setattr(made, "response", [b"own"])),
        ("_clean_status", lambda made, value: ("201 Own", 201)),
        ("__init__", lambda made, *args, **named: Text.__init__(made, "own")),
    ],
)
def test_text_becomes_what_a_changed_class_makes_of_it(
    name: str, value: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    unchanged = vars(text_response(Response, "text"))
    if name == "__init__":
        monkeypatch.setattr(Text, "__init__", Response.__init__)
    monkeypatch.setattr(Response, name, value)
    made = vars(text_response(Response, "text"))
    assert made == vars(Response("text"))
    assert made != unchanged


def test_no_two_share_what_can_be_changed() -> None:
    first, second = Response("text"), Response("text")
    first.headers["Content-Type"] = "text/own"
    first.call_on_close(print)
    first.response = [b"other"]
    assert [*second.headers] == [*werkzeug.wrappers.Response("text", mimetype="text/html").headers]
    assert (second.get_data(), second._on_close) == (b"text", [])
    copied = copy.copy(second)
    copied.headers["X-A"] = "b"
    assert second.headers["X-A"] == "b"  # a copy shares them, as werkzeug's does
    again = pickle.loads(pickle.dumps(second))
    again.headers["X-A"] = "c"
    assert (second.headers["X-A"], again.get_data()) == ("b", b"text")


def test_a_change_to_the_class_counts_for_what_is_made_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Response("x").status_code == 200
    monkeypatch.setattr(Response, "default_status", 202)
    assert Response("x").status_code == 202
    monkeypatch.setattr(Response, "default_mimetype", "text/own")
    assert Response("x").headers["Content-Type"] == "text/own; charset=utf-8"
    monkeypatch.setattr(Response, "set_data", lambda made, value: setattr(made, "response", [b"y"]))
    assert Response("x").get_data() == b"y"
