"""Websockets on trio, over hypercorn."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from asyncflask import Flask, WebSocketDisconnect, abort, websocket

from .server import PATIENCE, Site
from .sockets import CLOSE, PING, PONG, TEXT, Heard, RawSocket, closing, frame, open_socket
from .trio_server import serving_on_trio

#: The websocket as sync code sees it, whose methods return what they do.
here: t.Any = websocket


class Own(Exception):
    """An exception that nothing knows."""


def make_app(heard: Heard) -> Flask:
    app = Flask(__name__)

    @app.teardown_websocket
    async def note(error: BaseException | None) -> None:
        heard.put(type(error))

    add_echoes(app)
    add_talk(app, heard)
    add_ends(app)
    return app


def add_echoes(app: Flask) -> None:
    @app.websocket("/async/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    @app.websocket("/sync/echo")
    def echo_in_thread() -> None:
        for message in here:
            here.send(message)


def add_talk(app: Flask, heard: Heard) -> None:
    @app.websocket("/async/wait")
    async def wait() -> None:
        await websocket.accept()
        try:
            await websocket.receive()
        except WebSocketDisconnect as left:
            heard.put(left.code)
            raise

    @app.websocket("/sync/wait")
    def wait_in_thread() -> None:
        here.accept()
        try:
            here.receive()
        except WebSocketDisconnect as left:
            heard.put(left.code)
            raise

    async def numbers() -> AsyncIterator[dict[str, int]]:
        try:
            for number in range(100_000):
                yield {"number": number}
                await anyio.lowlevel.checkpoint()
        finally:
            heard.put("source closed")

    @app.websocket("/async/source")
    async def source() -> None:
        async with websocket.sending(numbers()):
            async for _ in websocket:
                pass


def add_ends(app: Flask) -> None:
    @app.websocket("/async/close/<int:code>")
    async def close(code: int) -> None:
        await websocket.accept()
        await websocket.close(code, "that's it")

    @app.websocket("/sync/close/<int:code>")
    def close_in_thread(code: int) -> None:
        here.accept()
        here.close(code, "that's it")

    @app.websocket("/async/raise/<int:status>")
    async def fail(status: int) -> None:
        await websocket.accept()
        if status == 500:
            raise Own
        abort(status)

    @app.websocket("/sync/raise/<int:status>")
    def fail_in_thread(status: int) -> None:
        here.accept()
        if status == 500:
            raise Own
        abort(status)

    @app.websocket("/async/deny")
    async def deny() -> None:
        await websocket.reject(429, {"Retry-After": "5"}, "slow down")

    @app.websocket("/sync/deny")
    def deny_in_thread() -> t.Any:
        return "slow down", 429, {"Retry-After": "5"}


@pytest.fixture(scope="module")
def server(heard: Heard) -> Iterator[Site]:
    with serving_on_trio(make_app(heard)) as server:
        yield server


@pytest.fixture(autouse=True)
def all_heard(heard: Heard) -> Iterator[None]:
    heard.forget()
    yield
    assert heard.empty()


nothing = type(None)


def test_messages_come_back(server: Site, heard: Heard, kind: str) -> None:
    with open_socket(server, f"{kind}/echo") as socket:
        for message in ("", "h\u00e9llo", b"", b"\x00\xff", "x" * 70_000, b"x" * (1 << 20)):
            socket.send(message)
            assert socket.recv(PATIENCE) == message
        socket.send(["fr", "ag", "ments"])
        assert socket.recv(PATIENCE) == "fragments"
        assert socket.ping(b"there?").wait(PATIENCE)
    assert heard.next() is nothing


def test_one_byte_too_many(server: Site, heard: Heard, kind: str) -> None:
    with open_socket(server, f"{kind}/echo") as socket:
        socket.send("x" * ((1 << 20) + 1))
        with pytest.raises(ConnectionClosed):
            socket.recv(PATIENCE)
        assert socket.close_code == 1009
    assert heard.next() is nothing


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 3000, 4999])
def test_the_client_hears_code_and_reason(server: Site, heard: Heard, kind: str, code: int) -> None:
    with RawSocket(server, f"{kind}/close/{code}").opened() as socket:
        assert socket.frame() == (CLOSE, code.to_bytes(2) + b"that's it")
        socket.send(closing(code))
    assert heard.next() is nothing


@pytest.mark.parametrize(("status", "code"), [(400, 1007), (404, 1008), (503, 1013), (500, 1011)])
def test_errors_close(server: Site, heard: Heard, kind: str, status: int, code: int) -> None:
    with open_socket(server, f"{kind}/raise/{status}") as socket:
        with pytest.raises(ConnectionClosed):
            socket.recv(PATIENCE)
        assert socket.close_code == code
    assert heard.next() is (Own if status == 500 else nothing)


def test_denials(server: Site, heard: Heard, kind: str) -> None:
    with pytest.raises(InvalidStatus) as denied:
        open_socket(server, f"{kind}/deny")
    response = denied.value.response
    assert (response.status_code, response.body) == (429, b"slow down")
    assert response.headers["Retry-After"] == "5"
    assert heard.next() is nothing


def test_foreign_pages(server: Site) -> None:
    with pytest.raises(InvalidStatus) as denied:
        open_socket(server, "/async/echo", origin="https://evil.example")
    assert denied.value.response.status_code == 403


@pytest.mark.parametrize("way", ["close", "FIN", "RST", "half a frame"])
def test_a_client_that_leaves(server: Site, heard: Heard, kind: str, way: str) -> None:
    """Hypercorn does not tell how."""
    with RawSocket(server, f"{kind}/wait").opened() as socket:
        if way == "close":
            socket.send(closing(4000, b"bye"))
            assert socket.code() == 4000
        elif way == "half a frame":
            socket.send(frame(TEXT, b"x" * 200)[:100])
        elif way == "RST":
            socket.reset()
    assert heard.next() == 1006
    assert heard.next() is nothing


@pytest.mark.parametrize("way", ["close", "FIN", "RST"])
def test_a_client_that_leaves_a_source(server: Site, heard: Heard, way: str) -> None:
    with RawSocket(server, "/async/source").opened() as socket:
        assert socket.frame() == (TEXT, b'{"number": 0}')
        if way == "close":
            socket.send(closing(1000))
            assert socket.code() == 1000
        elif way == "RST":
            socket.reset()
    assert heard.next() == "source closed"
    assert heard.next() is nothing


def test_pings_while_a_handler_waits(server: Site, heard: Heard, kind: str) -> None:
    with RawSocket(server, f"{kind}/wait").opened() as socket:
        socket.send(frame(PING, b"there?"))
        assert socket.frame() == (PONG, b"there?")
        socket.send(closing(1000))
        assert socket.code() == 1000
    assert heard.next() == 1006
    assert heard.next() is nothing
