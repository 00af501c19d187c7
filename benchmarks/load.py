"""A small load generator: keep-alive connections that ask for one page and check every answer.

    python -m benchmarks.load --port 8000 --path / --pid 1234 < expected-body

It is a process of its own, on a core of its own, and spends less on a request than the servers do,
so that the server is never idle: plain sockets and epoll, no event loop. It prints, as JSON, how
many requests were answered, in how many seconds, and how much processor time the server took.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import sys
import time

from . import cpu

#: Seconds without any answer after which the server counts as dead.
PATIENCE = 20.0


class LoadError(Exception):
    """Raised when the server does not answer, or not as it should."""


class Visitor:
    """One client: a connection, and a new one where the server closes it.

    :param address: the server's.
    :param request: the bytes of the request.
    :param body: what the body of each answer must be.
    :param poll: told of every socket.
    """

    def __init__(
        self, address: tuple[str, int], request: bytes, body: bytes, poll: select.epoll
    ) -> None:
        self._address, self._request, self._body, self._poll = address, request, body, poll
        self._received = b""
        self._socket: socket.socket | None = None

    def ask(self) -> int:
        """Send a request and return the number of the socket that the answer comes by."""
        if self._socket is None:
            self._socket = socket.create_connection(self._address)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._poll.register(self._socket, select.EPOLLIN)
        self._socket.send(self._request)
        return self._socket.fileno()

    def take(self) -> bool:
        """Read what has come and return whether the answer is complete.

        :raises LoadError: if it is not the expected one.
        """
        assert self._socket is not None
        data = self._socket.recv(1 << 18)
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        if body == self._body and head.startswith(b"HTTP/1.1 200 "):
            self._received = b""
            if b"connection: close" in head.lower():
                self.leave()
            return True
        if not data or not self._body.startswith(body) or len(body) == len(self._body):
            raise LoadError(f"not the expected answer: {self._received[:500]!r}")
        return False

    def leave(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._poll.unregister(self._socket)
            self._socket.close()
            self._socket = None


class Crowd:
    """Visitors that ask again as soon as they have their answer.

    :param port: the server's, on loopback.
    :param path: what to ask for.
    :param body: what the body of each answer must be.
    :param visitors: how many, each with one request under way.
    """

    def __init__(self, port: int, path: str, body: bytes, visitors: int) -> None:
        self._poll = select.epoll()
        lines = (f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Accept: */*", "", "")
        request = "\r\n".join(lines).encode()
        address = ("127.0.0.1", port)
        self._visitors = [Visitor(address, request, body, self._poll) for _ in range(visitors)]

    def load(self, seconds: float) -> int:
        """Ask for so many seconds, wait for the last answers and return how many there were.

        :raises LoadError: if an answer is not the expected one, or none comes.
        """
        answered, deadline = 0, time.perf_counter() + seconds
        waiting = {visitor.ask(): visitor for visitor in self._visitors}
        while waiting:
            ready = self._poll.poll(PATIENCE)
            if not ready:
                raise LoadError(f"no answer for {PATIENCE:.0f} s")
            for number, _ in ready:
                visitor = waiting[number]
                if visitor.take():
                    answered += 1
                    del waiting[number]
                    if time.perf_counter() < deadline:
                        waiting[visitor.ask()] = visitor
        return answered

    def leave(self) -> None:
        """Close all connections."""
        for visitor in self._visitors:
            visitor.leave()
        self._poll.close()


def main() -> None:
    """Warm up, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/")
    parser.add_argument("--pid", type=int, required=True, help="of the server")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--warm-up", type=float, default=0.3, help="seconds")
    asked = parser.parse_args()
    cpu.pin(0)
    crowd = Crowd(asked.port, asked.path, sys.stdin.buffer.read(), asked.connections)
    crowd.load(asked.warm_up)
    spent, began = cpu.seconds(asked.pid), time.perf_counter()
    answered = crowd.load(asked.seconds)
    took = time.perf_counter() - began
    spent = cpu.seconds(asked.pid) - spent
    crowd.leave()
    print(json.dumps({"answered": answered, "seconds": took, "cpu": spent}))


if __name__ == "__main__":
    main()
