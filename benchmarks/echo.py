"""A client of the load generator that speaks WebSocket: it sends a message and awaits its echo."""

from __future__ import annotations

import base64
import select
import socket

from .load import PATIENCE, LoadError

#: The mask of all frames that are sent. A random one, which RFC 6455 section 5.3 asks for, protects
#: proxies, of which there is none.
MASK = bytes((0x12, 0x34, 0x56, 0x78))


def handshake(path: str) -> str:
    """Return the request that opens a WebSocket (RFC 6455 section 4.1)."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    )


def frame(text: str, mask: bytes = b"") -> bytes:
    """Return a text message of fewer than 126 bytes as one frame (RFC 6455 section 5.2)."""
    data = text.encode()
    head = bytes((0x81, (0x80 if mask else 0) | len(data)))
    if mask:
        data = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
    return head + mask + data


def connected(port: int, request: str, status: int) -> tuple[socket.socket, bytes]:
    """Return a connection whose request was answered with a status, and what came behind the head.

    :raises LoadError: if it was answered otherwise.
    """
    opened = socket.create_connection(("127.0.0.1", port), PATIENCE)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.sendall(request.encode())
    received = b""
    while b"\r\n\r\n" not in received:
        data = opened.recv(1 << 16)
        received += data
        if not data or not received.startswith(b"HTTP/1.1 %d " % status):
            opened.close()
            raise LoadError(f"expected {status}, got {received[:500]!r}")
    return opened, received.partition(b"\r\n\r\n")[2]


class Echoer:
    """A WebSocket whose message has to come back before the next is sent.

    :param port: the server's, on loopback.
    :param path: where it echoes.
    :param text: the message.
    :param poll: told of the socket.
    :raises LoadError: if there is no WebSocket.
    """

    def __init__(self, port: int, path: str, text: str, poll: select.epoll) -> None:
        self._sent, self._expected = frame(text, MASK), frame(text)
        self.socket, self._received = connected(port, handshake(path), 101)
        poll.register(self.socket, select.EPOLLIN)

    def ask(self) -> int:
        """Send the message and return the number of the socket that it comes back by."""
        self.socket.sendall(self._sent)
        return self.socket.fileno()

    def go_on(self) -> None:
        """Do nothing: there is always room for such a message."""

    def take(self) -> bool:
        """Read what has come, and return whether that is the message.

        :raises LoadError: if it is another.
        """
        self._received += self.socket.recv(1 << 16)
        if self._received == self._expected:
            self._received = b""
            return True
        if not self._received or not self._expected.startswith(self._received):
            raise LoadError(f"not the message that was sent: {self._received[:500]!r}")
        return False

    def leave(self) -> None:
        """Close the connection."""
        self.socket.close()
