"""Views whose work is ended before its time: by their client, or by their route's timeout."""

from __future__ import annotations

import logging
import threading
import time
import typing as t
from collections.abc import AsyncIterator, Callable

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest
from werkzeug.exceptions import ClientDisconnected, ServiceUnavailable
from werkzeug.middleware.proxy_fix import ProxyFix

from asyncflask import Flask, Response, got_request_exception, request, streaming_response
from asyncflask.dispatch import guard
from asyncflask.exceptions import LoopCancelled, ViewTimeout
from asyncflask.routing import Rule

from ..clock import timeouts_begin_when
from ..played import Played, part

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)

Log = list[t.Any]


class Overriding(Flask):
    """Whose requests run in a thread, through a method that is overridden."""

    def full_dispatch_request(self) -> Response:
        return super().full_dispatch_request()


def bridged(name: str) -> Flask:
    """Return an app whose requests go through WSGI middleware."""
    app = Flask(name)
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    return app


KINDS: dict[str, Callable[[str], Flask]] = {
    "plain": Flask,
    "overriding": Overriding,
    "bridged": bridged,
}


@pytest.fixture(params=KINDS)
def app(request: pytest.FixtureRequest) -> Flask:
    return KINDS[request.param]("guarded")


@pytest.fixture
def log(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Log:
    """What is noted, above all that something waits: from then on, the time of a route counts."""
    noted: Log = []
    timeouts_begin_when(monkeypatch, lambda: "waits" in noted)
    app.teardown_request(lambda error: noted.append(("torn down", type(error))))
    return noted


def add_views(app: Flask, log: Log, **options: t.Any) -> None:
    """Add views of both kinds that wait for ever on the loop, and note how that ends."""

    async def wait() -> None:
        log.append("waits")
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            log.append("cancelled")
            raise

    @app.get("/async", **options)
    async def view() -> str:
        await wait()
        return "not reached"

    @app.get("/sync", **options)
    def sync_view() -> str:
        try:
            app.async_to_sync(wait)()
        except LoopCancelled:
            log.append("interrupted")
            raise
        return "not reached"

    @app.get("/before", **options)
    async def after_hook() -> str:
        return "not reached"

    @app.before_request
    async def before() -> None:
        if request.path == "/before":
            await wait()


PATHS = {
    "/async": ["waits", "cancelled"],
    "/sync": ["waits", "cancelled", "interrupted"],
    "/before": ["waits", "cancelled"],
}


@pytest.mark.parametrize("path", PATHS)
async def test_a_view_that_takes_too_long_is_answered_503(app: Flask, log: Log, path: str) -> None:
    add_views(app, log, timeout=0.05)
    played = await Played(part(b"")).play(app, path)
    assert played.status == 503
    assert b"took too long" in played.body
    assert log == [*PATHS[path], ("torn down", type(None))]
    await app._budgets.close()


@pytest.mark.parametrize("path", ["/async", "/sync"])
async def test_error_handlers_and_hooks_have_their_say(app: Flask, log: Log, path: str) -> None:
    add_views(app, log, timeout=0.05)

    @app.errorhandler(ViewTimeout)
    async def handle(error: ViewTimeout) -> tuple[str, int]:
        await anyio.lowlevel.checkpoint()  # and may wait: nothing is left of the cancellation
        return f"handled {error.code}", 503

    @app.after_request
    async def after(response: Response) -> Response:
        await anyio.lowlevel.checkpoint()
        response.headers["X-After"] = "1"
        return response

    @app.after_request
    def sync_after(response: Response) -> Response:
        anyio.from_thread.check_cancelled()
        app.async_to_sync(anyio.lowlevel.checkpoint)()
        return response

    played = await Played(part(b"")).play(app, path)
    assert (played.status, played.body) == (503, b"handled 503")
    assert played.headers[b"x-after"] == b"1"
    assert log == [*PATHS[path], ("torn down", type(None))]
    await app._budgets.close()


async def test_it_is_a_503_for_handlers_of_503(app: Flask, log: Log) -> None:
    add_views(app, log, timeout=0.05)
    app.register_error_handler(ServiceUnavailable, lambda error: ("busy", 503))
    assert (await Played(part(b"")).play(app, "/async")).body == b"busy"
    await app._budgets.close()


@pytest.mark.parametrize("path", PATHS)
async def test_a_client_that_leaves_ends_the_work(
    app: Flask, log: Log, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_views(app, log, cancel_on_disconnect=True)

    @app.errorhandler(Exception)
    def handle(error: Exception) -> str:
        log.append("handled")
        return ""

    app.after_request(lambda response: log.append("processed") or response)  # type: ignore[func-returns-value]
    signalled: list[t.Any] = []

    def note(sender: t.Any, **more: t.Any) -> None:
        signalled.append(more)

    played = Played(part(b""))
    with got_request_exception.connected_to(note, app), caplog.at_level(logging.INFO):
        async with anyio.create_task_group() as group:
            group.start_soon(played.play, app, path)
            while log != ["waits"]:
                await anyio.lowlevel.checkpoint()
            played.gone.set()
    assert log == [*PATHS[path], ("torn down", ClientDisconnected)]
    assert (signalled, caplog.records) == ([], [])
    assert played.sent == [] or (app._wraps_wsgi and played.status == 400)  # for nobody to see
    await app._budgets.close()


@pytest.mark.parametrize("path", ["/async", "/sync"])
async def test_without_the_option_the_view_is_left_alone(app: Flask, path: str) -> None:
    done: Log = []
    gate = threading.Event()

    @app.get("/async")
    async def view() -> str:
        await anyio.to_thread.run_sync(gate.wait)
        done.append("done")
        return ""

    @app.get("/sync")
    def sync_view() -> str:
        gate.wait()
        done.append("done")
        return ""

    played = Played(part(b""))
    async with anyio.create_task_group() as group:
        group.start_soon(played.play, app, path)
        await anyio.wait_all_tasks_blocked()
        played.gone.set()
        await anyio.wait_all_tasks_blocked()
        gate.set()
    assert done == ["done"]
    await app._budgets.close()


@pytest.mark.parametrize("options", [{"timeout": 10}, {"cancel_on_disconnect": True}], ids=str)
@pytest.mark.parametrize("path", ["/async", "/sync"])
async def test_a_view_in_time_is_as_ever(
    app: Flask, log: Log, path: str, options: dict[str, t.Any]
) -> None:
    @app.get("/async", **options)
    async def view() -> str:
        await anyio.sleep(0.001)
        return "text"

    @app.get("/sync", **options)
    def sync_view() -> str:
        app.async_to_sync(anyio.sleep)(0.001)
        return "text"

    played = await Played(part(b"")).play(app, path)
    assert (played.status, played.body) == (200, b"text")
    assert log == [("torn down", type(None))]
    await app._budgets.close()


@pytest.mark.parametrize("options", [{"timeout": 10}, {"cancel_on_disconnect": True}], ids=str)
@pytest.mark.parametrize("path", ["/async", "/sync"])
async def test_an_error_of_the_view_is_its_own(
    app: Flask, log: Log, path: str, options: dict[str, t.Any]
) -> None:
    @app.get("/async", **options)
    async def view() -> str:
        raise LookupError

    @app.get("/sync", **options)
    def sync_view() -> str:
        raise LookupError

    app.register_error_handler(LookupError, lambda error: ("handled", 404))
    played = await Played(part(b"")).play(app, path)
    assert (played.status, played.body) == (404, b"handled")
    await app._budgets.close()


@pytest.mark.parametrize("path", ["/async", "/sync"])
async def test_an_error_while_it_is_ended_is_not_hidden(app: Flask, log: Log, path: str) -> None:
    @app.get("/async", timeout=0.02)
    async def view() -> str:
        try:
            log.append("waits")
            await anyio.sleep_forever()
        finally:
            raise LookupError

    @app.get("/sync", timeout=0.02)
    def sync_view() -> str:
        try:
            log.append("waits")
            app.async_to_sync(anyio.sleep_forever)()
        finally:
            raise LookupError

    app.register_error_handler(LookupError, lambda error: ("handled", 404))
    assert (await Played(part(b"")).play(app, path)).status == 404
    await app._budgets.close()


async def test_a_thread_is_waited_for(
    app: Flask, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be stopped, and the teardown must not overtake it: the answer is late, and 503."""
    over, end = threading.Event(), guard._ThreadGuard.end

    def note(self: guard._ThreadGuard, kind: type[Exception]) -> None:
        end(self, kind)
        over.set()

    monkeypatch.setattr(guard._ThreadGuard, "end", note)

    @app.get("/", timeout=0.02)
    def view() -> str:
        log.append("waits")
        assert over.wait(10)
        log.append("returns")
        return "late"

    played = await Played(part(b"")).play(app)
    assert played.status == 503
    assert log == ["waits", "returns", ("torn down", type(None))]
    await app._budgets.close()


async def test_a_thread_can_ask_whether_its_time_is_over(app: Flask, log: Log) -> None:
    @app.get("/", timeout=0.02)
    def view() -> str:
        log.append("waits")
        while True:
            anyio.from_thread.check_cancelled()
            time.sleep(0.005)

    assert (await Played(part(b"")).play(app)).status == 503
    await app._budgets.close()


async def test_the_time_is_over_when_the_response_begins(app: Flask, log: Log) -> None:
    @app.get("/generator", timeout=0.05)
    async def generator() -> t.Any:
        async def body() -> AsyncIterator[str]:
            log.append("waits")
            await anyio.sleep(0.15)
            yield "late"

        return body()

    @app.get("/block", timeout=0.05)
    async def block() -> t.Any:
        async with streaming_response() as out:
            log.append("waits")
            await anyio.sleep(0.15)
            await out.send("late")
        return out

    for path in ["/generator", "/block"]:
        log.clear()
        played = await Played(part(b"")).play(app, path)
        assert (played.status, played.body) == (200, b"late")
    await app._budgets.close()


async def test_both_options_at_once(app: Flask, log: Log) -> None:
    add_views(app, log, timeout=0.05, cancel_on_disconnect=True)
    assert (await Played(part(b"")).play(app, "/async")).status == 503
    log.clear()
    played = Played(part(b""))
    played.gone.set()
    await played.play(app, "/async")
    assert log[-1] == ("torn down", ClientDisconnected)
    await app._budgets.close()


async def test_the_body_is_read_meanwhile(app: Flask, log: Log) -> None:
    @app.post("/", cancel_on_disconnect=True, stream_body=True)
    async def view() -> bytes:
        chunks = t.cast("AsyncIterator[bytes]", request.stream)
        return b"".join([chunk async for chunk in chunks])

    played = Played(*(part(b"x" * 1000, more=True) for _ in range(20)), part(b"!"))
    await played.play(app, method="POST", headers=[(b"transfer-encoding", b"chunked")])
    assert played.body == b"x" * 20_000 + b"!"
    await app._budgets.close()


async def test_the_context_is_the_view_s_own(app: Flask, log: Log) -> None:
    """A guard runs the view in the task and the context that it would run in without."""

    @app.get("/", timeout=5)
    async def view() -> str:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.lowlevel.checkpoint)
        return request.path

    assert (await Played(part(b"")).play(app)).body == b"/"
    await app._budgets.close()


def test_under_wsgi_the_server_s_limits_hold() -> None:
    app = Flask("guarded")

    @app.get("/", timeout=0.001, cancel_on_disconnect=True)
    def view() -> str:
        time.sleep(0.01)
        return "done"

    assert app.test_client().get("/").text == "done"


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_timeout_is_positive(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout of a route"):
        Rule("/", endpoint="x", timeout=timeout)


def test_a_copied_rule_keeps_its_options() -> None:
    rule = Rule("/", endpoint="x", timeout=5, cancel_on_disconnect=True)
    copied: t.Any = rule.empty()
    assert (copied.timeout, copied.cancel_on_disconnect, copied.is_guarded) == (5, True, True)
    assert Rule("/", endpoint="x").is_guarded is False
