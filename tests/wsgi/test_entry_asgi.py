"""ASGI applications whose answers a WSGI server sends: from views, and mounted."""

from __future__ import annotations

import asyncio
import threading
import typing as t
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from asyncflask import Flask, request
from asyncflask import Response as OurResponse
from asyncflask.wsgi.asgi import call, make_scope, open_answer

from .servers import PATIENCE, Play, ask, make_environ, validated

Scope = t.MutableMapping[str, t.Any]
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/x")]}


def wsgi(asgi_app: t.Any) -> t.Any:
    """Return an ASGI application as a WSGI application."""
    return lambda environ, start_response: call(asgi_app, environ, start_response)


def serving(value: t.Callable[[], t.Any]) -> Flask:
    """Return an app that answers with what a function returns."""
    app = Flask(__name__)
    app.add_url_rule("/", view_func=value, methods=["GET", "POST"])
    return app


def test_streamed_while_it_is_made() -> None:
    go = threading.Event()

    async def pieces() -> AsyncIterator[str]:
        yield "first"
        await asyncio.to_thread(go.wait, PATIENCE)
        yield "last"

    opened = Play(serving(lambda: StreamingResponse(pieces())), make_environ()).open()
    chunks = iter(opened)
    assert next(chunks) == b"first"
    go.set()
    assert b"".join(chunks) == b"last"
    opened.close()


def test_the_maker_waits_for_the_taker() -> None:
    made = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal made
        while True:
            made += 10_000
            yield b"x" * 10_000

    opened = Play(serving(lambda: StreamingResponse(pieces())), make_environ()).open()
    chunks, taken = iter(opened), 0
    for _ in range(50):
        taken += len(next(chunks))
        assert made - taken <= 200_000
    opened.close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_background_tasks_run_before_the_teardown(method: str) -> None:
    events: list[str] = []

    async def later() -> None:
        await asyncio.sleep(0)
        events.append(f"background of {request.method}")

    async def pieces() -> AsyncIterator[str]:
        yield "text"

    for make in (
        lambda: JSONResponse({}, background=BackgroundTask(later)),
        lambda: StreamingResponse(pieces(), background=BackgroundTask(later)),
    ):
        app = serving(make)
        app.teardown_request(lambda error: events.append("teardown"))
        ask(app, method)
        assert events == [f"background of {method}", "teardown"]
        events.clear()


def test_a_sync_background_task_does_not_hold_the_body_back() -> None:
    go, ran = threading.Event(), []

    def later() -> None:
        ran.append(go.wait(PATIENCE))

    app = serving(lambda: Response("text", background=BackgroundTask(later)))
    opened = Play(app, make_environ()).open()
    assert b"".join(opened) == b"text"
    assert ran == []
    go.set()
    opened.close()
    assert ran == [True]


