"""Messages over real websockets: of every kind and size, whole and in pieces, right and wrong."""

from __future__ import annotations

import typing as t
import zlib
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed

from asyncflask import Blueprint, Flask, websocket

from .server import PATIENCE, LiveServer, serving
from .sockets import (
    BINARY,
    CLOSE,
    CONTINUATION,
    OLD,
    PING,
    PONG,
    TEXT,
    Heard,
    RawSocket,
    Stack,
    closing,
    frame,
    open_socket,
)

pytestmark = pytest.mark.filterwarnings(OLD)

MIB = 1024 * 1024


def make_app(heard: Heard) -> Flask:
    """Return an app whose handlers, of either kind, tell how their websockets have ended."""
    app = Flask(__name__)
    app.register_blueprint(on_loop(heard))
    app.register_blueprint(in_thread(heard))
    return app


def on_loop(heard: Heard) -> Blueprint:
    blueprint = Blueprint("async", __name__, url_prefix="/async")

    @blueprint.websocket("/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    @blueprint.websocket("/json")
    async def json() -> None:
        await websocket.send_json(await websocket.receive_json())

    @blueprint.teardown_websocket
    async def note(error: BaseException | None) -> None:
        heard.put((websocket.close_code, error))

    return blueprint


def in_thread(heard: Heard) -> Blueprint:
    blueprint = Blueprint("sync", __name__, url_prefix="/sync")

    @blueprint.websocket("/echo")
    def echo() -> None:
        here: t.Any = websocket
        for message in here:
            here.send(message)

    @blueprint.websocket("/json")
    def json() -> None:
        here: t.Any = websocket
        here.send_json(here.receive_json())

    @blueprint.teardown_websocket
    def note(error: BaseException | None) -> None:
        heard.put((websocket.close_code, error))

    return blueprint


@pytest.fixture(scope="module")
def server(socket_stack: Stack, heard: Heard) -> Iterator[LiveServer]:
    with serving(make_app(heard), **socket_stack._asdict()) as server:
        yield server


@pytest.fixture(autouse=True)
def all_torn_down(server: LiveServer, heard: Heard) -> Iterator[None]:
    """Fail the test that leaves a websocket open, or one's end unlooked at."""
    heard.forget()
    yield
    server.rest()
    assert heard.empty()


MESSAGES = [
    "",
    b"",
    "h\u00e9llo, w\u00f6rld \U0001f600 \u2028\x00",
    b"\x00\xff\xfe",
    *(made * size for made in ("x", b"x") for size in (125, 126, 65_535, 65_536)),
    "x" * MIB,
    "\u00e9" * (MIB // 2),
    b"\xff" * MIB,
]


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_messages_come_back(
    server: LiveServer, heard: Heard, kind: str, compression: str | None
) -> None:
    with open_socket(server, f"{kind}/echo", compression=compression) as socket:
        for message in MESSAGES:
            socket.send(message)
            assert socket.recv(PATIENCE) == message
    assert heard.next() == (1000, None)


def test_fragments_are_one_message(server: LiveServer, heard: Heard, kind: str) -> None:
    with open_socket(server, f"{kind}/echo") as socket:
        socket.send(["fr", "", "ag", "ments"])
        assert socket.recv(PATIENCE) == "fragments"
        socket.send([b"\xff", b"\x00" * 70_000, b""])
        assert socket.recv(PATIENCE) == b"\xff" + b"\x00" * 70_000
        socket.send(iter(["x" * 1024] * 1024))
        assert socket.recv(PATIENCE) == "x" * MIB
    assert heard.next() == (1000, None)


def test_a_character_in_two_fragments_and_a_ping_between(
    server: LiveServer, heard: Heard, kind: str
) -> None:
    first, second = b"caf\xc3", b"\xa9!"
    with RawSocket(server, f"{kind}/echo").opened() as socket:
        socket.send(frame(TEXT, first, final=False))
        socket.send(frame(PING, b"there?"))
        assert socket.frame() == (PONG, b"there?")
        socket.send(frame(CONTINUATION, second))
        assert socket.frame() == (TEXT, first + second)
        socket.send(closing(1000))
        assert socket.code() == 1000
    assert heard.next() == (1000, None)


def test_byte_by_byte(server: LiveServer, heard: Heard, kind: str) -> None:
    with RawSocket(server, f"{kind}/echo").opened() as socket:
        for byte in frame(TEXT, b"slowly"):
            socket.send(bytes([byte]))
        assert socket.frame() == (TEXT, b"slowly")
        socket.send(closing(1000))
        assert socket.code() == 1000
    assert heard.next() == (1000, None)


def test_pings(server: LiveServer, heard: Heard, kind: str) -> None:
    """Servers answer them; the handler hears of none. A pong that nobody asked for is nothing."""
    with open_socket(server, f"{kind}/echo") as socket:
        for payload in (b"", b"x" * 125):
            assert socket.ping(payload).wait(PATIENCE)
        socket.pong(b"unasked")
        socket.send("after")
        assert socket.recv(PATIENCE) == "after"
    assert heard.next() == (1000, None)


@pytest.mark.parametrize(
    "message",
    [
        "x" * (MIB + 1),
        b"x" * (MIB + 1),
        "\u00e9" * (MIB // 2) + "x",
        ["x" * MIB, "x"],
    ],
    ids=["text", "bytes", "characters", "fragments"],
)
def test_one_byte_too_many(server: LiveServer, heard: Heard, kind: str, message: t.Any) -> None:
    with open_socket(server, f"{kind}/echo") as socket:
        socket.send(message)
        with pytest.raises(ConnectionClosed):
            socket.recv(PATIENCE)
        assert socket.close_code == 1009
        assert str(MIB) in str(socket.close_reason)
    assert heard.next() == (1009, None)


def test_what_is_small_only_on_the_wire(server: LiveServer, heard: Heard, kind: str) -> None:
    """64 MiB of zeros are 64 KiB, compressed."""
    press = zlib.compressobj(wbits=-12)
    bomb = press.compress(bytes(64 * MIB)) + press.flush(zlib.Z_SYNC_FLUSH)[:-4]
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12"
    with RawSocket(server, f"{kind}/echo", offer).opened() as socket:
        socket.send(frame(BINARY, bomb, reserved=0b100))
        assert socket.code() == 1009
    check_cut_off(heard, 1009)


BAD_UTF8 = [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"a\xe2\x82"]


@pytest.mark.parametrize("payload", BAD_UTF8)
def test_text_that_is_no_utf8(
    server: LiveServer, socket_stack: Stack, heard: Heard, kind: str, payload: bytes
) -> None:
    with RawSocket(server, f"{kind}/echo").opened() as socket:
        socket.send(frame(TEXT, payload))
        assert socket.code() == told(socket_stack, 1007)
    check_cut_off(heard, 1007)


def told(socket_stack: Stack, code: int) -> int | None:
    """Return what the client is told. With wsproto, uvicorn goes without a word."""
    return None if socket_stack.ws == "wsproto" else code


def check_cut_off(heard: Heard, code: int) -> None:
    """Fail unless a handler has heard the end; not all servers tell it the code that they sent."""
    heard_code, error = heard.next()
    assert heard_code in (code, 1005, 1006)
    assert error is None


VIOLATIONS = {
    "reserved opcode": frame(0x3, b"?"),
    "reserved control opcode": frame(0xB, b"?"),
    "reserved bit": frame(TEXT, b"?", reserved=0b010),
    "compressed, unagreed": frame(TEXT, b"?", reserved=0b100),
    "unmasked": frame(TEXT, b"?", masked=False),
    "fragmented ping": frame(PING, b"?", final=False),
    "long ping": frame(PING, b"x" * 126),
    "continuation of nothing": frame(CONTINUATION, b"?"),
    "message inside a message": frame(TEXT, b"a", final=False) + frame(TEXT, b"b"),
    "half a code": frame(CLOSE, b"\x03"),
    "code below all": closing(999),
    "code without meaning": closing(1004),
    "code that is never sent": closing(1005),
    "code of a lost connection": closing(1006),
    "code of TLS": closing(1015),
    "code above all": closing(5000),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_what_breaks_the_protocol(
    server: LiveServer, socket_stack: Stack, heard: Heard, kind: str, violation: str
) -> None:
    with RawSocket(server, f"{kind}/echo").opened() as socket:
        socket.send(VIOLATIONS[violation])
        assert socket.code() == told(socket_stack, 1002)
    check_cut_off(heard, 1002)


def test_a_reason_that_is_no_utf8(
    server: LiveServer, socket_stack: Stack, heard: Heard, kind: str
) -> None:
    with RawSocket(server, f"{kind}/echo").opened() as socket:
        socket.send(closing(1000, b"\xff"))
        assert socket.code() == told(socket_stack, 1007)
    check_cut_off(heard, 1007)


@pytest.mark.parametrize("sent", [1, 2, 5, 8, 13])
@pytest.mark.parametrize("way", ["FIN", "RST"])
def test_half_a_frame(server: LiveServer, heard: Heard, kind: str, sent: int, way: str) -> None:
    with RawSocket(server, f"{kind}/echo").opened() as socket:
        socket.send(frame(TEXT, b"x" * 200)[:sent])
        if way == "RST":
            socket.reset()
    check_cut_off(heard, 1006)


def test_a_frame_of_almost_no_end(
    server: LiveServer, socket_stack: Stack, heard: Heard, kind: str
) -> None:
    """What says that it will have 2**62 bytes is refused before it is there."""
    with RawSocket(server, f"{kind}/echo").opened() as socket:
        socket.send(frame(BINARY, b"x" * 1000, size=1 << 62))
        if socket_stack.ws == "wsproto":  # it counts what is there
            socket.reset()
        else:
            assert socket.code() == 1009
    check_cut_off(heard, 1009)


def test_json(server: LiveServer, heard: Heard, kind: str) -> None:
    with open_socket(server, f"{kind}/json") as socket:
        socket.send('{"n": [1, "\u00e9", null]}')
        assert socket.recv(PATIENCE) == '{"n": [1, "\\u00e9", null]}'
    assert heard.next() == (None, None)  # it is closed behind the teardown


@pytest.mark.parametrize("message", ["{", b"\xff", "", "[1,]"])
def test_no_json(server: LiveServer, heard: Heard, kind: str, message: t.Any) -> None:
    with open_socket(server, f"{kind}/json") as socket:
        socket.send(message)
        with pytest.raises(ConnectionClosed):
            socket.recv(PATIENCE)
        assert socket.close_code == 1007
    assert heard.next() == (None, None)
