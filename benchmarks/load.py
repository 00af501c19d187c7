"""A small load generator: keep-alive connections that ask one question and check every answer.

    python -m benchmarks.load --port 8000 --path / --pid 1234 < expected-body

It works on a core of its own, and spends less on a request than the servers do, so that the server
is never idle: plain sockets and epoll, no event loop. The first answer is checked whole, each later
one by its status and its length. Run as a program it prints, as JSON, how many requests were
answered, in how many seconds, and how much processor time the server took.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import sys
import time
import typing as t
from collections.abc import Callable

from . import cpu
from .rounds import CellError

#: Seconds without any answer after which the server counts as dead.
PATIENCE = 20.0

#: Bytes that are read at once.
MOUTHFUL = 1 << 18

LAST_CHUNK = b"0\r\n\r\n"


class LoadError(CellError):
    """Raised when the server does not answer, or not as it should."""


class GoneError(Exception):
    """Raised when the server has closed a connection that it had kept: it may do so at any time."""


class Question:
    """A request, and what its answer must be.

    :param request: the bytes of the request.
    :param check: judges the body of the first answer; the others must be as long.
    :param status: of each answer.
    """

    def __init__(self, request: bytes, check: Callable[[bytes], bool], status: int = 200) -> None:
        self.request, self._check, self._status = request, check, b" %d " % status
        self.size: int | None = None  # not known before the first answer

    def begin(self, head: bytes) -> None:
        """Look at the head of an answer.

        :raises LoadError: if its status is another.
        """
        if head[8:13] != self._status:
            raise LoadError(f"not the expected answer: {head[:500]!r}")

    def judge(self, body: bytes, size: int) -> None:
        """Look at the end of an answer.

        :param body: it whole, where it is the first.
        :raises LoadError: if it is not the expected one.
        """
        if self.size is None and self._check(body):
            self.size = size
        if self.size != size:
            raise LoadError(f"not the expected answer: {size} bytes, {body[:500]!r}")


def get(port: int, path: str, body: bytes) -> Question:
    """Return the question for a page.

    :param body: what every answer must hold.
    """
    return Question(request(port, "GET", path), lambda found: found == body)


def request(
    port: int,
    method: str,
    path: str,
    headers: t.Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
) -> bytes:
    """Return the bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode() + (body or b"")


class Client(t.Protocol):
    """One connection, with one request under way at a time."""

    def ask(self) -> int:
        """Send a request and return the number of the socket that the answer comes by."""

    def go_on(self) -> None:
        """Send what the socket had no room for."""

    def take(self) -> bool:
        """Read what has come and return whether the answer is complete."""

    def leave(self) -> None:
        """Close the connection."""


