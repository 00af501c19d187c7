"""The asynchronous face of websockets: messages, and how it all ends."""

from __future__ import annotations

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from asyncflask import Flask, WebSocketDisconnect, session, websocket
from asyncflask.testing import AsyncClient, WebSocketRefused

from . import apps
from .apps import accept, echo_messages, settle

pytestmark = pytest.mark.anyio

echoing = AsyncClient(apps.websocket(echo_messages))


class TestMessages:
    async def test_each_kind_comes_back_as_it_was(self) -> None:
        async with echoing.websocket("/") as ws:
            for data in ("", "é\u2028\0", b"", b"\0\xff", "x" * 1_000_000):
                await ws.send(data)
                got = await ws.receive()
                assert got == data
                assert type(got) is type(data)
            await ws.send(bytearray(b"x"))
            assert await ws.receive_bytes() == b"x"
            await ws.send("x")
            assert await ws.receive_text() == "x"

    async def test_json(self) -> None:
        async with echoing.websocket("/") as ws:
            await ws.send_json({"a": [1, None, "é"]})
            assert await ws.receive_json() == {"a": [1, None, "é"]}
            await ws.send(b"[1]")
            assert await ws.receive_json() == [1]
            await ws.send("no json")
            with pytest.raises(ValueError, match="Expecting value"):
                await ws.receive_json()

    async def test_what_is_no_message(self) -> None:
        async with echoing.websocket("/") as ws:
            with pytest.raises(TypeError, match="not dict: send_json"):
                await ws.send({})  # type: ignore[arg-type]
            with pytest.raises(UnicodeEncodeError):
                await ws.send("\ud800")
            await ws.send(b"x" * 200)
            with pytest.raises(TypeError, match="sent bytes, not str"):
                await ws.receive_text()
            await ws.send("x")
            with pytest.raises(TypeError, match="sent str, not bytes: 'x'"):
                await ws.receive_bytes()

    async def test_timeouts(self) -> None:
        async with echoing.websocket("/") as ws:
            with pytest.raises(TimeoutError, match=r"nothing for 0\.01 seconds"):
                await ws.receive(timeout=0.01)
            await ws.send("x")
            assert await ws.receive(timeout=10) == "x"
        client = AsyncClient(apps.websocket(echo_messages), timeout=0.5)
        async with client.websocket("/") as ws:
            with pytest.raises(TimeoutError, match=r"nothing for 0\.5 seconds"):
                await ws.receive_json()


