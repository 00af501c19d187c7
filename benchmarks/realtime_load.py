"""A load generator for what lasts: sockets that get an echo, and listeners to a feed of events.

    python -m benchmarks.realtime_load --kind echo --port 8000 --pid 1234

As `benchmarks.load`: a process of its own on a core of its own, plain sockets and epoll, and frames
that are made once. It prints, as JSON, how many messages came, in how many seconds, and how much
processor time the server took.
"""

from __future__ import annotations

import argparse
import json
import select
import time

from . import cpu, echo
from .echo import connected
from .load import PATIENCE, LoadError
from .realtime_apps import EVENT, TEXT


class Echoer(echo.Echoer):
    """A WebSocket that sends its message again as soon as it has come back."""

    def __init__(self, port: int, poll: select.epoll) -> None:
        super().__init__(port, "/echo", TEXT, poll)
        self.ask()

    def taken(self) -> int:
        """Read what has come, and return how many messages are complete with it."""
        if not self.take():
            return 0
        self.ask()
        return 1


class Listener:
    """A listener to the feed."""

    def __init__(self, port: int, poll: select.epoll) -> None:
        request = "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        self.socket, received = connected(port, request, 200)
        while EVENT.encode() not in received:
            data = self.socket.recv(1 << 16)
            received += data
            if not data or len(received) > 1 << 20:
                self.socket.close()
                raise LoadError(f"there is no event in {received[:500]!r}")
        poll.register(self.socket, select.EPOLLIN)

    def taken(self) -> int:
        """Read what has come, and return how many events are in it."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise LoadError("the stream has ended")
        return data.count(b"~")


KINDS: dict[str, type[Echoer | Listener]] = {"echo": Echoer, "events": Listener}


class Crowd:
    """Visitors of one kind.

    :param kind: which.
    :param port: the server's, on loopback.
    :param count: how many.
    """

    def __init__(self, kind: str, port: int, count: int) -> None:
        self._poll = select.epoll()
        self._visitors = [KINDS[kind](port, self._poll) for _ in range(count)]
        self._by_number = {visitor.socket.fileno(): visitor for visitor in self._visitors}

    def load(self, seconds: float) -> int:
        """Take what comes for so many seconds, and return how many messages that were.

        :raises LoadError: if one is not the expected one, or none comes.
        """
        came, deadline = 0, time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            ready = self._poll.poll(PATIENCE)
            if not ready:
                raise LoadError(f"nothing came for {PATIENCE:.0f} s")
            came += sum(self._by_number[number].taken() for number, _ in ready)
        return came

    def leave(self) -> None:
        """Close all connections."""
        for visitor in self._visitors:
            visitor.socket.close()
        self._poll.close()


def main() -> None:
    """Warm up, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="of the server")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--warm-up", type=float, default=0.3, help="seconds")
    asked = parser.parse_args()
    cpu.pin(0)
    crowd = Crowd(asked.kind, asked.port, asked.connections)
    crowd.load(asked.warm_up)
    spent, began = cpu.seconds(asked.pid), time.perf_counter()
    came = crowd.load(asked.seconds)
    took = time.perf_counter() - began
    spent = cpu.seconds(asked.pid) - spent
    crowd.leave()
    print(json.dumps({"answered": came, "seconds": took, "cpu": spent}))


if __name__ == "__main__":
    main()
