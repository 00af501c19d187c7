"""Websockets of the synchronous client: no coroutine in sight."""

from __future__ import annotations

import typing as t

import anyio
import anyio.lowlevel
import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket

from asyncflask import Flask, WebSocketDisconnect, g, request, session, websocket
from asyncflask.testing import EnvironBuilder, FlaskClient, WebSocketRefused


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.config.update(TESTING=True, SECRET_KEY="a secret key for tests")

    @app.websocket("/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    @app.websocket("/sync")
    def sync() -> None:
        for message in websocket:
            websocket.send(message)

    @app.websocket("/user")
    async def user() -> None:
        await websocket.send_json(session.get("user"))

    @app.websocket("/login")
    async def login() -> None:
        await websocket.accept({"Set-Cookie": "seen=1; Path=/"})

    @app.websocket("/handshake/<name>", subdomain="<part>")
    @app.websocket("/handshake/<name>")
    async def handshake(name: str, part: str = "") -> None:
        await websocket.send_json(
            {
                "name": name,
                "part": part,
                "url": request.url,
                "root": request.root_path,
                "address": request.remote_addr,
                "args": request.args,
                "agent": request.headers["User-Agent"],
                "own": request.headers.get("X-Own"),
                "cookies": request.cookies,
                "offered": websocket.requested_subprotocols,
            }
        )

    @app.websocket("/close/<int:code>")
    async def close(code: int) -> None:
        await websocket.send("last")
        await websocket.close(code, "why")

    @app.websocket("/reject")
    async def reject() -> None:
        await websocket.reject(429, {"Retry-After": "3", "Set-Cookie": "late=1"}, "slowly")

    @app.websocket("/boom")
    async def boom() -> None:
        await websocket.receive()
        raise LookupError("boom")

    @app.websocket("/chosen")
    async def chosen() -> None:
        await websocket.accept({"X-Room": "1"}, subprotocol="v2")

    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.mark.parametrize("path", ["/echo", "/sync"])
class TestMessages:
    def test_each_kind_comes_back_as_it_was(self, client: FlaskClient, path: str) -> None:
        with client.websocket(path) as ws:
            for data in ("", "é\u2028\0", b"", b"\0\xff", "x" * 100_000):
                ws.send(data)
                got = ws.receive()
                assert got == data
                assert type(got) is type(data)
            ws.send("x")
            assert ws.receive_text() == "x"
            ws.send(b"x")
            assert ws.receive_bytes() == b"x"
            ws.send_json({"a": [1, None, "é"]})
            assert ws.receive_json() == {"a": [1, None, "é"]}

    def test_all_may_be_sent_before_any_is_received(self, client: FlaskClient, path: str) -> None:
        with client.websocket(path) as ws:
            for number in range(200):
                ws.send(str(number))
            assert [ws.receive() for _ in range(200)] == [*map(str, range(200))]

    def test_timeout(self, client: FlaskClient, path: str) -> None:
        with client.websocket(path) as ws:
            with pytest.raises(TimeoutError, match=r"nothing for 0\.01 seconds"):
                ws.receive(timeout=0.01)
            ws.send("x")
            assert ws.receive(timeout=10) == "x"

    def test_two_at_once_and_requests_meanwhile(
        self, app: Flask, client: FlaskClient, path: str
    ) -> None:
        app.add_url_rule("/", view_func=lambda: "page")
        with client.websocket(path) as one, client.websocket(path) as two:
            one.send("1")
            two.send("2")
            assert client.get("/").text == "page"
            assert (two.receive(), one.receive()) == ("2", "1")

    def test_left_by_the_client(self, client: FlaskClient, path: str) -> None:
        with client.websocket(path) as ws:
            ws.close(3000, "bye")
            assert (ws.close_code, ws.close_reason) == (3000, "bye")
            with pytest.raises(WebSocketDisconnect, match="3000"):
                ws.receive()
            with pytest.raises(WebSocketDisconnect, match="3000"):
                ws.send("x")
        with client.websocket(path) as ws:
            assert ws.close_code is None
            ws.abort()
        assert ws.close_code == 1006


class TestEnd:
    def test_closed_by_the_app(self, client: FlaskClient) -> None:
        with client.websocket("/close/4000") as ws:
            assert ws.receive() == "last"
            with pytest.raises(WebSocketDisconnect) as caught:
                ws.receive()
        assert (caught.value.code, caught.value.reason) == (4000, "why")
        assert (ws.close_code, ws.close_reason) == (4000, "why")

    def test_iteration(self, client: FlaskClient) -> None:
        with client.websocket("/close/1000") as ws:
            assert list(ws) == ["last"]
        with client.websocket("/close/4000") as ws:
            assert next(ws) == "last"
            with pytest.raises(WebSocketDisconnect):
                next(ws)

    def test_errors_of_the_app(self, client: FlaskClient) -> None:
        with client.websocket("/boom") as ws:
            ws.send("go")
            with pytest.raises(LookupError, match="boom"):
                ws.receive()

    def test_errors_that_are_handled(self, app: Flask, client: FlaskClient) -> None:
        app.testing = False
        with client.websocket("/boom") as ws:
            ws.send("go")
            with pytest.raises(WebSocketDisconnect, match="1011"):
                ws.receive()

    def test_teardown_is_done_after_the_block(self, app: Flask, client: FlaskClient) -> None:
        steps: list[str] = []

        @app.teardown_websocket
        async def teardown(error: BaseException | None) -> None:
            await anyio.lowlevel.checkpoint()
            steps.append("torn down")

        with client.websocket("/echo"):
            assert steps == []
        assert steps == ["torn down"]

    def test_the_tests_own_error_comes_out(self, client: FlaskClient) -> None:
        with pytest.raises(ZeroDivisionError), client.websocket("/echo"):
            raise ZeroDivisionError


class TestHandshake:
    @staticmethod
    def seen(client: FlaskClient, *args: t.Any, **kwargs: t.Any) -> t.Any:
        with client.websocket(*args, **kwargs) as ws:
            return ws.receive_json()

    def test_is_built_as_requests_are(self, app: Flask, client: FlaskClient) -> None:
        client.set_cookie("c", "d")
        client.environ_base["REMOTE_ADDR"] = "1.2.3.4"
        args: t.Any = {"query_string": {"a": "b c", "é": "ü"}, "headers": {"X-Own": "x"}}
        assert self.seen(client, "/handshake/ä b%25", subprotocols=["v1", "v2"], **args) == {
            "name": "ä b%",
            "part": "",
            "url": "ws://localhost/handshake/ä%20b%?a=b+c&é=ü",
            "root": "",
            "address": "1.2.3.4",
            "args": {"a": "b c", "é": "ü"},
            "agent": client.environ_base["HTTP_USER_AGENT"],
            "own": "x",
            "cookies": {"c": "d"},
            "offered": ["v1", "v2"],
        }

    def test_base_url(self, client: FlaskClient) -> None:
        seen = self.seen(client, "/handshake/x", base_url="https://host.org:81/root")
        assert seen["url"] == "wss://host.org:81/root/handshake/x"
        assert seen["root"] == "/root"
        assert self.seen(client, "/handshake/x", url_scheme="https")["url"].startswith("wss://")
        assert self.seen(client, "ws://host.org/handshake/x")["url"].startswith("ws://host.org/")

    def test_subdomain(self) -> None:
        app = Flask(__name__, subdomain_matching=True)
        app.config["SERVER_NAME"] = "host.org"

        @app.websocket("/", subdomain="<part>")
        async def whose(part: str) -> None:
            await websocket.send(part)

        with app.test_client().websocket("/", subdomain="api") as ws:
            assert ws.receive() == "api"

    def test_environ_base_of_one(self, client: FlaskClient) -> None:
        base = {"REMOTE_ADDR": "5.6.7.8"}
        assert self.seen(client, "/handshake/x", environ_base=base)["address"] == "5.6.7.8"

    def test_a_builder(self, app: Flask, client: FlaskClient) -> None:
        builder = EnvironBuilder(app, "/handshake/x", headers={"X-Own": "y"})
        assert self.seen(client, builder)["own"] == "y"

    def test_subprotocol_and_headers(self, client: FlaskClient) -> None:
        with client.websocket("/chosen", subprotocols=["v1", "v2"]) as ws:
            assert ws.accepted_subprotocol == "v2"
            assert ws.response_headers["X-Room"] == "1"
            assert ws.response.status_code == 101

    def test_the_session(self, client: FlaskClient) -> None:
        assert self.seen(client, "/user") is None
        with client.session_transaction() as stored:
            stored["user"] = "ada"
        assert self.seen(client, "/user") == "ada"

    def test_cookies_are_kept(self, client: FlaskClient) -> None:
        with client.websocket("/login"):
            pass
        cookie = client.get_cookie("seen")
        assert cookie is not None
        assert cookie.value == "1"

    def test_without_cookies(self, app: Flask) -> None:
        client = app.test_client(use_cookies=False)
        with client.websocket("/login"):
            pass
        assert self.seen(client, "/handshake/x")["cookies"] == {}

    def test_refused(self, client: FlaskClient) -> None:
        with pytest.raises(WebSocketRefused, match="429 Too Many Requests") as caught:
            client.websocket("/reject").__enter__()
        response = caught.value.response
        assert (response.text, response.headers["Retry-After"]) == ("slowly", "3")
        assert client.get_cookie("late") is not None
        with pytest.raises(WebSocketRefused) as caught:
            client.websocket("/reject", denial_responses=False).__enter__()
        assert (caught.value.response.status_code, caught.value.response.text) == (403, "")

    def test_no_such_websocket(self, client: FlaskClient) -> None:
        with pytest.raises(WebSocketRefused, match="404 Not Found"):
            client.websocket("/nowhere").__enter__()

    def test_another_origin(self, client: FlaskClient) -> None:
        with pytest.raises(WebSocketRefused, match="403"):
            client.websocket("/echo", headers={"Origin": "https://evil.org"}).__enter__()

    def test_what_cannot_be_sent(self, client: FlaskClient) -> None:
        with pytest.raises(ValueError, match="newline"):
            client.websocket("/echo", headers={"X": "a\r\nb: c"})
        with pytest.raises(httpx.LocalProtocolError, match="CR, LF or NUL"):
            client.websocket("/echo", environ_base={"HTTP_X": "a\r\nb: c"}).__enter__()

    def test_is_opened_by_its_block(self, client: FlaskClient) -> None:
        with pytest.raises(RuntimeError, match="Use it in a block"):
            client.websocket("/echo").send("x")


def test_a_block_of_the_client_keeps_the_requests_context(app: Flask, client: FlaskClient) -> None:
    @app.get("/")
    def index() -> str:
        g.seen = "request"
        return ""

    with client:
        client.get("/")
        with client.websocket("/echo") as ws:
            ws.send("x")
            assert ws.receive() == "x"
        assert g.seen == "request"


def test_a_mounted_app(app: Flask, client: FlaskClient) -> None:
    async def greet(ws: StarletteWebSocket) -> None:
        await ws.accept()
        await ws.send_json(ws.url.path)
        await ws.close(1001)

    app.mount("/other", Starlette(routes=[WebSocketRoute("/greet", greet)]))
    with client.websocket("/other/greet") as ws:
        assert ws.receive_json() == "/other/greet"
        assert list(ws) == []


async def test_inside_a_running_loop(client: FlaskClient) -> None:
    with client.websocket("/echo") as ws:  # it blocks this loop; the app runs on another
        ws.send("x")
        assert ws.receive() == "x"


def test_in_a_sync_view_of_another_app(client: FlaskClient) -> None:
    outer = Flask("outer")

    @outer.get("/")
    def index() -> str:
        with client.websocket("/sync") as ws:
            ws.send("x")
            return ws.receive_text()

    assert outer.test_client().get("/").text == "x"
