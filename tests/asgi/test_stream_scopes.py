"""Streams whose generators have cancel scopes around a `yield`, on asyncio and on trio."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest

from asyncflask import Flask

from ..scopes import scope

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)


async def serve(app: Flask, leaves_after: int | None) -> bytes:
    """Ask for "/" and return what was sent; the client may leave after some chunks."""
    gone, sent = anyio.Event(), []
    begun = False

    async def receive() -> t.Any:
        nonlocal begun
        if begun:
            await gone.wait()
            return {"type": "http.disconnect"}
        begun = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: t.Any) -> None:
        if message["type"] == "http.response.body":
            sent.append(message["body"])
            if len(sent) == leaves_after:
                gone.set()
        await anyio.lowlevel.checkpoint()

    await app(scope(), receive, send)
    return b"".join(sent)


@pytest.mark.parametrize("leaves_after", [None, 1, 5])
async def test_scopes_around_a_yield_are_left_as_they_were_entered(
    leaves_after: int | None,
) -> None:
    app = Flask("scopes")
    ends: list[str] = []

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        ends.append("torn down")

    async def chunks() -> AsyncIterator[bytes]:
        count = 0
        try:
            with anyio.fail_after(30):
                async with anyio.create_task_group() as group:
                    group.start_soon(anyio.sleep, 0)
                    while leaves_after is not None or count < 10:
                        count += 1
                        yield b"x"
        finally:
            ends.append("closed")

    @app.get("/")
    async def view() -> t.Any:
        return chunks()

    body = await serve(app, leaves_after)
    assert set(body) == {ord("x")}
    assert len(body) == 10 if leaves_after is None else len(body) >= leaves_after
    assert ends == ["closed", "torn down"]
