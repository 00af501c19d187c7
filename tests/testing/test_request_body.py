"""How a request's body reaches the app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from asyncflask.testing import AsyncClient

from .apps import body, hello, http, receive_types, settle, start

pytestmark = pytest.mark.anyio


class TestRequestBody:
    async def receive_all(self, **request: Any) -> list[Message]:
        messages: list[Message] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            messages.append(await receive())
            while messages[-1]["more_body"]:
                messages.append(await receive())
            await hello(scope, receive, send)
            messages.append(await receive())

        await AsyncClient(http(app)).post("/", **request)
        assert messages.pop() == {"type": "http.disconnect"}
        assert [message["more_body"] for message in messages] == [True] * (len(messages) - 1) + [
            False
        ]
        return messages

    @pytest.mark.parametrize("content", [b"", b"x", b"x" * 65536])
    async def test_small_one_is_one_message(self, content: bytes) -> None:
        messages = await self.receive_all(content=content)
        assert messages == [{"type": "http.request", "body": content, "more_body": False}]

    async def test_large_one_is_several(self) -> None:
        content = bytes(range(256)) * 600
        messages = await self.receive_all(content=content)
        assert [len(message["body"]) for message in messages] == [65536, 65536, 22528]
        assert b"".join(message["body"] for message in messages) == content

    async def test_iterable_keeps_its_chunks(self) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"one"
            yield b""
            yield b"two"

        messages = await self.receive_all(content=chunks())
        assert [message["body"] for message in messages] == [b"one", b"", b"two", b""]

    async def test_form_files_and_json(self, tmp_path: Path) -> None:
        async def view(request: Request) -> JSONResponse:
            if request.headers["content-type"] == "application/json":
                return JSONResponse(await request.json())
            raw = await request.body()
            return JSONResponse([request.headers["content-type"].partition(";")[0], raw.decode()])

        app = Starlette(routes=[Route("/", view, methods=["POST"])])
        async with AsyncClient(app) as client:
            assert (await client.post("/", json={"a": [1]})).json() == {"a": [1]}
            response = await client.post("/", data={"a": "b c"})
            assert response.json() == ["application/x-www-form-urlencoded", "a=b+c"]
            path = tmp_path / "file.txt"
            path.write_text("content of the file")
            with path.open("rb") as file:
                response = await client.post("/", data={"a": "b"}, files={"f": file})
            kind, text = response.json()
            assert kind == "multipart/form-data"
            assert "content of the file" in text

    async def test_pulls_nothing_before_it_is_wanted(self) -> None:
        steps: list[str] = []

        async def chunks() -> AsyncIterator[bytes]:
            for n in range(2):
                steps.append(f"pull {n}")
                yield b"%d" % n
            steps.append("end")

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await settle()
            for n in range(3):
                steps.append(f"want {n}")
                await receive()
                await settle()
            await hello(scope, receive, send)

        await AsyncClient(http(app)).post("/", content=chunks())
        assert steps == ["want 0", "pull 0", "want 1", "pull 1", "want 2", "end"]

    async def test_is_left_alone_by_an_app_that_does_not_want_it(self) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            raise AssertionError("pulled")
            yield b""

        assert (await AsyncClient(http(hello)).post("/", content=chunks())).text == "hello"

    async def test_is_closed_if_the_app_does_not_want_the_rest(self) -> None:
        steps: list[str] = []

        async def chunks() -> AsyncIterator[bytes]:
            try:
                yield b"one"
                yield b"two"
            finally:
                await anyio.lowlevel.checkpoint()
                steps.append("closed")

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await hello(scope, receive, send)

        await AsyncClient(http(app)).post("/", content=chunks())
        assert steps == ["closed"]

    async def test_may_hold_cancel_scopes(self) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            with anyio.fail_after(10):
                async with anyio.create_task_group() as group:
                    group.start_soon(anyio.sleep, 0)
                    yield b"one"
                yield b"two"

        messages = await self.receive_all(content=chunks())
        assert [message["body"] for message in messages] == [b"one", b"two", b""]

    async def test_survives_an_app_that_gives_up_waiting(self) -> None:
        go = anyio.Event()

        async def chunks() -> AsyncIterator[bytes]:
            await go.wait()
            yield b"late"

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            with anyio.CancelScope() as scope_:
                async with anyio.create_task_group() as group:
                    group.start_soon(receive_types, receive, 1)
                    await settle()
                    scope_.cancel()
            go.set()
            message = await receive()
            await start(send)
            await body(send, message["body"])

        assert (await AsyncClient(http(app)).post("/", content=chunks())).content == b"late"

    async def test_may_be_received_by_several_tasks(self) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for n in range(4):
                await anyio.lowlevel.checkpoint()
                yield b"%d" % n

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            parts: list[bytes] = []

            async def one() -> None:
                parts.append((await receive())["body"])

            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(one)
            await start(send)
            await body(send, b"".join(sorted(parts)))

        assert (await AsyncClient(http(app)).post("/", content=chunks())).content == b"0123"

    @pytest.mark.parametrize("started", [False, True])
    async def test_failure_of_the_iterable_is_a_disconnect(self, started: bool) -> None:
        seen: list[str] = []

        async def chunks() -> AsyncIterator[bytes]:
            yield b"one"
            raise LookupError("the client's own")

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if started:
                await start(send)
            seen.extend(await receive_types(receive, 3))
            raise ValueError("because of that")

        for raise_app_exceptions in (True, False):
            client = AsyncClient(http(app), raise_app_exceptions=raise_app_exceptions)
            with pytest.raises(LookupError, match="the client's own"):
                await client.post("/", content=chunks())
        assert (
            seen
            == [
                "http.request",
                "http.disconnect",
                "http.disconnect",
            ]
            * 2
        )

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_after_the_last_message_comes_the_disconnect(self, streamed: bool) -> None:
        seen: list[str] = []

        async def chunks() -> AsyncIterator[bytes]:
            yield b"one"

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await start(send)
            seen.extend(await receive_types(receive, 3 if streamed else 2))

        content = chunks() if streamed else b"one"
        async with AsyncClient(http(app)).stream("POST", "/", content=content):
            await settle()
        assert seen == ["http.request"] * (1 + streamed) + ["http.disconnect"]

    async def test_a_disconnect_ends_the_wait_for_the_next_chunk(self) -> None:
        seen: list[str] = []

        async def chunks() -> AsyncIterator[bytes]:
            await anyio.sleep_forever()
            yield b""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await start(send)
            seen.extend(await receive_types(receive, 1))

        client = AsyncClient(http(app), disconnect_grace=20)
        async with client.stream("POST", "/", content=chunks()):
            await settle()
        assert seen == ["http.disconnect"]

    async def test_failure_of_the_iterable_ends_a_deaf_app(self) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            raise LookupError("the client's own")
            yield b""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await anyio.sleep_forever()

        client = AsyncClient(http(app), disconnect_grace=0.01)
        with pytest.raises(LookupError):
            await client.post("/", content=chunks())