class TestEnd:
    @staticmethod
    def closing(code: int, reason: str = "") -> AsyncClient:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await accept(send)
            await send({"type": "websocket.send", "text": "last"})
            await send({"type": "websocket.close", "code": code, "reason": reason})

        return AsyncClient(apps.websocket(app))

    async def test_closed_by_the_app(self) -> None:
        async with self.closing(4001, "done").websocket("/") as ws:
            await settle()
            with pytest.raises(WebSocketDisconnect):
                await ws.send("too late")
            assert await ws.receive() == "last"
            for _ in range(2):
                with pytest.raises(WebSocketDisconnect) as caught:
                    await ws.receive()
                assert (caught.value.code, caught.value.reason) == (4001, "done")
            assert (ws.close_code, ws.close_reason) == (4001, "done")
            await ws.close(4002)  # nothing is left to close
            assert ws.close_code == 4001

    @pytest.mark.parametrize("code", [1000, 1001])
    async def test_iteration_ends_with_a_planned_end(self, code: int) -> None:
        async with self.closing(code).websocket("/") as ws:
            assert [message async for message in ws] == ["last"]

    async def test_iteration_raises_another_end(self) -> None:
        async with self.closing(1011).websocket("/") as ws:
            assert await anext(ws) == "last"
            with pytest.raises(WebSocketDisconnect, match="1011"):
                await anext(ws)

    async def test_closed_by_the_client(self) -> None:
        async with echoing.websocket("/") as ws:
            await ws.send("x")
            await settle()
            await ws.close(3000, "bye")
            assert (ws.close_code, ws.close_reason) == (3000, "bye")
            assert await ws.receive() == "x"  # it was on its way
            for act in (ws.receive(), ws.send("y")):
                with pytest.raises(WebSocketDisconnect, match="3000"):
                    await act

    async def test_what_closes_nothing(self) -> None:
        async with echoing.websocket("/") as ws:
            with pytest.raises(ValueError, match="1005 is no close code"):
                await ws.close(1005)
            with pytest.raises(ValueError, match="123 fit"):
                await ws.close(1000, "é" * 62)
            with pytest.raises(ValueError, match="needs a code"):
                await ws.close(None, "why")
            assert ws.close_code is None

    async def test_the_block_waits_for_the_app(self) -> None:
        steps: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await accept(send)
            await receive()
            await settle()
            steps.append("done")

        async with AsyncClient(apps.websocket(app)).websocket("/"):
            pass
        assert steps == ["done"]

    async def test_an_app_that_does_not_listen_is_cancelled(self) -> None:
        steps: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await accept(send)
            try:
                await anyio.sleep_forever()
            finally:
                steps.append("cancelled")

        async with AsyncClient(apps.websocket(app), disconnect_grace=0.01).websocket("/"):
            pass
        assert steps == ["cancelled"]

    async def test_an_app_that_returns_without_a_word(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await accept(send)
            await send({"type": "websocket.send", "text": "x"})

        async with AsyncClient(apps.websocket(app)).websocket("/") as ws:
            assert await ws.receive() == "x"
            with pytest.raises(WebSocketDisconnect, match="1006"):
                await ws.receive()

    async def test_closing_the_client_closes_what_is_open(self) -> None:
        codes: list[int] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await accept(send)
            codes.append((await receive())["code"])

        async with AsyncClient(apps.websocket(app), lifespan=False) as client:
            await client.websocket("/").__aenter__()
        assert codes == [1006]

    async def test_it_may_be_closed_in_another_task(self) -> None:
        ws = echoing.websocket("/")
        async with anyio.create_task_group() as group:
            group.start_soon(ws.__aenter__)
        await ws.send("x")
        assert await ws.receive() == "x"
        async with anyio.create_task_group() as group:
            group.start_soon(ws.__aexit__, None, None, None)


class TestErrors:
    @staticmethod
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        await send({"type": "websocket.send", "text": "x"})
        await receive()
        raise LookupError("boom")

    @pytest.fixture
    def failing(self) -> AsyncClient:
        return AsyncClient(apps.websocket(self.fail))

    async def test_come_out_of_receive(self, failing: AsyncClient) -> None:
        async with failing.websocket("/") as ws:
            await ws.send("go")
            await settle()
            assert await ws.receive() == "x"
            with pytest.raises(LookupError, match="boom"):
                await ws.receive()
            with pytest.raises(WebSocketDisconnect, match="1006"):  # it was told
                await ws.receive()

    async def test_come_out_of_send(self, failing: AsyncClient) -> None:
        async with failing.websocket("/") as ws:
            await ws.send("go")
            await settle()
            with pytest.raises(LookupError, match="boom"):
                await ws.send("y")

    async def test_come_out_at_the_end(self, failing: AsyncClient) -> None:
        with pytest.raises(LookupError, match="boom"):
            async with failing.websocket("/") as ws:
                assert await ws.receive() == "x"

    async def test_come_second(self, failing: AsyncClient) -> None:
        async def divide() -> None:
            async with failing.websocket("/") as ws:
                await ws.receive()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError) as caught:
            await divide()
        assert caught.value.__notes__ == ["The app raised too: LookupError: boom"]

    @pytest.mark.parametrize("code", [1011, 4000])
    async def test_say_more_than_a_close(self, code: int) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await accept(send)
            await send({"type": "websocket.close", "code": code})
            raise LookupError("boom")

        client = AsyncClient(apps.websocket(app))
        with pytest.raises(LookupError, match="boom") as caught:
            await self.receive_from(client)
        assert isinstance(caught.value.__context__, WebSocketDisconnect) == (code == 4000)

    @staticmethod
    async def receive_from(client: AsyncClient) -> None:
        async with client.websocket("/") as ws:
            await ws.receive()

    async def test_an_app_that_says_that_it_failed_and_goes_on(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await accept(send)
            await send({"type": "websocket.close", "code": 1011})
            await ended.wait()

        ended = anyio.Event()
        async with AsyncClient(apps.websocket(app), disconnect_grace=0.01).websocket("/") as ws:
            with pytest.raises(WebSocketDisconnect, match="1011"):
                await ws.receive()
            ended.set()

    async def test_are_not_shown(self) -> None:
        client = AsyncClient(apps.websocket(self.fail), raise_app_exceptions=False)
        async with client.websocket("/") as ws:
            await ws.send("go")
            assert await ws.receive() == "x"
            with pytest.raises(WebSocketDisconnect, match="1006"):
                await ws.receive()
        async with client.websocket("/"):
            pass

    async def test_that_end_the_process_always_come_out(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await accept(send)
            raise KeyboardInterrupt

        client = AsyncClient(apps.websocket(app), raise_app_exceptions=False)
        with pytest.raises(KeyboardInterrupt):
            async with client.websocket("/") as ws:
                await ws.receive()


class TestOurApp:
    @pytest.fixture
    def app(self) -> Flask:
        app = Flask(__name__)
        app.config.update(TESTING=True, SECRET_KEY="a secret key for tests")

        @app.post("/login")
        def login() -> str:
            session["user"] = "ada"
            return ""

        @app.websocket("/user")
        async def user() -> None:
            await websocket.send_json({"user": session.get("user"), "path": websocket.path})

        @app.websocket("/sync")
        def sync() -> None:
            for message in websocket:
                websocket.send(message)

        @app.websocket("/boom")
        async def boom() -> None:
            await websocket.receive()
            raise LookupError("boom")

        return app

    async def test_sessions_are_those_of_requests(self, app: Flask) -> None:
        async with app.async_client() as client:
            async with client.websocket("/user") as ws:
                assert await ws.receive_json() == {"user": None, "path": "/user"}
            await client.post("/login")
            async with client.websocket("/user") as ws:
                assert (await ws.receive_json())["user"] == "ada"
                assert [message async for message in ws] == []
                assert ws.close_code == 1000

    async def test_a_sync_handler(self, app: Flask) -> None:
        async with app.async_client() as client, client.websocket("/sync") as ws:
            for number in range(100):
                await ws.send(str(number))
            assert [await ws.receive() for _ in range(100)] == [*map(str, range(100))]

    async def test_errors(self, app: Flask) -> None:
        async with app.async_client() as client:
            with pytest.raises(WebSocketRefused, match="404"):
                async with client.websocket("/nowhere"):
                    pass
            async with client.websocket("/boom") as ws:
                await ws.send("go")
                with pytest.raises(LookupError, match="boom"):
                    await ws.receive()

    async def test_json_is_the_apps(self, app: Flask) -> None:
        dumped: list[object] = []
        provider = app.json
        plain = provider.dumps
        provider.dumps = lambda value, **kwargs: dumped.append(value) or plain(value, **kwargs)  # type: ignore[func-returns-value,method-assign]
        async with app.async_client() as client, client.websocket("/sync") as ws:
            await ws.send_json([1])
            assert await ws.receive_json() == [1]
        assert dumped == [[1]]
