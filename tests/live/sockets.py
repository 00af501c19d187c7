"""Websockets as clients open them: with a library, and byte by byte."""

from __future__ import annotations

import queue
import struct
import typing as t
import warnings

from websockets.sync.client import ClientConnection, connect

from .server import PATIENCE, HttpName, LoopName, Site
from .wire import Connection, request

with warnings.catch_warnings():  # uvicorn's oldest implementation, which says so
    warnings.simplefilter("ignore")
    import uvicorn.protocols.websockets.websockets_impl  # noqa: F401


class Stack(t.NamedTuple):
    """How to run uvicorn."""

    loop: LoopName
    http: HttpName
    ws: t.Literal["websockets", "websockets-sansio", "wsproto"]


#: All of uvicorn's implementations of websockets, on either loop.
SOCKET_STACKS: t.Final = [
    Stack("asyncio", "h11", "wsproto"),
    Stack("uvloop", "httptools", "websockets-sansio"),
    Stack("asyncio", "httptools", "websockets"),
]

#: What the oldest of them says of itself, each time.
OLD = "ignore:remove second argument of ws_handler:DeprecationWarning"

#: Opcodes (RFC 6455 section 5.2).
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

#: What a client's frames are masked with: it need not be secret here.
MASK = b"\x12\xab\x7f\x01"

#: The headers of a handshake.
UPGRADE: t.Final = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)


def open_socket(site: Site, path: str, **options: t.Any) -> ClientConnection:
    """Open a websocket with the `websockets` library; use it with ``with``.

    :param options: what differs from a plain one.
    """
    host, port = site.address
    plain: dict[str, t.Any] = {
        "compression": None,
        "proxy": None,
        "ping_interval": None,
        "max_size": None,
        "open_timeout": PATIENCE,
        "close_timeout": PATIENCE,
    }
    socket: ClientConnection = connect(f"ws://{host}:{port}{path}", **{**plain, **options})
    return socket


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    final: bool = True,
    reserved: int = 0,
    masked: bool = True,
    size: int | None = None,
) -> bytes:
    """Return the bytes of a client's frame, right or wrong (RFC 6455 section 5.2).

    :param size: the length that it says it has, if not the true one.
    """
    size = len(payload) if size is None else size
    head = bytes([final << 7 | reserved << 4 | opcode])
    bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += struct.pack("!BH", bit | 126, size)
    else:
        head += struct.pack("!BQ", bit | 127, size)
    if not masked:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))


def closing(code: int, reason: bytes = b"") -> bytes:
    """Return a client's close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason)


class RawSocket(Connection):
    """A websocket whose client can do what none should.

    :param site: the server.
    :param path: what to ask for.
    :param headers: more headers of the handshake.
    """

    def __init__(self, site: Site, path: str, *headers: str) -> None:
        super().__init__(site.address)
        self.send(request("GET", path, *UPGRADE, *headers))

    def head(self) -> bytes:
        """Return the head of the handshake's answer."""
        head = b""
        while not head.endswith(b"\r\n\r\n") and (byte := self.receive(1)):
            head += byte
        return head

    def opened(self) -> t.Self:
        """Wait until the websocket is open."""
        head = self.head()
        assert head.startswith(b"HTTP/1.1 101 "), head
        return self

    def frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of the server's next frame; at the end, (-1, b"")."""
        try:
            start = self.receive(2)
        except ConnectionResetError:
            return -1, b""
        if len(start) < 2:
            return -1, b""
        size = start[1]
        if size >= 126:
            long = size == 127
            (size,) = struct.unpack("!Q" if long else "!H", self.receive(8 if long else 2))
        return start[0] & 0xF, self.receive(size)

    def code(self) -> int | None:
        """Return the code with which the server closes; None if it only goes."""
        while True:
            opcode, payload = self.frame()
            if opcode == CLOSE:
                return int(struct.unpack("!H", payload[:2])[0]) if payload else 1005
            if opcode == -1:
                return None


class Heard(queue.SimpleQueue[t.Any]):
    """What handlers tell the test, in the order in which they do."""

    def next(self) -> t.Any:
        """Return the next thing that was told; wait for it if need be."""
        return self.get(timeout=PATIENCE)

    def forget(self) -> None:
        """Drop what was told and not asked for, by a test that failed."""
        while not self.empty():
            self.get()
