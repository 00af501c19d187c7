"""A client that is silent in the middle of its body: 408, wherever the body is read."""

from __future__ import annotations

import socket
import time
import typing as t
from collections.abc import AsyncIterator

import anyio
import pytest
from werkzeug.exceptions import RequestTimeout
from werkzeug.middleware.proxy_fix import ProxyFix

from asyncflask import Flask, Response, request
from asyncflask.exceptions import BodyTimeout
from asyncflask.loops import Interrupt

from ..played import Message, Played, part

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)

CHUNKED = [(b"transfer-encoding", b"chunked")]


def make_app(seen: list[t.Any]) -> Flask:
    app = Flask("timeouts")
    app.config["BODY_TIMEOUT"] = 0.05
    app.teardown_request(lambda error: seen.append("torn down"))

    @app.post("/sync")
    def sync_view() -> bytes:
        return request.get_data()

    @app.post("/async")
    async def async_view() -> bytes:
        return request.get_data()

    @app.post("/form")
    async def form() -> str:
        return str(request.form)

    @app.post("/raw", stream_body=True)
    async def raw() -> bytes:
        chunks = t.cast("AsyncIterator[bytes]", request.stream)
        return b"".join([chunk async for chunk in chunks])

    @app.post("/swallowed")
    async def swallowed() -> str:
        with pytest.raises(BodyTimeout):
            request.get_data()
        return "swallowed"

    @app.post("/swallowed-sync")
    def swallowed_in_thread() -> str:
        with pytest.raises(BodyTimeout):
            request.get_data()
        return "swallowed"

    @app.post("/unread")
    async def unread() -> str:
        return "unread"

    return app


BEGINNINGS: dict[str, list[Message]] = {"nothing": [], "a piece": [part(b"x", more=True)]}
READING = ["/sync", "/async", "/form", "/raw"]


@pytest.mark.parametrize("framing", ["chunked", "length"])
@pytest.mark.parametrize("beginning", BEGINNINGS)
@pytest.mark.parametrize("path", READING)
@pytest.mark.parametrize("bridged", [False, True], ids=["direct", "bridged"])
async def test_it_is_408_and_the_connection_ends(
    path: str, beginning: str, framing: str, bridged: bool
) -> None:
    seen: list[t.Any] = []
    app = make_app(seen)
    if bridged:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    framed = CHUNKED if framing == "chunked" else [(b"content-length", b"100000")]
    kind = (b"content-type", b"application/x-www-form-urlencoded")
    played = Played(*BEGINNINGS[beginning])
    await played.play(app, path, "POST", [*framed, kind])
    assert played.status == 408
    assert played.headers[b"connection"] == b"close"
    assert b"did not arrive in time" in played.body
    assert seen == ["torn down"]
    await app._budgets.close()


@pytest.mark.parametrize("path", ["/swallowed", "/swallowed-sync"])
@pytest.mark.parametrize("hooked", [False, True])
async def test_the_connection_ends_whatever_the_view_makes_of_it(path: str, hooked: bool) -> None:
    app = make_app([])
    if hooked:
        app.after_request_funcs[None].append(lambda response: response)
    played = await Played().play(app, path, "POST", CHUNKED)
    assert (played.status, played.body) == (200, b"swallowed")
    assert played.headers[b"connection"] == b"close"
    await app._budgets.close()


async def test_an_error_handler_gets_it() -> None:
    app = make_app([])

    @app.errorhandler(RequestTimeout)
    async def handle(error: RequestTimeout) -> tuple[str, int]:
        return type(error).__name__, 408

    played = await Played().play(app, "/raw", "POST", CHUNKED)
    assert (played.status, played.body) == (408, b"BodyTimeout")
    assert played.headers[b"connection"] == b"close"
    await app._budgets.close()


async def test_http_2_has_no_such_header() -> None:
    app = make_app([])
    played = await Played().play(app, "/raw", "POST", CHUNKED, http_version="2")
    assert played.status == 408
    assert b"connection" not in played.headers
    await app._budgets.close()


