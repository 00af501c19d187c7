"""The lifespans of mounted apps, inside that of the app around them."""

from __future__ import annotations

import asyncio
import typing as t
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from asyncflask import Flask
from asyncflask.testing import AsyncClient, LifespanError

pytestmark = pytest.mark.anyio


class Scripted:
    """An app whose lifespan sends the given messages, and notes what it receives."""

    def __init__(self, name: str, log: list[str], *steps: str | Exception | None) -> None:
        self.name, self.log, self.steps = name, log, steps
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            return await PlainTextResponse(self.name)(scope, receive, send)
        self.scopes.append(scope)
        try:
            for step in self.steps:
                if step is None:
                    received = (await receive())["type"].removeprefix("lifespan.")
                    self.log.append(f"{self.name} {received}")
                elif step == "http":
                    await send({"type": "http.response.start", "status": 200, "headers": []})
                elif isinstance(step, str):
                    await send({"type": f"lifespan.{step}", "message": f"{self.name}'s reason"})
                else:
                    raise step
        finally:
            self.log.append(f"{self.name} ended")


GOOD = (None, "startup.complete", None, "shutdown.complete")


def mounted(*apps: t.Any) -> Flask:
    """Return an app with others mounted at /0, /1 and so on."""
    app = Flask("outer")
    for number, each in enumerate(apps):
        app.mount(f"/{number}", each)
    return app


async def test_started_in_the_order_of_mounting_and_stopped_in_reverse() -> None:
    log: list[str] = []
    app = mounted(*(Scripted(name, log, *GOOD) for name in ("a", "bb", "c")))
    async with AsyncClient(app) as client:
        assert log == ["a startup", "bb startup", "c startup"]
        assert (await client.get("/1/x")).text == "bb"
        del log[:]
    assert log == [
        *("c shutdown", "c ended"),
        *("bb shutdown", "bb ended"),
        *("a shutdown", "a ended"),
    ]


async def test_the_scope() -> None:
    app = Scripted("a", [], *GOOD)
    async with AsyncClient(mounted(app)):
        pass
    version = {"version": "3.0", "spec_version": "2.0"}
    assert app.scopes == [{"type": "lifespan", "asgi": version, "state": {}}]


@pytest.mark.parametrize("steps", [(), (ValueError("not http"),), (None,), (None, "http")])
async def test_apps_that_know_none_are_left_alone(
    steps: tuple[t.Any, ...], caplog: pytest.LogCaptureFixture
) -> None:
    log: list[str] = []
    app = mounted(Scripted("a", log, *steps), Scripted("b", log, *GOOD))
    async with AsyncClient(app) as client:
        assert (await client.get("/0")).text == "a"
        assert (await client.get("/1")).text == "b"
    assert "b shutdown" in log
    assert "a shutdown" not in log
    assert caplog.records == []


