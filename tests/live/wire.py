"""A client that sends bytes as they are, for requests that no HTTP library would make."""

from __future__ import annotations

import json
import socket
import struct
import typing as t
from contextlib import suppress
from http.client import HTTPResponse

from ..detectors import slowness

#: Seconds that a client waits for a server that should have answered in milliseconds; on a busy
#: machine it waits longer.
SILENCE = 10.0

FORM = "Content-Type: application/x-www-form-urlencoded"
JSON = "Content-Type: application/json"
MULTIPART = "Content-Type: multipart/form-data; boundary=X"
BYTES = "Content-Type: application/octet-stream"


class Answer(t.NamedTuple):
    """A response that was read to its end."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's value, or None; fail if there are several."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) < 2, f"{name} was sent {len(found)} times"
        return found[0] if found else None

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> t.Any:
        """The body as JSON."""
        return json.loads(self.body)


class Connection:
    """One TCP connection, kept open between requests as long as both sides wish.

    :param address: the server's host and port.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=SILENCE * slowness())
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.socket.close()

    def send(self, raw: bytes) -> None:
        """Send bytes. A server that has closed already is no error: it may have answered before."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(raw)

    def answer(self, method: str = "GET") -> Answer:
        """Read the next response to its end.

        :raises http.client.HTTPException: if the server sent none, or a broken one.
        """
        with HTTPResponse(self.socket, method=method) as response:
            response.begin()
            body = response.read()
            return Answer(response.status, response.getheaders(), body)

    def receive(self, size: int) -> bytes:
        """Return exactly `size` bytes, or fewer at the end."""
        parts = []
        while size and (part := self.socket.recv(min(size, 65536))):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def rest(self) -> bytes:
        """Return all that comes until the server closes."""
        with suppress(ConnectionResetError):
            return self.receive(1 << 40)
        return b""

    def finish(self) -> None:
        """Say that nothing more is sent (FIN), and keep listening."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Drop the connection at once (RST)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def request(
    method: str, target: str, *headers: str, body: bytes = b"", host: str = "here"
) -> bytes:
    """Return the bytes of a request: CRLF line ends, `Host`, and `Content-Length` for a body."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
    framed = ("content-length", "transfer-encoding")
    if body and not any(line.lower().startswith(framed) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(body: bytes, size: int = 1000) -> bytes:
    """Return a body in the chunked transfer coding.

    :param size: bytes in each chunk.
    """
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])


def part(
    name: bytes | None, value: bytes = b"v", *headers: bytes, filename: bytes | None = None
) -> bytes:
    """Return one part of a multipart form."""
    disposition = b"Content-Disposition: form-data"
    if name is not None:
        disposition += b'; name="%s"' % name
    if filename is not None:
        disposition += b'; filename="%s"' % filename
    return b"\r\n".join([disposition, *headers, b"", value])


def multipart(*parts: bytes, closed: bool = True) -> bytes:
    """Return a multipart body with the boundary of `MULTIPART`.

    :param closed: whether the last boundary follows.
    """
    return b"".join(b"--X\r\n%s\r\n" % each for each in parts) + (b"--X--\r\n" if closed else b"")
