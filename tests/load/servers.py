"""Servers that answer as no server should, and plans for them."""

from __future__ import annotations

import socket
import struct
import threading
import typing as t
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio

from asyncflask.load.plan import Plan
from asyncflask.load.record import Record
from asyncflask.load.runner import Runner
from asyncflask.load.sending import over_network

Behaviour = Callable[[socket.socket], None]


@contextmanager
def broken(behave: Behaviour) -> Iterator[str]:
    """Serve in a thread: each connection is handed to `behave` once its request has come in."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            connection, _ = server.accept()
            with connection:
                if not connection.recv(65536):
                    return  # nobody but the end below connects without asking
                behave(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    host, port = server.getsockname()
    try:
        yield f"http://{host}:{port}/"
    finally:
        socket.create_connection((host, port)).close()
        thread.join()
        server.close()


def reset(connection: socket.socket) -> None:
    """Close with an RST instead of a FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def sends(answer: bytes) -> Behaviour:
    """Return a behaviour: send some bytes, and close."""
    return lambda connection: connection.sendall(answer)


def is_silent(connection: socket.socket) -> None:
    """Send nothing until the client goes."""
    connection.recv(1)


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


async def record_of(plan: Plan) -> Record:
    """Do what a plan says, over the network."""
    async with Runner(plan, over_network(plan)) as runner:
        await runner.warm_up()
        await runner.measure()
    return runner.record


def run(url: str, **settings: t.Any) -> Record:
    """Do what a plan says: one request over one connection, if nothing else is said."""
    plan = Plan(url, **{"connections": 1, "requests": 1, **settings})
    return anyio.run(record_of, plan)
