"""Responses that are made while they are sent: their ends, whatever became of the request."""

from __future__ import annotations

import gc
import itertools
import typing as t
import weakref
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from anyio.lowlevel import checkpoint
from starlette.responses import FileResponse, PlainTextResponse

from asyncflask import Flask, Response, request
from asyncflask.wrappers import Request

from ..scopes import scope
from .test_http import Exchange, Message, length, part


@pytest.fixture
async def app() -> AsyncIterator[Flask]:
    app = Flask("streaming")
    yield app
    await app._budgets.close()


def add_endless(app: Flask, ends: list[str]) -> None:
    def chunks() -> Iterator[bytes]:
        try:
            yield from itertools.repeat(b"x")
        finally:
            ends.append("closed")

    async def async_chunks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            ends.append("closed")

    @app.post("/sync")
    def sync_view() -> Response:
        return Response(chunks())

    @app.post("/async", stream_body=True)
    async def async_view() -> t.Any:
        return async_chunks()

    @app.post("/from-async", stream_body=True)
    async def sync_body_of_async_view() -> t.Any:
        return chunks()


UNREAD = {
    "begun": [part(b"y" * 1000, more=True)],
    "in parts": [part(b"y" * 1000, more=True)] * 3,
    "whole": [part(b"y" * 1000, more=True), part(b"z")],
    "none of it there": [],
}


@pytest.mark.parametrize("path", ["/sync", "/async", "/from-async"])
@pytest.mark.parametrize("messages", UNREAD.values(), ids=[*UNREAD])
async def test_an_endless_body_ends_with_its_client_though_the_request_was_not_read(
    app: Flask, path: str, messages: list[Message]
) -> None:
    ends: list[str] = []
    add_endless(app, ends)
    exchange = Exchange(*messages)

    def leave_after_a_few(chunk: bytes) -> None:
        if len(exchange.sent) > 3:
            exchange.gone.set()

    exchange.on_chunk = leave_after_a_few
    asked = scope(path, "POST", length(1_000_000))
    await app(asked, exchange.receive, exchange.send)
    assert exchange.status == 200
    assert ends == ["closed"]


@pytest.mark.parametrize("path", ["/sync", "/async"])
async def test_what_watches_the_client_takes_nothing_of_the_body_away(
    app: Flask, path: str
) -> None:
    @app.post("/sync")
    def sync_view() -> Response:
        def echo() -> Iterator[bytes]:
            yield b"<"
            yield request.get_data()
            yield b">"

        return Response(echo())

    @app.post("/async", stream_body=True)
    async def async_view() -> t.Any:
        async def echo() -> AsyncIterator[bytes]:
            yield b"<"
            async for chunk in t.cast("AsyncIterator[bytes]", request.stream):
                yield chunk
            yield b">"

        return echo()

    parts = [b"%d," % number for number in range(20)]
    exchange = Exchange(*(part(each, more=True) for each in parts), part(b""))
    headers = [(b"transfer-encoding", b"chunked")]
    await app(scope(path, "POST", headers), exchange.receive, exchange.send)
    assert exchange.body == b"<" + b"".join(parts) + b">"


async def test_a_streamed_response_leaves_no_circle(app: Flask) -> None:
    seen: list[weakref.ref[Request]] = []

    @app.get("/")
    async def view() -> t.Any:
        seen.append(weakref.ref(request._get_current_object()))  # type: ignore[attr-defined]

        async def chunks() -> AsyncIterator[bytes]:
            yield b"a"
            yield b"b"

        return chunks()

    gc.collect()
    gc.disable()
    try:
        exchange = Exchange(part(b""))
        await app(scope(), exchange.receive, exchange.send)
        assert exchange.body == b"ab"
        await checkpoint()  # the event loop lets go of a task that has ended, a turn later
        assert seen[0]() is None
    finally:
        gc.enable()


# ASGI applications as responses


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.txt"
    path.write_bytes(b"0123456789")
    return path


async def test_what_an_asgi_application_says_when_it_runs_is_kept(app: Flask, file: Path) -> None:
    app.add_url_rule("/", view_func=lambda: FileResponse(file))
    async with app.async_client() as client:
        whole = await client.get("/")
        assert whole.headers["content-length"] == "10"
        assert whole.headers["etag"]
        piece = await client.get("/", headers={"Range": "bytes=2-4"})
    assert (piece.status_code, piece.content) == (206, b"234")
    assert piece.headers["content-range"] == "bytes 2-4/10"


async def test_what_hooks_change_of_an_asgi_applications_head_is_sent(
    app: Flask, file: Path
) -> None:
    @app.after_request
    def change(response: Response) -> Response:
        response.headers["Content-Type"] = "text/x-own"
        response.headers["X-More"] = "1"
        del response.headers["X-Less"]
        return response

    @app.get("/file")
    async def view() -> t.Any:
        return FileResponse(file, headers={"x-less": "1"})

    @app.get("/status")
    async def status() -> t.Any:
        return PlainTextResponse("x", headers={"x-less": "1"}), 201

    async with app.async_client() as client:
        for path, code in [("/file", 200), ("/status", 201)]:
            answer = await client.get(path)
            assert answer.status_code == code
            assert answer.headers["content-type"] == "text/x-own"
            assert answer.headers["x-more"] == "1"
            assert "x-less" not in answer.headers
            assert answer.headers.get_list("content-length") == [str(len(answer.content))]


async def test_a_header_of_a_hook_that_cannot_be_sent_is_refused(app: Flask) -> None:
    @app.after_request
    def split(response: Response) -> Response:
        response.headers._list.append(("X-Split", "a\r\nX-Own: b"))
        return response

    app.add_url_rule("/", view_func=lambda: PlainTextResponse("x"))
    async with app.async_client(raise_app_exceptions=False) as client:
        assert (await client.get("/")).status_code == 500