async def test_one_that_raises_once_told_to_start_is_left_alone_aloud(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = mounted(Scripted("a", [], None, ValueError("no body")))
    async with AsyncClient(app) as client:
        assert (await client.get("/0")).text == "a"
    assert "The app mounted at '/0' raised when it was told to start" in caplog.text
    assert "ValueError: no body" in caplog.text


@pytest.mark.parametrize("cause", [ValueError("no database"), None])
async def test_a_failed_start_fails_ours_and_stops_those_before(
    cause: ValueError | None,
) -> None:
    log: list[str] = []
    bad = Scripted("bad", log, None, "startup.failed", *([cause] if cause else []))
    app = mounted(Scripted("a", log, *GOOD), bad, Scripted("c", log, *GOOD))
    message = "The app mounted at '/1': startup failed: bad's reason"
    with pytest.raises(LifespanError, match=message) as caught:
        async with AsyncClient(app):
            raise AssertionError("not reached")
    assert log == ["a startup", "bad startup", "bad ended", "a shutdown", "a ended"]
    failed = caught.value.__cause__
    assert failed is not None
    assert failed.__cause__ is cause


async def test_a_failed_start_of_starlette_tells_why() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise LookupError("no database")
        yield

    app = mounted(Starlette(lifespan=lifespan))
    with pytest.raises(LifespanError, match=r"(?s)mounted at '/0'.*LookupError: no database"):
        async with AsyncClient(app):
            raise AssertionError("not reached")


async def test_all_are_stopped_whichever_fail() -> None:
    log: list[str] = []
    failing = (None, "startup.complete", None, "shutdown.failed")
    app = mounted(
        Scripted("a", log, *GOOD),
        Scripted("b", log, *failing),
        Scripted("c", log, *GOOD),
        Scripted("d", log, *failing),
    )
    with pytest.raises(LifespanError) as caught:
        async with AsyncClient(app):
            del log[:]
    assert [line for line in log if "shutdown" in line] == [
        *("d shutdown", "c shutdown", "b shutdown", "a shutdown")
    ]
    first, second = str(caught.value).splitlines()
    assert first.endswith("The app mounted at '/3': shutdown failed: d's reason")
    assert second == "The app mounted at '/1': shutdown failed: b's reason"


async def test_a_failed_start_and_a_failed_stop_are_both_told() -> None:
    log: list[str] = []
    app = mounted(
        Scripted("a", log, None, "startup.complete", None, "shutdown.failed"),
        Scripted("b", log, None, "startup.failed"),
    )
    with pytest.raises(LifespanError) as caught:
        async with AsyncClient(app):
            raise AssertionError("not reached")
    first, second = str(caught.value).splitlines()
    assert first.endswith("The app mounted at '/1': startup failed: b's reason")
    assert second == "The app mounted at '/0': shutdown failed: a's reason"


@pytest.mark.parametrize("waits", [True, False])
async def test_one_that_raises_later_is_told_at_once_and_at_shutdown(
    waits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[str] = []
    steps = (None, "startup.complete", *([None] if waits else []), ValueError("worker died"))
    app = mounted(Scripted("a", log, *steps), Scripted("b", log, *GOOD))
    message = "mounted at '/0': shutdown failed: ValueError: worker died"
    with pytest.raises(LifespanError, match=message):
        async with AsyncClient(app) as client:
            assert (await client.get("/1")).text == "b"
    assert "b ended" in log
    assert ("its lifespan ended while it was serving" in caplog.text) is not waits


async def test_one_that_returns_early_is_fine() -> None:
    async with AsyncClient(mounted(Scripted("a", [], None, "startup.complete"))) as client:
        assert (await client.get("/0")).text == "a"


@pytest.mark.parametrize(
    "steps",
    [
        (None, "startup.complete", "startup.complete"),
        (None, "startup.complete", "shutdown.complete"),
        (*GOOD, "shutdown.complete"),
        (*GOOD, "startup.complete"),
    ],
)
async def test_messages_out_of_order(steps: tuple[t.Any, ...]) -> None:
    with pytest.raises(LifespanError, match=r"mounted at '/0' sent .* while its lifespan was"):
        async with AsyncClient(mounted(Scripted("a", [], *steps))):
            pass


async def test_one_that_listens_on_after_its_end_is_ended() -> None:
    log: list[str] = []
    async with AsyncClient(mounted(Scripted("a", log, *GOOD, None)), disconnect_grace=10):
        pass
    assert log == ["a startup", "a shutdown", "a ended"]


async def show(request: Request) -> JSONResponse:
    request.state.count += 1
    return JSONResponse({key: str(value) for key, value in request.state._state.items()})


def with_state(**state: t.Any) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, t.Any]]:
        yield {"count": 0, **state}

    return Starlette(routes=[Route("/", show)], lifespan=lifespan)


