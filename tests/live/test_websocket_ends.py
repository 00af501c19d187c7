"""How websockets end: close codes and reasons, both ways, and what handlers hear of it."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from werkzeug.exceptions import HTTPException

from asyncflask import Blueprint, Flask, WebSocketDisconnect, abort, websocket

from .server import PATIENCE, LiveServer, serving
from .sockets import (
    CLOSE,
    OLD,
    TEXT,
    Heard,
    RawSocket,
    Stack,
    closing,
    frame,
    open_socket,
)

pytestmark = pytest.mark.filterwarnings(OLD)

#: One of each kind that RFC 6455 section 7.4 and IANA's register let a frame carry.
CODES = [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999]

#: One of each kind that none may carry.
NEVER = [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65536]

#: As much as a close frame has room for.
LONGEST = "\u00e9" * 61 + "!"


class Own(Exception):
    """An exception that nothing knows."""


def make_app(heard: Heard) -> Flask:
    app = Flask(__name__)
    app.register_blueprint(on_loop(heard))
    app.register_blueprint(in_thread(heard))
    return app


def on_loop(heard: Heard) -> Blueprint:
    blueprint = Blueprint("async", __name__, url_prefix="/async")

    @blueprint.websocket("/listen")
    async def listen() -> None:
        try:
            while True:
                await websocket.receive()
        except WebSocketDisconnect as left:
            heard.put((left.code, left.reason, websocket.close_code, websocket.close_reason))
            raise

    @blueprint.websocket("/loop")
    async def loop() -> None:
        async for _ in websocket:
            pass
        heard.put((websocket.close_code, websocket.close_reason))

    @blueprint.websocket("/close/<int(signed=True):code>")
    async def close(code: int) -> None:
        await websocket.accept()
        reason = await websocket.receive()
        try:
            await websocket.close(code, str(reason))
        except ValueError as error:
            heard.put(str(error))
            await websocket.send("still here")
            return
        await websocket.close(4321, "too late")
        with pytest.raises(WebSocketDisconnect) as sending:
            await websocket.send("too late")
        with pytest.raises(WebSocketDisconnect) as receiving:
            await websocket.receive()
        heard.put([(told.value.code, told.value.reason) for told in (sending, receiving)])

    @blueprint.websocket("/raise/<what>")
    async def fail(what: str) -> None:
        await websocket.accept()
        raise_what(what)

    @blueprint.teardown_websocket
    async def end(error: BaseException | None) -> None:
        heard.put(type(error))

    return blueprint


def in_thread(heard: Heard) -> Blueprint:
    blueprint = Blueprint("sync", __name__, url_prefix="/sync")
    here: t.Any = websocket

    @blueprint.websocket("/listen")
    def listen() -> None:
        try:
            while True:
                here.receive()
        except WebSocketDisconnect as left:
            heard.put((left.code, left.reason, websocket.close_code, websocket.close_reason))
            raise

    @blueprint.websocket("/loop")
    def loop() -> None:
        for _ in here:
            pass
        heard.put((websocket.close_code, websocket.close_reason))

    @blueprint.websocket("/close/<int(signed=True):code>")
    def close(code: int) -> None:
        here.accept()
        reason = here.receive()
        try:
            here.close(code, str(reason))
        except ValueError as error:
            heard.put(str(error))
            here.send("still here")
            return
        here.close(4321, "too late")
        with pytest.raises(WebSocketDisconnect) as sending:
            here.send("too late")
        with pytest.raises(WebSocketDisconnect) as receiving:
            here.receive()
        heard.put([(told.value.code, told.value.reason) for told in (sending, receiving)])

    @blueprint.websocket("/raise/<what>")
    def fail(what: str) -> None:
        here.accept()
        raise_what(what)

    @blueprint.teardown_websocket
    def end(error: BaseException | None) -> None:
        heard.put(type(error))

    return blueprint


def raise_what(what: str) -> None:
    """Raise what a path names: an HTTP error by its code, or an exception."""
    if what.isdigit():
        abort(int(what))
    raise Own


@pytest.fixture(scope="module")
def server(socket_stack: Stack, heard: Heard) -> Iterator[LiveServer]:
    with serving(make_app(heard), **socket_stack._asdict()) as server:
        yield server


@pytest.fixture(autouse=True)
def all_heard(server: LiveServer, heard: Heard) -> Iterator[None]:
    """Fail the test that leaves a websocket open, or something unlooked at."""
    heard.forget()
    yield
    server.rest()
    assert heard.empty()


nothing = type(None)


@pytest.mark.parametrize("code", CODES)
def test_the_handler_hears_code_and_reason(
    server: LiveServer, socket_stack: Stack, heard: Heard, kind: str, code: int
) -> None:
    if socket_stack.ws == "wsproto" and code == 1014:
        pytest.skip("wsproto takes it for a violation of the protocol")
    for reason in ("", LONGEST):
        with RawSocket(server, f"{kind}/listen").opened() as socket:
            socket.send(closing(code, reason.encode()))
            assert socket.code() == code
        assert heard.next() == (code, reason, code, reason)
        assert heard.next() is nothing


@pytest.mark.parametrize("code", [1000, 1001, 3999, 4999])
def test_a_loop_over_messages_ends(server: LiveServer, heard: Heard, kind: str, code: int) -> None:
    with open_socket(server, f"{kind}/loop") as socket:
        socket.send("one")
        socket.send(b"two")
        socket.close(code, "and that's it")
    assert heard.next() == (code, "and that's it")
    assert heard.next() is nothing


def test_a_close_without_a_code(server: LiveServer, heard: Heard, kind: str) -> None:
    with RawSocket(server, f"{kind}/listen").opened() as socket:
        socket.send(frame(CLOSE))
        assert socket.code() in (1000, 1005)
    assert heard.next() == (1005, "", 1005, "")
    assert heard.next() is nothing


@pytest.mark.parametrize("way", ["FIN", "half FIN", "RST"])
def test_a_lost_connection(server: LiveServer, heard: Heard, kind: str, way: str) -> None:
    """RFC 6455 has 1006 for it; uvicorn mostly says 1005."""
    with RawSocket(server, f"{kind}/listen").opened() as socket:
        if way == "RST":
            socket.reset()
        elif way == "half FIN":
            socket.finish()
            assert socket.code() in (None, 1006, 1011)
    code = heard.next()
    assert code in ((1005, "", 1005, ""), (1006, "", 1006, ""))
    assert heard.next() is nothing


@pytest.mark.parametrize("code", CODES)
def test_the_client_hears_code_and_reason(
    server: LiveServer, heard: Heard, kind: str, code: int
) -> None:
    for reason in ("", LONGEST):
        with RawSocket(server, f"{kind}/close/{code}").opened() as socket:
            socket.send(frame(TEXT, reason.encode()))
            opcode, payload = socket.frame()
            assert (opcode, payload) == (CLOSE, code.to_bytes(2) + reason.encode())
            socket.send(closing(code))
            assert socket.rest() == b""
        assert heard.next() == [(code, reason)] * 2  # what is said first, stands
        assert heard.next() is nothing


@pytest.mark.parametrize("code", NEVER)
def test_codes_that_must_not_be_sent(
    server: LiveServer, heard: Heard, kind: str, code: int
) -> None:
    with open_socket(server, f"{kind}/close/{code}") as socket:
        socket.send("why")
        assert socket.recv(PATIENCE) == "still here"
        with pytest.raises(ConnectionClosed):
            socket.recv(PATIENCE)
        assert (socket.close_code, socket.close_reason) == (1000, "")
    assert str(code) in heard.next()
    assert heard.next() is nothing


def test_a_reason_that_is_too_long(server: LiveServer, heard: Heard, kind: str) -> None:
    with open_socket(server, f"{kind}/close/1000") as socket:
        socket.send(LONGEST + "!")
        assert socket.recv(PATIENCE) == "still here"
    assert "124 bytes" in heard.next()
    assert heard.next() is nothing


def test_a_client_that_does_not_answer_a_close(
    server: LiveServer, socket_stack: Stack, heard: Heard, kind: str
) -> None:
    """It may still be sending; the handler is done meanwhile."""
    if socket_stack.ws == "websockets":
        pytest.skip("it has the handler wait for the client, up to 10 seconds")
    with RawSocket(server, f"{kind}/close/1000").opened() as socket:
        socket.send(frame(TEXT, b"bye"))
        assert socket.frame()[0] == CLOSE
        socket.send(frame(TEXT, b"but") * 100)
        assert heard.next() == [(1000, "bye")] * 2
        assert heard.next() is nothing


#: How a websocket is closed for an HTTP error that nothing handles.
ERRORS = {400: 1007, 401: 1008, 403: 1008, 404: 1008, 413: 1009, 418: 1008, 503: 1013}


@pytest.mark.parametrize("status", ERRORS)
def test_an_http_error_after_the_acceptance(
    server: LiveServer, heard: Heard, kind: str, status: int
) -> None:
    with open_socket(server, f"{kind}/raise/{status}") as socket:
        with pytest.raises(ConnectionClosed):
            socket.recv(PATIENCE)
        assert socket.close_code == ERRORS[status]
        assert socket.close_reason
    assert heard.next() is nothing


@pytest.mark.parametrize("what", ["500", "501", "own"])
def test_a_failure_after_the_acceptance(
    server: LiveServer, heard: Heard, kind: str, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    with open_socket(server, f"{kind}/raise/{what}") as socket:
        with pytest.raises(ConnectionClosed):
            socket.recv(PATIENCE)
        assert socket.close_code == 1011
        assert "own" not in str(socket.close_reason).lower()
    error = heard.next()
    assert error is (Own if what == "own" else nothing)
    assert not issubclass(error, HTTPException)
    server.rest()
    assert len([record for record in caplog.records if record.exc_info]) == (what == "own")
