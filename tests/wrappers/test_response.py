"""Responses with async bodies, used by sync code."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel

from asyncflask import Flask, Response


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