async def test_each_has_its_own_state() -> None:
    middle = Flask("middle")
    middle.mount("/in", with_state(inner=1))
    app = mounted(with_state(a=1), with_state(b=2), middle)
    async with AsyncClient(app) as client:
        for _ in range(2):
            assert (await client.get("/0/")).json() == {"count": "1", "a": "1"}
            assert (await client.get("/1/")).json() == {"count": "1", "b": "2"}
            assert (await client.get("/2/in/")).json() == {"count": "1", "inner": "1"}


async def test_what_is_around_an_app_is_in_its_state_too() -> None:
    seen: list[t.Any] = []

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["outer"] = 1
        await inner(scope, receive, send)

    inner = mounted(with_state(a=1))
    async with AsyncClient(outer) as client:
        seen.append((await client.get("/0/")).json())
    assert seen == [{"outer": "1", "count": "1", "a": "1"}]


async def test_without_mounts_the_state_is_left_alone() -> None:
    seen: list[t.Any] = []
    inner = Flask("inner")

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(scope, receive, send)
        seen.append(scope["state"])

    async with AsyncClient(outer):
        pass
    assert seen == [{}]


async def test_a_server_that_has_no_state() -> None:
    app = Scripted("a", [], *GOOD)
    messages = iter(["startup", "shutdown"])
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": f"lifespan.{next(messages)}"}

    async def send(message: Message) -> None:
        sent.append(message)

    await mounted(app)({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
    assert "state" not in app.scopes[0]
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


async def test_one_app_at_two_prefixes_has_one_lifespan() -> None:
    log: list[str] = []
    app = with_state(a=1)
    twice = Scripted("a", log, *GOOD)
    async with AsyncClient(mounted(app, app, twice, twice)) as client:
        assert (await client.get("/0/")).json() == (await client.get("/1/")).json()
    assert log == ["a startup", "a shutdown", "a ended"]


async def test_wsgi_apps_have_none() -> None:
    called: list[t.Any] = []

    def wsgi(environ: t.Any, start_response: t.Any) -> list[bytes]:
        called.append(environ)
        return []

    async with AsyncClient(mounted(wsgi)):
        pass
    assert called == []


@pytest.mark.parametrize("when", ["starting", "serving", "stopping"])
async def test_cancelled_by_the_server_nothing_is_left(when: str) -> None:
    log: list[str] = []
    reached, ended = anyio.Event(), anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await receive()
            if when != "starting":
                await send({"type": "lifespan.startup.complete"})
                if when == "stopping":
                    await receive()
                    reached.set()
            else:
                reached.set()
            await anyio.sleep_forever()
        finally:
            ended.set()

    async def receive() -> Message:
        log.append("receive")
        if len(log) == 1 or when == "stopping":
            return {"type": "lifespan.startup"}
        reached.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        log.append(message["type"])

    outer = mounted(Scripted("first", [], *GOOD), app)
    async with anyio.create_task_group() as group:
        group.start_soon(outer, {"type": "lifespan", "state": {}}, receive, send)
        await reached.wait()
        assert not ended.is_set()
        group.cancel_scope.cancel()
    assert ended.is_set()
    assert "lifespan.shutdown.complete" not in log


def test_cancelled_with_all_tasks_of_the_loop() -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        finally:
            ended.append("app")

    async def main() -> None:
        started = asyncio.Event()

        async def receive() -> Message:
            if started.is_set():
                await anyio.sleep_forever()
            return {"type": "lifespan.startup"}

        async def send(message: Message) -> None:
            started.set()

        task = asyncio.ensure_future(mounted(app)({"type": "lifespan"}, receive, send))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        ended.append("server")

    asyncio.run(main())
    assert ended == ["app", "server"]


async def test_threads_are_gone_after_a_start_that_failed() -> None:
    app = mounted(Scripted("bad", [], None, "startup.failed"))

    @app.get("/")
    def index() -> str:
        return "index"

    async with AsyncClient(app, lifespan=False) as client:
        await client.get("/")
        assert app.sync_metrics.threads == 1
        with pytest.raises(LifespanError):
            async with AsyncClient(app):
                raise AssertionError("not reached")
        assert app.sync_metrics.threads == 0
