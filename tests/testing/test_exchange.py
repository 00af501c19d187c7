"""What the app may send, when it is told that the client is gone, and what its errors become."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from asyncflask.testing import AsyncClient

from .apps import HTTPX_LEAVES_GENERATORS, body, chunks_of, hello, http, settle, start

pytestmark = pytest.mark.anyio


class TestExtensions:
    async def test_pathsend(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"0123456789" * 20_000)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await start(send, 200, (b"content-length", b"200000"))
            await send({"type": "http.response.pathsend", "path": str(path)})

        client = AsyncClient(http(app), extensions={"http.response.pathsend": {}})
        assert (await client.get("/")).content == path.read_bytes()
        assert (await client.head("/")).content == b""
        with pytest.raises(RuntimeError, match="no place here"):
            await AsyncClient(http(app)).get("/")

    async def test_pathsend_stops_with_the_client(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"0123456789" * 20_000)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await start(send)
            await send({"type": "http.response.pathsend", "path": str(path)})

        client = AsyncClient(http(app), extensions={"http.response.pathsend": {}})
        async with client.stream("GET", "/"):
            pass

    async def test_early_hints(self) -> None:
        hint = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(hint)
            await hello(scope, receive, send)

        client = AsyncClient(http(app), extensions={"http.response.early_hint": {}})
        assert (await client.get("/")).extensions["asgi_messages"] == [hint]

    async def test_trailers_are_dropped(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await start(send, trailers=True)
            await body(send, b"x")
            await send({"type": "http.response.trailers", "headers": [(b"x", b"y")]})

        assert (await AsyncClient(http(app)).get("/")).content == b"x"


class TestDisconnect:
    async def test_is_seen_by_receive(self) -> None:
        seen: list[Message] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await start(send)
            seen.append(await receive())
            await body(send, b"nobody", more_body=True)  # goes nowhere, silently
            seen.append(await receive())

        async with AsyncClient(http(app)).stream("GET", "/"):
            await settle()
            assert seen == []
        assert seen == [{"type": "http.disconnect"}] * 2

    async def test_wakes_an_app_that_waits_for_the_reader(self) -> None:
        steps: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await start(send)
            await body(send, b"x" * 10, more_body=True)
            steps.append("woken")

        async with AsyncClient(http(app)).stream("GET", "/"):
            await settle()
            assert steps == []
        assert steps == ["woken"]

    async def test_cancels_an_app_that_does_not_listen(self) -> None:
        steps: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await start(send)
            try:
                await anyio.sleep_forever()
            finally:
                steps.append("cancelled")

        async with AsyncClient(http(app), disconnect_grace=0.01).stream("GET", "/"):
            pass
        assert steps == ["cancelled"]

    async def test_cancels_an_app_that_sends_for_ever(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await start(send)
            while True:
                await body(send, b"x", more_body=True)

        async with AsyncClient(http(app), disconnect_grace=0.01).stream("GET", "/"):
            pass

    @HTTPX_LEAVES_GENERATORS
    async def test_ends_a_starlette_stream(self) -> None:
        steps: list[str] = []

        async def ticks() -> AsyncIterator[str]:
            try:
                while True:
                    yield "tick"
                    await anyio.lowlevel.checkpoint()
            finally:
                steps.append("closed")

        async def view(request: Request) -> StreamingResponse:
            generators.append(ticks())
            return StreamingResponse(generators[-1])

        generators: list[Any] = []
        async with AsyncClient(Starlette(routes=[Route("/", view)])) as client:
            async with (
                client.stream("GET", "/") as response,
                aclosing(chunks_of(response)) as chunks,
            ):
                assert await anext(chunks) == b"tick"
            await generators[0].aclose()
        assert steps == ["closed"]

    async def test_closing_the_client_closes_what_is_open(self) -> None:
        seen: list[Message] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await start(send)
            await receive()
            seen.append(await receive())

        async with AsyncClient(http(app)) as client:
            for _ in range(2):
                await client.send(client.build_request("GET", "/"), stream=True)
        assert seen == [{"type": "http.disconnect"}] * 2

    async def test_cancelling_the_request_ends_the_app(self) -> None:
        waiting = anyio.Event()
        steps: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            waiting.set()
            steps.append((await receive())["type"])

        async with anyio.create_task_group() as group:
            group.start_soon(AsyncClient(http(app)).get, "/")
            await waiting.wait()
            group.cancel_scope.cancel()
        assert steps == ["http.disconnect"]

    async def test_cancelling_in_the_body_ends_the_app(self) -> None:
        ended = anyio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await start(send)
                await receive()
                around.cancel()
                await receive()
            finally:
                ended.set()

        with anyio.CancelScope() as around:
            await AsyncClient(http(app)).get("/")
        assert ended.is_set()

    async def test_errors_of_the_app_after_it_come_out(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await start(send)
            await receive()
            await receive()
            raise ValueError("in the cleanup")

        with pytest.raises(ValueError, match="in the cleanup"):
            async with AsyncClient(http(app)).stream("GET", "/"):
                pass
        async with AsyncClient(http(app), raise_app_exceptions=False).stream("GET", "/"):
            pass


class TestErrors:
    async def test_before_the_response(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise LookupError("boom")

        with pytest.raises(LookupError, match="boom"):
            await AsyncClient(http(app)).get("/")
        response = await AsyncClient(http(app), raise_app_exceptions=False).get("/")
        assert (response.status_code, response.text) == (500, "Internal Server Error")

    async def test_in_the_body(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await start(send)
            await body(send, b"one", more_body=True)
            raise LookupError("boom")

        with pytest.raises(LookupError, match="boom"):
            await AsyncClient(http(app)).get("/")
        chunks: list[bytes] = []

        async def read() -> None:
            async with AsyncClient(http(app)).stream("GET", "/") as response:
                async for chunk in response.aiter_raw():
                    chunks.append(chunk)  # noqa: PERF401  # up to the error

        with pytest.raises(LookupError, match="boom"):
            await read()
        assert chunks == [b"one"]
        with pytest.raises(httpx.RemoteProtocolError):
            await AsyncClient(http(app), raise_app_exceptions=False).get("/")

    async def test_after_the_response(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await hello(scope, receive, send)
            raise LookupError("in the teardown")

        with pytest.raises(LookupError, match="in the teardown"):
            await AsyncClient(http(app)).get("/")
        client = AsyncClient(http(app), raise_app_exceptions=False)
        assert (await client.get("/")).text == "hello"

    async def test_groups_stay_as_they_are(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise ExceptionGroup("two", [ValueError(1), TypeError(2)])

        with pytest.raises(ExceptionGroup) as caught:
            await AsyncClient(http(app)).get("/")
        assert len(caught.value.exceptions) == 2

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
    async def test_exits_always_come_out(self, error: BaseException) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise error

        with pytest.raises(type(error)):
            await AsyncClient(http(app), raise_app_exceptions=False).get("/")

    @pytest.mark.parametrize("started", [False, True])
    async def test_app_that_does_not_finish(self, started: bool) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if started:
                await start(send)

        with pytest.raises(
            RuntimeError, match="without completing" if started else "without starting"
        ):
            await AsyncClient(http(app)).get("/")
        quiet = AsyncClient(http(app), raise_app_exceptions=False)
        if started:
            with pytest.raises(httpx.RemoteProtocolError):
                await quiet.get("/")
        else:
            assert (await quiet.get("/")).status_code == 500

    @pytest.mark.parametrize(
        "messages",
        [
            ["body"],
            ["start", "start"],
            ["start", "last", "last"],
            ["start", "last", "start"],
            ["trailers"],
            ["start", "trailers"],
            ["start", "last", "trailers"],
            ["hint"],
            ["start", "hint"],
            ["path"],
            ["start", "path"],
            ["websocket.accept"],
        ],
    )
    @pytest.mark.parametrize("offered", [False, True])
    async def test_messages_out_of_order(self, messages: list[str], offered: bool) -> None:
        known: dict[str, Message] = {
            "start": {"type": "http.response.start", "status": 200},
            "body": {"type": "http.response.body", "more_body": True},
            "last": {"type": "http.response.body"},
            "trailers": {"type": "http.response.trailers"},
            "hint": {"type": "http.response.early_hint"},
            "path": {"type": "http.response.pathsend", "path": "/nowhere"},
        }
        allowed = offered and messages in (["hint"], ["start", "path"])

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            for name in messages[:-1]:
                await send(known[name])
            if allowed:
                raise RuntimeError("no place here")
            await send(known.get(messages[-1], {"type": messages[-1]}))

        names = ("http.response.early_hint", "http.response.pathsend") if offered else ()
        with pytest.raises(RuntimeError, match="no place here"):
            await AsyncClient(http(app), extensions={name: {} for name in names}).get("/")

    @pytest.mark.parametrize(
        ("content", "match"), [(b"1234", "1 bytes before"), (b"123456", "longer")]
    )
    async def test_content_length_is_held_to(self, content: bytes, match: str) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await start(send, 200, (b"Content-Length", b"5"))
            await body(send, content)

        with pytest.raises(RuntimeError, match=match):
            await AsyncClient(http(app)).get("/")

    async def test_headers_are_bytes(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [("a", "b")]})

        with pytest.raises(TypeError, match="pairs of bytes"):
            await AsyncClient(http(app)).get("/")

    async def test_read_timeout(self) -> None:
        ended: list[bool] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                if scope["path"] == "/body":
                    await start(send)
                await receive()
                await receive()
            finally:
                ended.append(True)

        client = AsyncClient(http(app), timeout=0.01)
        for path in ("/", "/body"):
            with pytest.raises(httpx.ReadTimeout, match=r"0\.01 seconds"):
                await client.get(path)
        assert ended == [True, True]