def test_hooks_change_the_head(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    app = serving(lambda: FileResponse(tmp_path / "file", headers={"X-Kept": "1", "X-Old": "1"}))

    @app.after_request
    def change(response: OurResponse) -> OurResponse:
        response.headers["X-Old"] = "2"
        response.headers["X-New"] = "3"
        return response

    whole = validated(app)
    assert (whole.status, whole.body) == (200, b"0123456789")
    lowered = {name.lower(): value for name, value in whole.headers.items()}
    assert {lowered[name] for name in ("x-kept", "x-old", "x-new")} == {"1", "2", "3"}
    assert lowered["content-length"] == "10"
    part = validated(app, HTTP_RANGE="bytes=2-4")
    assert (part.status, part.body) == (206, b"234")
    assert any(name.lower() == "content-range" for name in part.headers)


def test_status_of_a_hook_wins() -> None:
    app = serving(lambda: JSONResponse({}, 202))

    @app.after_request
    def change(response: OurResponse) -> OurResponse:
        assert response.status_code == 202
        response.status_code = 299
        return response

    assert ask(app).status == 299


async def echo(scope: Scope, receive: t.Any, send: t.Any) -> None:
    """Send back what is received, as it comes."""
    await send(START)
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"], "more_body": more})


@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_it_receives_the_body(size: int) -> None:
    assert ask(wsgi(echo), "POST", "/", b"x" * size).body == b"x" * size
    assert ask(serving(lambda: echo), "POST", "/", b"x" * size).body == b"x" * size


def test_disconnect_of_a_client_that_leaves() -> None:
    seen: list[str] = []

    async def listening(scope: Scope, receive: t.Any, send: t.Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        seen.append((await receive())["type"])
        seen.append((await receive())["type"])
        with pytest.raises(OSError, match="left"):
            await send({"type": "http.response.body", "body": b"more", "more_body": True})
        seen.append("ended")

    opened = Play(wsgi(listening), make_environ()).open()
    assert next(iter(opened)) == b"first"
    opened.close()
    assert seen == ["http.request", "http.disconnect", "ended"]


def test_an_upload_that_is_cut_off_is_a_disconnect() -> None:
    seen: list[Scope] = []

    async def receiving(scope: Scope, receive: t.Any, send: t.Any) -> None:
        seen.append(await receive())
        seen.append(await receive())
        await send(START)
        await send({"type": "http.response.body", "body": b""})

    ask(wsgi(receiving), "POST", "/", b"half", CONTENT_LENGTH="8")
    assert [message["type"] for message in seen] == ["http.request", "http.disconnect"]
    assert seen[0]["more_body"]


def test_who_does_not_notice_is_cancelled() -> None:
    ended: list[bool] = []

    async def deaf(scope: Scope, receive: t.Any, send: t.Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    opened = Play(wsgi(deaf), make_environ()).open()
    assert next(iter(opened)) == b"first"
    opened.close()
    assert ended == [True]


def test_failures_before_the_answer() -> None:
    async def failing(scope: Scope, receive: t.Any, send: t.Any) -> None:
        raise LookupError("no answer")

    async def silent(scope: Scope, receive: t.Any, send: t.Any) -> None:
        return None

    with pytest.raises(LookupError, match="no answer"):
        ask(wsgi(failing))
    with pytest.raises(RuntimeError, match=r"without sending.*http\.response\.start"):
        ask(wsgi(silent))
    for asgi_app in (failing, silent):
        app = Flask(__name__)
        app.add_url_rule("/", view_func=lambda found=asgi_app: found)
        app.mount("/below", asgi_app, protocol="asgi")
        assert ask(app).status == 500
        assert ask(app, path="/below/").status == 500


def test_failure_in_the_answer_reaches_the_server() -> None:
    async def failing(scope: Scope, receive: t.Any, send: t.Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        raise LookupError("no more")

    opened = Play(wsgi(failing), make_environ()).open()
    chunks = iter(opened)
    assert next(chunks) == b"first"
    with pytest.raises(LookupError, match="no more"):
        next(chunks)
    opened.close()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_the_validator_accepts(method: str) -> None:
    result = validated(wsgi(echo), method, "/", b"abc" if method == "POST" else b"")
    assert result.status == 200
    assert result.body == (b"abc" if method == "POST" else b"")


def test_mounted_and_one_loop_for_all() -> None:
    loops: set[asyncio.AbstractEventLoop] = set()

    async def mounted(scope: Scope, receive: t.Any, send: t.Any) -> None:
        loops.add(asyncio.get_running_loop())
        await send(START)
        path = f"{scope['root_path']} {scope['path']}".encode()
        await send({"type": "http.response.body", "body": path})

    app = Flask(__name__)
    app.mount("/below", mounted, protocol="asgi")
    for _ in range(3):
        assert ask(app, path="/below/it").body == b"/below /below/it"
    assert len(loops) == 1


def test_scope() -> None:
    environ = make_environ(
        "get",
        "/caf\xc3\xa9 x?a=%20",
        SCRIPT_NAME="/root",
        SERVER_PROTOCOL="HTTP/1.0",
        REMOTE_ADDR="10.0.0.1",
        REMOTE_PORT="99",
        CONTENT_TYPE="text/x",
        CONTENT_LENGTH="",
        HTTP_X_MADE="yes",
    )
    scope = make_scope(environ)
    assert (scope["method"], scope["http_version"], scope["root_path"]) == ("GET", "1.0", "/root")
    assert (scope["path"], scope["raw_path"]) == ("/root/caf\xe9 x", b"/root/caf%C3%A9%20x")
    assert scope["query_string"] == b"a=%20"
    assert scope["client"] == ("10.0.0.1", 99)
    assert scope["server"] == ("127.0.0.1", 80)
    headers = dict(scope["headers"])
    assert (headers[b"content-type"], headers[b"x-made"]) == (b"text/x", b"yes")
    assert b"content-length" not in headers


def test_an_answer_that_nobody_iterates_over() -> None:
    answer = open_answer(echo, make_environ())
    answer.close()
    answer.close()
    assert list(answer) == []


def test_a_mounted_wsgi_app_that_fails_after_it_has_started() -> None:
    def failing(environ: t.Any, start_response: t.Any) -> t.NoReturn:
        start_response("200 OK", [("Content-Type", "text/plain")])
        raise LookupError("after the start")

    app = Flask(__name__)
    app.mount("/below", failing, protocol="wsgi")
    result = validated(app, path="/below/")
    assert (result.status, b"Internal Server Error" in result.body) == (500, True)
