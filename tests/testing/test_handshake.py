"""The opening of a websocket: what the app is told, and how it may answer."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from asyncflask.testing import AsyncClient, WebSocketRefused

from . import apps
from .apps import accept, echo_messages, settle

pytestmark = pytest.mark.anyio

echoing = AsyncClient(apps.websocket(echo_messages))


class Seen:
    """An app that notes the scope, and accepts."""

    def __init__(self) -> None:
        self.scope: t.Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        await receive()
        await accept(send)
        await receive()

    @property
    def headers(self) -> httpx.Headers:
        return httpx.Headers(self.scope["headers"])


class TestHandshake:
    async def test_scope(self) -> None:
        app = Seen()
        client = AsyncClient(app, root_path="/root", client=("1.2.3.4", 5), headers={"X-A": "b"})
        async with client.websocket("/a%20b/%C3%A9?x=1&y", subprotocols=["chat", "v2"]):
            pass
        headers = dict(app.scope.pop("headers"))
        assert app.scope == {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "server": ("localhost", 80),
            "client": ("1.2.3.4", 5),
            "scheme": "ws",
            "root_path": "/root",
            "path": "/root/a b/é",
            "raw_path": b"/root/a%20b/%C3%A9",
            "query_string": b"x=1&y",
            "subprotocols": ["chat", "v2"],
            "extensions": {"websocket.http.response": {}},
            "state": {},
        }
        assert headers[b"host"] == b"localhost"
        assert headers[b"x-a"] == b"b"
        assert headers[b"connection"] == b"Upgrade"
        assert headers[b"upgrade"] == b"websocket"
        assert headers[b"sec-websocket-version"] == b"13"
        assert len(headers[b"sec-websocket-key"]) == 24
        assert headers[b"sec-websocket-protocol"] == b"chat, v2"

    @pytest.mark.parametrize(
        ("url", "scheme", "server"),
        [
            ("/", "ws", ("localhost", 80)),
            ("ws://host.org/", "ws", ("host.org", 80)),
            ("wss://host.org/", "wss", ("host.org", 443)),
            ("http://host.org:81/", "ws", ("host.org", 81)),
            ("https://host.org/", "wss", ("host.org", 443)),
        ],
    )
    async def test_urls(self, url: str, scheme: str, server: tuple[str, int]) -> None:
        app = Seen()
        async with AsyncClient(app).websocket(url) as ws:
            assert ws.response.request.url.scheme == scheme
        assert (app.scope["scheme"], app.scope["server"]) == (scheme, server)

    async def test_is_relative_to_the_base_url(self) -> None:
        app = Seen()
        async with AsyncClient(app, base_url="https://host.org/api").websocket(
            "/ws", params={"a": "b c"}
        ):
            pass
        assert app.scope["scheme"] == "wss"
        assert app.scope["path"] == "/api/ws"
        assert app.scope["query_string"] == b"a=b+c"

    async def test_auth_and_hooks_are_those_of_the_client(self) -> None:
        app, seen = Seen(), list[t.Any]()

        async def hook(message: t.Any) -> None:
            seen.append(type(message))

        hooks: t.Any = {"request": [hook], "response": [hook]}
        client = AsyncClient(app, auth=("ada", "secret"), event_hooks=hooks)
        async with client.websocket("/"):
            assert app.headers["authorization"].startswith("Basic ")
        async with client.websocket("/", auth=None):
            assert "authorization" not in app.headers
        assert seen == [httpx.Request, httpx.Response] * 2

    async def test_a_digest_is_answered(self) -> None:
        async def app(ws: WebSocket) -> None:
            if "authorization" in ws.headers:
                await ws.accept()
                await ws.receive()
            else:
                told = {"WWW-Authenticate": 'Digest realm="r", nonce="n", algorithm=MD5'}
                await ws.send_denial_response(PlainTextResponse("who?", 401, told))

        client = AsyncClient(Starlette(routes=[WebSocketRoute("/", app)]))
        async with client.websocket("/", auth=httpx.DigestAuth("ada", "secret")) as ws:
            assert [each.status_code for each in ws.response.history] == [401]

    async def test_cookies_come_and_go(self) -> None:
        cookies: list[str | None] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            cookies.append(httpx.Headers(scope["headers"]).get("cookie"))
            await accept(send, None, (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2; Path=/x"))
            await receive()

        client = AsyncClient(apps.websocket(app), cookies={"c": "3"})
        for _ in range(2):
            async with client.websocket("/"):
                pass
        assert cookies == ["c=3", "c=3; a=1"]
        assert client.cookies["b"] == "2"

    @pytest.mark.parametrize("value", ["x\r\ny: z", "x\ny", "x\0"])
    async def test_headers_cannot_be_injected(self, value: str) -> None:
        with pytest.raises(httpx.LocalProtocolError, match="CR, LF or NUL"):
            await echoing.websocket("/", headers={"X": value}).__aenter__()
        with pytest.raises(httpx.LocalProtocolError, match="to be a token"):
            await echoing.websocket("/", headers={value: "x"}).__aenter__()

    @pytest.mark.parametrize("names", [["a b"], ["a,b"], [""], ["é"], ["a", "a"], ["a\r\nb: c"]])
    async def test_subprotocols_are_tokens(self, names: list[str]) -> None:
        with pytest.raises(httpx.LocalProtocolError, match="subprotocol"):
            echoing.websocket("/", subprotocols=names)

    async def test_urls_that_are_none(self) -> None:
        with pytest.raises(httpx.InvalidURL):
            echoing.websocket("/\r\nx")
        with pytest.raises(httpx.UnsupportedProtocol, match="ftp://host/ is no URL"):
            echoing.websocket("ftp://host/")

    async def test_subprotocol_and_headers_of_the_acceptance(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await accept(send, "v2", (b"x-room", b"1"))
            await receive()

        client = AsyncClient(apps.websocket(app))
        async with client.websocket("/", subprotocols=["v1", "v2"]) as ws:
            assert ws.accepted_subprotocol == "v2"
            assert ws.response.status_code == 101
            assert ws.response_headers["x-room"] == "1"
            assert ws.response_headers["sec-websocket-protocol"] == "v2"
        with pytest.raises(httpx.RemoteProtocolError, match=r"'v2' out of \['v1'\]"):
            async with client.websocket("/", subprotocols=["v1"]):
                pass

    async def test_without_a_subprotocol(self) -> None:
        async with echoing.websocket("/", subprotocols=["v1"]) as ws:
            assert ws.accepted_subprotocol is None
            assert (ws.close_code, ws.close_reason) == (None, None)

    async def test_the_timeout_bounds_it(self) -> None:
        steps: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            steps.append(str(await receive()))

        with pytest.raises(httpx.ReadTimeout):
            async with AsyncClient(apps.websocket(app)).websocket("/", timeout=0.01):
                pass
        assert steps == ["{'type': 'websocket.disconnect', 'code': 1006, 'reason': ''}"]

    async def test_cancelling_it_ends_the_app(self) -> None:
        waiting, ended = anyio.Event(), anyio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            waiting.set()
            await receive()
            ended.set()

        async with anyio.create_task_group() as group:
            group.start_soon(AsyncClient(apps.websocket(app)).websocket("/").__aenter__)
            await waiting.wait()
            group.cancel_scope.cancel()
        assert ended.is_set()

    async def test_is_made_once(self) -> None:
        ws = echoing.websocket("/")
        with pytest.raises(RuntimeError, match="Use it in a block"):
            await ws.send("x")
        async with ws:
            pass
        with pytest.raises(RuntimeError, match="opened once"):
            await ws.__aenter__()


class TestRefusal:
    async def test_by_closing(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "websocket.close", "code": 4000, "reason": "nobody hears"})

        with pytest.raises(WebSocketRefused, match="ws://localhost/ with 403 Forbidden") as caught:
            async with AsyncClient(apps.websocket(app)).websocket("/"):
                pass
        assert caught.value.response.status_code == 403
        assert caught.value.response.content == b""

    async def test_by_a_response(self) -> None:
        async def pieces() -> AsyncIterator[str]:
            yield "not "
            yield "here"

        async def app(ws: WebSocket) -> None:
            response = StreamingResponse(pieces(), 404, {"x-a": "b", "set-cookie": "c=d"})
            await ws.send_denial_response(response)

        client = AsyncClient(Starlette(routes=[WebSocketRoute("/", app)]))
        with pytest.raises(WebSocketRefused) as caught:
            async with client.websocket("/"):
                pass
        response = caught.value.response
        assert (response.status_code, response.text) == (404, "not here")
        assert response.headers["x-a"] == "b"
        assert response.request.url == "ws://localhost/"
        assert client.cookies["c"] == "d"

    async def test_redirects_are_not_followed(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            headers = [(b"location", b"/other")]
            start = {"type": "websocket.http.response.start", "status": 307, "headers": headers}
            await send(start)
            await send({"type": "websocket.http.response.body"})

        client = AsyncClient(apps.websocket(app), follow_redirects=True)
        with pytest.raises(WebSocketRefused, match="307"):
            async with client.websocket("/"):
                pass

    async def test_the_app_finishes_its_work(self) -> None:
        steps: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "websocket.close"})
            await settle()
            steps.append("done")

        with pytest.raises(WebSocketRefused):
            async with AsyncClient(apps.websocket(app)).websocket("/"):
                pass
        assert steps == ["done"]

    @pytest.mark.parametrize("state", ["answering", "completing its answer to"])
    async def test_no_answer(self, state: str) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if state != "answering":
                start = {"type": "websocket.http.response.start", "status": 400, "headers": []}
                await send(start)

        with pytest.raises(RuntimeError, match=f"without {state} the handshake of /x"):
            async with AsyncClient(apps.websocket(app)).websocket("/x"):
                pass
        client = AsyncClient(apps.websocket(app), raise_app_exceptions=False)
        with pytest.raises(WebSocketRefused, match="500 Internal Server Error"):
            async with client.websocket("/x"):
                pass

    async def test_an_error_before_the_answer(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise LookupError("boom")

        with pytest.raises(LookupError, match="boom"):
            async with AsyncClient(apps.websocket(app)).websocket("/"):
                pass
        client = AsyncClient(apps.websocket(app), raise_app_exceptions=False)
        with pytest.raises(WebSocketRefused) as caught:
            async with client.websocket("/"):
                pass
        assert caught.value.response.status_code == 500
