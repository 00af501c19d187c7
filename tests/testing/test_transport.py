"""The transport, against plain ASGI callables and Starlette apps."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing

import anyio
import anyio.lowlevel
import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from asyncflask.testing import AsyncClient

from .apps import HTTPX_LEAVES_GENERATORS, body, chunks_of, echo, hello, http, settle, start

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("header", [("X", "a\r\nb: c"), ("X", "\0"), ("X Y", "z"), ("", "z")])
async def test_headers_that_cannot_be_sent(header: tuple[str, str]) -> None:
    with pytest.raises(httpx.LocalProtocolError, match="cannot be sent"):
        await AsyncClient(http(hello)).get("/", headers=[header])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        name, value = header
        await start(send, 200, (name.encode(), value.encode()))

    with pytest.raises(ValueError, match="cannot be sent"):
        await AsyncClient(http(app)).get("/")


class TestScope:
    async def test_is_that_of_uvicorn(self) -> None:
        seen: list[Scope] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope)
            await hello(scope, receive, send)

        async with AsyncClient(http(app)) as client:
            await client.get(
                "/a%20b/%C3%A9%2Fx?q=%20a&b",
                headers=[("X-Two", "1"), ("X-Two", "2"), ("accept", "x/y")],
            )
        (scope,) = seen
        headers = scope.pop("headers")
        assert scope == {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/a b/é/x",
            "raw_path": b"/a%20b/%C3%A9%2Fx",
            "query_string": b"q=%20a&b",
            "root_path": "",
            "client": ("127.0.0.1", 123),
            "server": ("localhost", 80),
            "state": {},
        }
        assert headers[0] == (b"host", b"localhost")
        assert [pair for pair in headers if pair[0] == b"x-two"] == [
            (b"x-two", b"1"),
            (b"x-two", b"2"),
        ]
        assert all(isinstance(name, bytes) and name == name.lower() for name, _ in headers)

    async def test_takes_the_client_s_parameters(self) -> None:
        seen: list[Scope] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope)
            await hello(scope, receive, send)

        client = AsyncClient(
            http(app),
            root_path="/mount",
            client=("10.0.0.1", 4),
            base_url="https://example.org:8443/base",
            extensions={"http.response.pathsend": {}},
        )
        await client.get("x")
        await client.get("https://other.org/y")
        (first, second) = seen
        assert first["path"] == "/mount/base/x"
        assert first["raw_path"] == b"/mount/base/x"
        assert (first["root_path"], first["scheme"]) == ("/mount", "https")
        assert (first["client"], first["server"]) == (("10.0.0.1", 4), ("example.org", 8443))
        assert first["extensions"] == {"http.response.pathsend": {}}
        assert second["server"] == ("other.org", 443)


class TestResponse:
    async def test_is_what_the_app_sends(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await start(
                send, 418, (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x", b"\xe9")
            )
            await body(send, b"one ", more_body=True)
            await body(send, b"", more_body=True)
            await body(send, b"two")

        response = await AsyncClient(http(app)).get("/")
        assert response.status_code == 418
        assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
        assert response.content == b"one two"
        assert response.http_version == "HTTP/1.1"
        assert response.extensions["asgi_messages"] == []

    async def test_is_there_before_its_body(self) -> None:
        steps: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await start(send)
            for n in range(3):
                await body(send, b"%d" % n, more_body=True)
                steps.append(f"sent {n}")
            await body(send)

        async with AsyncClient(http(app)).stream("GET", "/") as response:
            await settle()
            steps.append("started")
            async for chunk in response.aiter_raw():
                steps.append(f"read {chunk.decode()}")
                await settle()
        assert steps.pop(0) == "started"
        # A chunk counts as sent when it is taken: the app is never more than one chunk ahead.
        ahead = 0
        for step in steps:
            ahead += 1 if step.startswith("sent") else -1
            assert -1 <= ahead <= 1
        assert len(steps) == 6

    @HTTPX_LEAVES_GENERATORS
    async def test_may_be_endless(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await start(send)
            while not gone.is_set():
                await body(send, b"tick", more_body=True)

        gone = anyio.Event()
        async with AsyncClient(http(app)).stream("GET", "/") as response:
            async with aclosing(chunks_of(response)) as chunks:
                assert [await anext(chunks) for _ in range(3)] == [b"tick"] * 3
            gone.set()

    async def test_full_duplex(self) -> None:
        send_chunk, receive_chunk = anyio.create_memory_object_stream[bytes](0)

        async def chunks() -> AsyncIterator[bytes]:
            async with receive_chunk:
                async for chunk in receive_chunk:
                    yield chunk

        client = AsyncClient(http(echo))
        async with (
            client.stream("POST", "/", content=chunks()) as response,
            aclosing(chunks_of(response)) as answers,
        ):
            for question in (b"one", b"two", b"three"):
                await send_chunk.send(question)
                assert await anext(answers) == question
            send_chunk.close()
            assert [chunk async for chunk in answers] == []

    async def test_head_and_empty_ones(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await start(send, int(scope["path"][1:]), (b"content-length", b"5"))
            await body(send, b"" if scope["path"] == "/304" else b"hello")

        client = AsyncClient(http(app))
        response = await client.head("/200")
        assert (response.content, response.headers["content-length"]) == (b"", "5")
        assert (await client.get("/304")).content == b""

    @HTTPX_LEAVES_GENERATORS
    async def test_ends_when_the_app_does(self) -> None:
        steps: list[str] = []

        async def later() -> None:
            await settle()
            steps.append("background task")

        async def view(request: Request) -> PlainTextResponse:
            return PlainTextResponse("x", background=BackgroundTask(later))

        async with AsyncClient(Starlette(routes=[Route("/", view)])) as client:
            await client.get("/")
            assert steps == ["background task"]
            async with client.stream("GET", "/") as response:
                await anext(aiter(response.stream))  # type: ignore[arg-type]
            assert steps == ["background task"] * 2

    async def test_middleware_cookies_and_redirects(self) -> None:
        async def login(request: Request) -> RedirectResponse:
            response = RedirectResponse("/home", 303)
            response.set_cookie("user", "ada")
            return response

        async def home(request: Request) -> PlainTextResponse:
            return PlainTextResponse(f"{request.method} {request.cookies.get('user')} " * 100)

        app = Starlette(routes=[Route("/login", login, methods=["POST"]), Route("/home", home)])
        app.add_middleware(GZipMiddleware, minimum_size=10)
        async with AsyncClient(app, follow_redirects=True) as client:
            response = await client.post("/login", data={"a": "b"})
            assert response.text == "GET ada " * 100
            assert response.headers["content-encoding"] == "gzip"
            assert [r.status_code for r in response.history] == [303]
            assert dict(client.cookies) == {"user": "ada"}

    async def test_requests_run_side_by_side(self) -> None:
        barrier = anyio.Event()
        waiting = 0

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal waiting
            waiting += 1
            if waiting == 10:
                barrier.set()
            await barrier.wait()
            await hello(scope, receive, send)

        answers: list[str] = []

        async def get() -> None:
            answers.append((await client.get("/")).text)

        async with AsyncClient(http(app)) as client, anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(get)
        assert answers == ["hello"] * 10

    async def test_may_be_closed_in_any_order(self) -> None:
        client = AsyncClient(http(echo))
        responses = [
            await client.send(client.build_request("POST", "/", content=b"x"), stream=True)
            for _ in range(3)
        ]
        for response in (responses[1], responses[0], responses[2]):
            await response.aread()
            await response.aclose()

    async def test_may_be_closed_in_another_task(self) -> None:
        client = AsyncClient(http(echo))
        request = client.build_request("POST", "/", content=b"x")
        response = await client.send(request, stream=True)
        async with anyio.create_task_group() as group:
            group.start_soon(response.aclose)


async def test_works_on_a_json_api_without_a_block() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        data = json.loads((await receive())["body"])
        await start(send, 200, (b"content-type", b"application/json"))
        await body(send, json.dumps({"got": data}).encode())

    client = AsyncClient(http(app))
    assert [(await client.post("/", json=n)).json() for n in range(3)] == [
        {"got": n} for n in range(3)
    ]