@pytest.mark.parametrize("path", ["/sync", "/async", "/raw"])
async def test_a_client_that_is_only_slow_has_its_time(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time begins anew with each piece, and is over when it has come."""
    app = make_app([])
    app.config["BODY_TIMEOUT"] = 10.0
    timers: list[Interrupt] = []
    trigger_after = Interrupt.trigger_after

    def note(interrupt: Interrupt, seconds: float) -> None:
        assert seconds == 10.0
        assert all(is_over(timer) for timer in timers)
        timers.append(interrupt)
        trigger_after(interrupt, seconds)

    def is_over(timer: Interrupt) -> bool:
        return not timer.triggered and (timer._timer is None or timer._timer.cancelled())

    pieces = [part(b"%d" % number, more=number < 9) for number in range(10)]
    played = Played()

    async def receive() -> Message:
        await anyio.sleep(0.001)
        return pieces.pop(0) if pieces else await played.receive()

    played.gone.set()
    played.receive = receive  # type: ignore[method-assign]
    monkeypatch.setattr(Interrupt, "trigger_after", note)
    await played.play(app, path, "POST", CHUNKED)
    assert (played.status, played.body) == (200, b"0123456789")
    assert len({*timers}) == 10
    assert all(is_over(timer) for timer in timers)
    await app._budgets.close()


@pytest.mark.parametrize("path", ["/sync", "/async", "/raw"])
async def test_a_loop_that_was_kept_is_not_the_client_s_fault(path: str) -> None:
    """What has come by the time when the loop can look counts, however late that is."""
    app = make_app([])
    played = Played(part(b"x", more=True))
    asked = anyio.Event()
    server, client = socket.socketpair()

    async def receive() -> Message:
        if played.messages:
            return played.messages.pop()
        asked.set()
        await anyio.wait_readable(server)
        return part(server.recv(1))

    async def send_and_keep_the_loop() -> None:
        await asked.wait()
        client.send(b"y")
        time.sleep(0.1)  # noqa: ASYNC251 - it is what this is about

    played.receive = receive  # type: ignore[method-assign]
    with server, client:
        async with anyio.create_task_group() as group:
            group.start_soon(send_and_keep_the_loop)
            await played.play(app, path, "POST", CHUNKED)
    assert (played.status, played.body) == (200, b"xy")
    await app._budgets.close()


@pytest.mark.parametrize("path", ["/sync", "/async", "/raw"])
async def test_none_is_for_ever(path: str) -> None:
    app = make_app([])
    app.config["BODY_TIMEOUT"] = None
    played = Played(part(b"x", more=True))
    async with anyio.create_task_group() as group:
        group.start_soon(played.play, app, path, "POST", CHUNKED)
        await played.asked.wait()
        await anyio.sleep(0.2)
        assert played.sent == []
        played.gone.set()
    assert played.status == 400  # the client has left
    await app._budgets.close()


async def test_what_is_there_needs_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(interrupt: Interrupt, seconds: float) -> None:
        raise AssertionError("a timer was set")

    app = make_app([])
    monkeypatch.setattr(Interrupt, "trigger_after", fail)
    played = await Played(part(b"a", more=True), part(b"b")).play(app, "/async", "POST", CHUNKED)
    assert played.body == b"ab"
    await app._budgets.close()


async def test_a_streamed_response_goes_on_without_the_body() -> None:
    app = make_app([])

    @app.post("/echo", stream_body=True)
    async def echo() -> Response:
        async def body() -> AsyncIterator[bytes]:
            yield b"<"
            try:
                async for chunk in t.cast("AsyncIterator[bytes]", request.stream):
                    yield chunk
            except BodyTimeout:
                yield b"?"

        return Response(body())

    played = await Played(part(b"x", more=True)).play(app, "/echo", "POST", CHUNKED)
    assert played.body == b"<x?"
    await app._budgets.close()
