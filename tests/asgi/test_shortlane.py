"""A sync view's whole request as one hop, on asyncio and on trio."""

from __future__ import annotations

import contextvars
import gc
import threading
import typing as t
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from werkzeug.exceptions import NotFound

from asyncflask import Flask, request, workers
from asyncflask.hops import Hop

from ..scopes import scope

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)

var: contextvars.ContextVar[str] = contextvars.ContextVar("shortlane", default="server")


@asynccontextmanager
async def served(**config: int) -> AsyncIterator[Flask]:
    app = Flask("shortlane")
    app.config.update(config)
    yield app
    await app._budgets.close()


async def ask(app: Flask, path: str = "/") -> tuple[int, bytes]:
    app._got_first_request = True  # the first takes the long way
    sent: list[t.Any] = []

    async def receive() -> t.Any:
        await anyio.sleep_forever()

    async def send(message: t.Any) -> None:
        sent.append(message)

    await app(scope(path), receive, send)
    return sent[0]["status"], b"".join(message["body"] for message in sent[1:])


async def test_a_view_runs_in_a_thread_whose_lane_is_the_hop() -> None:
    async with served() as app:
        seen: list[t.Any] = []

        @app.get("/")
        def view() -> str:
            seen.extend((threading.get_ident(), type(workers.current()).__mro__))
            var.set("view")
            return request.path

        assert await ask(app) == (200, b"/")
        assert seen[0] != threading.get_ident()
        assert Hop in seen[1]
        assert var.get() == "server"
        assert workers.current() is None


async def test_one_that_a_thread_waits_for_needs_no_other() -> None:
    """With one thread, which waits: there is none to be had."""
    async with served(SYNC_WORKERS=1) as app:
        threads: list[int] = []

        @app.get("/inner")
        def inner() -> str:
            threads.append(threading.get_ident())
            return "inner"

        @app.get("/outer")
        def outer() -> bytes:
            threads.append(threading.get_ident())
            return t.cast("bytes", app.async_to_sync(ask)(app, "/inner")[1])

        with anyio.fail_after(10):
            assert await ask(app, "/outer") == (200, b"inner")
        assert len(set(threads)) == 1


async def test_what_is_awaitable_is_awaited_on_the_loop() -> None:
    async with served() as app:

        async def later() -> str:
            return f"{threading.get_ident()}"

        app.add_url_rule("/", view_func=lambda: later())
        assert await ask(app) == (200, b"%d" % threading.get_ident())


async def test_one_too_many_is_told_so() -> None:
    async with served(SYNC_WORKERS=1, SYNC_QUEUE_LIMIT=1) as app:
        gate, answers = threading.Event(), list[int]()
        app.add_url_rule("/", view_func=lambda: str(gate.wait(10)))
        app.register_error_handler(503, lambda error: "in a thread")  # and there is none

        async def one() -> None:
            answers.append((await ask(app))[0])

        async with anyio.create_task_group() as group:
            for waiting in (0, 1):
                group.start_soon(one)
                with anyio.fail_after(10):
                    while app.sync_metrics[1:4] != (1, 0, waiting):
                        await anyio.lowlevel.checkpoint()
            with anyio.fail_after(10):
                status, body = await ask(app)
            assert status == 503
            assert b"more to do than it can take on" in body
            gate.set()
        assert answers == [200, 200]
        assert app.sync_metrics.rejected == 1


async def test_who_is_cancelled_waits_for_the_view_and_its_end() -> None:
    async with served() as app:
        gate, begun, events = threading.Event(), threading.Event(), list[str]()

        @app.get("/")
        def view() -> str:
            begun.set()
            gate.wait(10)
            events.append("view")
            return "late"

        async with anyio.create_task_group() as group:

            async def one() -> None:
                try:
                    await ask(app)
                finally:
                    events.append("request")

            group.start_soon(one)
            await anyio.to_thread.run_sync(begun.wait)
            group.cancel_scope.cancel()
            gate.set()
        assert events == ["view", "request"]


@pytest.mark.parametrize("result", ["text", ("made", 201), NotFound()])
async def test_nothing_of_a_request_is_left_for_the_collector(result: t.Any) -> None:
    async with served() as app:
        gone: list[weakref.ref[t.Any]] = []

        @app.get("/")
        def view() -> t.Any:
            gone.append(weakref.ref(request._get_current_object()))  # type: ignore[attr-defined]
            return result

        app.add_url_rule("/other", view_func=lambda: "other")
        await ask(app)
        gone.clear()
        gc.disable()
        try:
            await ask(app)
            await ask(app, "/other")  # the thread has let go of what it did before
            assert [ref() for ref in gone] == [None]
        finally:
            gc.enable()
