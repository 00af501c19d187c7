"""The app's lifespan around a client's requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from asyncflask.testing import AsyncClient, LifespanError

from .apps import hello, http, settle, start

pytestmark = pytest.mark.anyio


class Scripted:
    """An app whose lifespan sends the given messages, and notes what it receives."""

    def __init__(self, *steps: str | BaseException | None) -> None:
        self.steps = steps
        self.log: list[str] = []
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.log.append("request")
            return await hello(scope, receive, send)
        self.scopes.append(scope)
        for step in self.steps:
            if step is None:
                self.log.append((await receive())["type"])
            elif isinstance(step, str):
                await send({"type": f"lifespan.{step}", "message": f"the reason of {step}"})
            else:
                raise step


GOOD = (None, "startup.complete", None, "shutdown.complete")


async def test_surrounds_the_requests() -> None:
    app = Scripted(*GOOD)
    async with AsyncClient(app) as client:
        assert app.log == ["lifespan.startup"]
        await client.get("/")
    assert app.log == ["lifespan.startup", "request", "lifespan.shutdown"]
    version = {"version": "3.0", "spec_version": "2.0"}
    assert app.scopes == [{"type": "lifespan", "asgi": version, "state": {}}]


async def test_without_a_block_there_is_none() -> None:
    app = Scripted(*GOOD)
    client = AsyncClient(app)
    assert (await client.get("/")).text == "hello"
    await client.aclose()
    assert app.log == ["request"]


async def test_may_be_turned_off() -> None:
    app = Scripted(*GOOD)
    async with AsyncClient(app, lifespan=False) as client:
        await client.get("/")
    assert app.log == ["request"]


async def test_is_one_task_and_its_state_is_copied() -> None:
    tasks: list[Any] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                tasks.append(anyio.get_current_task())
                group.start_soon(anyio.sleep_forever)
                yield {"numbers": [1], "count": 0}
                tasks.append(anyio.get_current_task())
                group.cancel_scope.cancel()

    async def view(request: Request) -> JSONResponse:
        request.state.count += 1
        request.state.numbers.append(2)
        return JSONResponse([request.state.count, request.state.numbers])

    async with AsyncClient(Starlette(routes=[Route("/", view)], lifespan=lifespan)) as client:
        assert (await client.get("/")).json() == [1, [1, 2]]
        assert (await client.get("/")).json() == [1, [1, 2, 2]]
    assert tasks[0] == tasks[1]


async def test_open_responses_end_before_the_shutdown() -> None:
    log: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            log.append((await receive())["type"])
            return await send({"type": "lifespan.shutdown.complete"})
        await start(send)
        await receive()
        log.append((await receive())["type"])

    async with AsyncClient(app) as client:
        await client.send(client.build_request("GET", "/"), stream=True)
    assert log == ["http.disconnect", "lifespan.shutdown"]


@pytest.mark.parametrize("steps", [(), (ValueError("x"),), (None,), ("startup.wrong",)])
async def test_apps_without_it_are_fine(steps: tuple[Any, ...]) -> None:
    async with AsyncClient(Scripted(*steps)) as client:
        assert (await client.get("/")).text == "hello"


async def test_an_app_that_answers_as_if_it_were_http_is_fine() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await hello(scope, receive, send)

    async with AsyncClient(app) as client:
        assert (await client.get("/")).text == "hello"


@pytest.mark.parametrize("error", [ValueError("no database"), None])
async def test_failing_startup(error: ValueError | None) -> None:
    app = Scripted(None, "startup.failed", *([error] if error else []))
    with pytest.raises(LifespanError, match="startup failed: the reason of") as caught:
        async with AsyncClient(app):
            raise AssertionError("not reached")
    assert caught.value.__cause__ is error


async def test_startup_that_raises() -> None:
    with pytest.raises(LifespanError, match="startup failed: ValueError: no database") as caught:
        async with AsyncClient(Scripted(None, ValueError("no database"))):
            raise AssertionError("not reached")
    assert isinstance(caught.value.__cause__, ValueError)


async def test_startup_of_starlette_that_raises() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise LookupError("no database")
        yield

    with pytest.raises(LifespanError, match="no database") as caught:
        async with AsyncClient(Starlette(lifespan=lifespan)):
            raise AssertionError("not reached")
    assert isinstance(caught.value.__cause__, LookupError)


async def test_interrupted_startup() -> None:
    with pytest.raises(KeyboardInterrupt):
        async with AsyncClient(Scripted(None, KeyboardInterrupt())):
            raise AssertionError("not reached")


async def test_cancelled_startup() -> None:
    ended: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    async def enter() -> None:
        async with AsyncClient(app):
            raise AssertionError("not reached")

    async with anyio.create_task_group() as group:
        group.start_soon(enter)
        await settle()
        group.cancel_scope.cancel()
    assert ended == [True]


@pytest.mark.parametrize("error", [ValueError("x"), None])
async def test_failing_shutdown(error: ValueError | None) -> None:
    app = Scripted(None, "startup.complete", None, "shutdown.failed", *([error] if error else []))
    with pytest.raises(LifespanError, match="shutdown failed: the reason of shutdown") as caught:
        async with AsyncClient(app):
            pass
    assert caught.value.__cause__ is error


async def test_failing_shutdown_does_not_hide_the_test_s_own_error() -> None:
    with pytest.raises(KeyError, match="mine") as caught:
        async with AsyncClient(Scripted(None, "startup.complete", None, "shutdown.failed")):
            raise KeyError("mine")
    assert "the reason of shutdown.failed" in caught.value.__notes__[0]


@pytest.mark.parametrize("before_shutdown", [True, False])
async def test_lifespan_that_raises_later(before_shutdown: bool) -> None:
    steps = () if before_shutdown else (None,)
    app = Scripted(None, "startup.complete", *steps, ValueError("worker died"))
    with pytest.raises(LifespanError, match="shutdown failed: ValueError: worker died"):
        async with AsyncClient(app):
            await anyio.lowlevel.checkpoint()


async def test_lifespan_that_returns_early() -> None:
    async with AsyncClient(Scripted(None, "startup.complete")) as client:
        assert (await client.get("/")).text == "hello"


async def test_cancelled_shutdown() -> None:
    waiting = anyio.Event()
    ended: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        waiting.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    async def enter_and_leave() -> None:
        async with AsyncClient(app):
            pass

    async with anyio.create_task_group() as group:
        group.start_soon(enter_and_leave)
        await waiting.wait()
        group.cancel_scope.cancel()
    assert ended == [True]


async def test_app_that_listens_on_after_the_shutdown_is_ended() -> None:
    async with AsyncClient(Scripted(*GOOD, None), disconnect_grace=0.01):
        pass


@pytest.mark.parametrize(
    "steps",
    [
        (None, "startup.complete", "startup.complete"),
        (None, "startup.complete", "shutdown.complete"),
        (*GOOD, "shutdown.complete"),
        (*GOOD, "startup.complete"),
    ],
)
async def test_messages_out_of_order(steps: tuple[str | None, ...]) -> None:
    with pytest.raises(LifespanError, match="while its lifespan was"):
        async with AsyncClient(Scripted(*steps)):
            await settle()


async def test_http_app_without_lifespan() -> None:
    async with AsyncClient(http(hello)) as client:
        assert (await client.get("/")).text == "hello"
