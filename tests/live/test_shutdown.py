"""A server that stops does not wait for what would never end, and tears it down."""

from __future__ import annotations

import asyncio
import threading
import typing as t
from collections.abc import AsyncIterator, Iterator

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from asyncflask import Flask, pools

from .. import awake
from .server import PATIENCE, STACKS, HttpName, LoopName, serving
from .wire import request


class Record:
    """What has happened."""

    def __init__(self) -> None:
        self.waiting = threading.Semaphore(0)
        self.ended: list[str] = []


def make_app(record: Record, bridged: bool) -> Flask:
    app = Flask(__name__)
    if bridged:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]

    async def forever() -> None:
        record.waiting.release()
        await asyncio.get_running_loop().create_future()

    @app.get("/async")
    async def async_view() -> str:
        await forever()
        return "never"

    @app.get("/sync")
    def sync_view() -> str:
        app.async_to_sync(forever)()
        return "never"

    @app.get("/sync/stream")
    def stream() -> Iterator[str]:
        try:
            yield "begun"
            app.async_to_sync(forever)()
        finally:
            record.ended.append("stream")

    async def body() -> AsyncIterator[str]:
        try:
            yield "begun"
            await forever()
        finally:
            record.ended.append("stream")

    @app.get("/async/stream")
    async def async_stream() -> AsyncIterator[str]:
        return body()

    @app.get("/sync/stream_on_loop")
    def stream_on_loop() -> AsyncIterator[str]:
        return body()

    @app.teardown_request
    def note(error: BaseException | None) -> None:
        record.ended.append("request")

    return app


@pytest.mark.parametrize(("loop", "http"), STACKS)
@pytest.mark.parametrize("bridged", [False, True], ids=["direct", "bridged"])
@pytest.mark.parametrize(
    "path", ["/async", "/sync", "/sync/stream", "/async/stream", "/sync/stream_on_loop"]
)
def test_what_waits_is_ended(
    loop: LoopName, http: HttpName, bridged: bool, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "JOIN_SECONDS", PATIENCE / 4)  # for a busy machine
    record = Record()
    app: t.Any = make_app(record, bridged)
    server = serving(app, loop, http, timeout_graceful_shutdown=0)
    with server as running, running.connect() as connection:
        connection.send(request("GET", path))
        assert record.waiting.acquire(timeout=PATIENCE)
        began = awake.now()
        running.stop()
        assert awake.now() - began < PATIENCE / 2
    assert record.ended == (["stream", "request"] if "stream" in path else ["request"])


@pytest.mark.parametrize(("loop", "http"), STACKS)
@pytest.mark.parametrize("bridged", [False, True], ids=["direct", "bridged"])
def test_what_works_is_waited_for(loop: LoopName, http: HttpName, bridged: bool) -> None:
    app = Flask(__name__)
    if bridged:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    begun = threading.Semaphore(0)
    stopping = threading.Event()

    @app.get("/sync")
    def sync_view() -> str:
        begun.release()
        assert stopping.wait(PATIENCE)
        return "whole"

    @app.get("/async")
    async def async_view() -> str:
        return await asyncio.to_thread(sync_view)

    server = serving(app, loop, http)
    with server as running, running.connect() as first, running.connect() as second:
        first.send(request("GET", "/sync"))
        second.send(request("GET", "/async"))
        for _ in range(2):
            assert begun.acquire(timeout=PATIENCE)
        running.on_loop(running.ask_to_stop)
        stopping.set()
        assert first.answer().text == second.answer().text == "whole"