class Visitor:
    """A client that asks a question, over a new connection where the server closes it.

    :param port: the server's, on loopback.
    :param question: what it asks.
    :param poll: told of every socket.
    """

    def __init__(self, port: int, question: Question, poll: select.epoll) -> None:
        self._port, self._question, self._poll = port, question, poll
        self._socket: socket.socket | None = None
        self._unsent = memoryview(b"")
        self._asked = False  # something over this connection before
        self._begin()

    def _begin(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0  # of the body that has come
        self._expected: int | None = None  # of the whole body
        self._head = self._chunked = False

    def ask(self) -> int:
        """Send a request and return the number of the socket that the answer comes by."""
        self._asked = self._socket is not None
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), PATIENCE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setblocking(False)
            self._poll.register(self._socket, select.EPOLLIN)
        self._unsent = memoryview(self._question.request)
        self.go_on()
        return self._socket.fileno()

    def go_on(self) -> None:
        """Send what the socket had no room for; answers are read meanwhile."""
        assert self._socket is not None
        waited = len(self._unsent) < len(self._question.request)
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            return
        except ConnectionError:
            return self._poll.modify(self._socket, select.EPOLLIN)  # reading tells why
        if self._unsent and not waited:
            self._poll.modify(self._socket, select.EPOLLIN | select.EPOLLOUT)
        elif waited and not self._unsent:
            self._poll.modify(self._socket, select.EPOLLIN)

    def take(self) -> bool:
        """Read what has come and return whether the answer is complete.

        :raises LoadError: if it is not the expected one.
        :raises GoneError: if the connection had been closed before the server took the request.
        """
        assert self._socket is not None
        try:
            data = self._socket.recv(MOUTHFUL)
        except ConnectionError:
            data = b""
        if not data and not self._head:
            if self._asked and not self._pieces:
                raise GoneError
            raise LoadError(f"no answer: the server has hung up after {b''.join(self._pieces)!r}")
        done = self._body(data) if self._head else self._start(data)
        if done:
            self._end()
        elif not data:
            raise LoadError(f"not the expected answer: it ends after {self._size} bytes")
        return done

    def _start(self, data: bytes) -> bool:
        """Take the beginning of an answer, up to where its body begins."""
        self._pieces.append(data)
        head, blank, rest = b"".join(self._pieces).partition(b"\r\n\r\n")
        if not blank:
            return False
        self._question.begin(head)
        head = head.lower() + b"\r\n"
        self._pieces, self._head = [], True
        self._closing = b"\r\nconnection: close\r\n" in head
        self._chunked = b"\r\ntransfer-encoding: chunked\r\n" in head
        _, found, length = head.partition(b"\r\ncontent-length:")
        self._expected = int(length[: length.index(b"\r")]) if found else None
        return self._body(rest) if rest or self._expected == 0 else False

    def _body(self, data: bytes) -> bool:
        """Take a part of the body; return whether it was the last."""
        self._size += len(data)
        if self._chunked or self._question.size is None:
            self._pieces.append(data)
        if self._chunked:
            return data.endswith(LAST_CHUNK) or (len(data) < 5 and self._ended())
        return self._size >= self._expected if self._expected is not None else not data

    def _ended(self) -> bool:
        """Return whether the last chunk is there, its end being torn apart."""
        self._pieces = [b"".join(self._pieces)]
        return self._pieces[0].endswith(LAST_CHUNK)

    def _end(self) -> None:
        body = b"".join(self._pieces)
        if self._chunked:
            body = b"".join(chunks(body))
            self._size = len(body)
        self._question.judge(body, self._size)
        if self._closing:
            self.leave()
        self._begin()

    def leave(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._poll.unregister(self._socket)
            self._socket.close()
            self._socket = None


def chunks(data: bytes) -> t.Iterator[bytes]:
    """Yield the chunks of a body (RFC 9112 section 7.1).

    :raises LoadError: if it is not made of chunks.
    """
    at = 0
    try:
        while size := int(data[at : (end := data.index(b"\r\n", at))].partition(b";")[0], 16):
            yield data[end + 2 : end + 2 + size]
            at = end + size + 4
    except ValueError as error:
        raise LoadError(f"not made of chunks: {data[at : at + 100]!r}") from error


class Seen(t.NamedTuple):
    """What became of a load."""

    answered: int
    seconds: float
    server: float  # seconds of processor time
    client: float  # the same, of who asked
    latencies: list[float]  # seconds, sorted

    @property
    def cost(self) -> float:
        """Microseconds of processor time that a request has cost the server."""
        return self.server / self.answered * 1e6

    def percentile(self, share: float) -> float:
        """Return how many milliseconds so many of a hundred answers took at most."""
        return self.latencies[min(int(len(self.latencies) * share / 100), self.answered - 1)] * 1e3


class Crowd:
    """Clients that ask again as soon as they have their answer.

    :param make: makes a client; it is given what has to be told of its sockets.
    :param count: how many.
    """

    def __init__(self, make: Callable[[select.epoll], Client], count: int) -> None:
        self._poll = select.epoll()
        self._clients: list[Client] = []
        try:
            for _ in range(count):
                self._clients.append(make(self._poll))
        except BaseException:
            self.leave()
            raise

    def load(self, seconds: float) -> list[float]:
        """Ask for so many seconds, wait for the last answers and return how long each took.

        :raises LoadError: if an answer is not the expected one, or none comes.
        """
        clock = time.perf_counter
        took: list[float] = []
        deadline = clock() + seconds
        waiting = {client.ask(): (client, clock()) for client in self._clients}
        served: dict[int, Client] = {}
        while waiting:
            ready = self._poll.poll(PATIENCE)
            if not ready:
                raise LoadError(f"no answer for {PATIENCE:.0f} s")
            for number, events in ready:
                if number not in waiting:  # the server closes a connection that it had kept
                    served.pop(number).leave()
                    continue
                client, began = waiting[number]
                if events & select.EPOLLOUT:
                    client.go_on()
                if not events & ~select.EPOLLOUT:
                    continue
                try:
                    if not client.take():
                        continue
                except GoneError:
                    del waiting[number]
                    client.leave()
                    waiting[client.ask()] = client, began
                    continue
                now = clock()
                took.append(now - began)
                del waiting[number]
                if now < deadline:
                    waiting[client.ask()] = client, now
                else:
                    served[number] = client
        return took

    def watch(self, pid: int, seconds: float) -> Seen:
        """Ask, and return what it cost.

        :param pid: the server's process.
        :raises LoadError: as `load`.
        """
        server, client, began = cpu.seconds(pid), time.process_time(), time.perf_counter()
        took = self.load(seconds)
        passed = time.perf_counter() - began
        client, server = time.process_time() - client, cpu.seconds(pid) - server
        return Seen(len(took), passed, server, client, sorted(took))

    def leave(self) -> None:
        """Close all connections."""
        for client in self._clients:
            client.leave()
        self._poll.close()


def visitors(port: int, question: Question, count: int) -> Crowd:
    """Return a crowd that asks a question."""
    return Crowd(lambda poll: Visitor(port, question, poll), count)


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
    question = get(asked.port, asked.path, sys.stdin.buffer.read())
    crowd = visitors(asked.port, question, asked.connections)
    crowd.load(asked.warm_up)
    seen = crowd.watch(asked.pid, asked.seconds)
    crowd.leave()
    print(json.dumps({"answered": seen.answered, "seconds": seen.seconds, "cpu": seen.server}))


if __name__ == "__main__":
    main()
