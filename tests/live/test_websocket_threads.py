"""Plain ``def`` handlers of websockets: each in its lane's thread, as many as there are clients."""

from __future__ import annotations

import sqlite3
import threading
import typing as t
from contextlib import ExitStack

import pytest
from websockets.exceptions import InvalidStatus

from asyncflask import Flask, Response, WebSocketDisconnect, g, request, websocket

from ..conftest import Live
from .server import PATIENCE, LiveServer
from .sockets import (
    OLD,
    PING,
    PONG,
    SOCKET_STACKS,
    TEXT,
    Heard,
    RawSocket,
    Stack,
    closing,
    frame,
    open_socket,
)

pytestmark = pytest.mark.filterwarnings(OLD)
stacks = pytest.mark.parametrize("stack", SOCKET_STACKS, ids="-".join)

WORKERS = 3

#: The websocket as sync code sees it, whose methods return what they do.
here: t.Any = websocket


@stacks
def test_more_sockets_than_threads_may_work(live: Live, stack: Stack) -> None:
    """A handler that waits for its client leaves its turn to others, and to plain requests."""
    app = Flask(__name__)
    app.config.update(SYNC_WORKERS=WORKERS)
    threads = set()

    @app.websocket("/")
    def echo() -> None:
        for message in here:
            threads.add(threading.get_ident())
            here.send(message)

    @app.get("/")
    def page() -> str:
        return "page"

    server = live(app, **stack._asdict())
    with ExitStack() as clients:
        there = [clients.enter_context(open_socket(server, "/")) for _ in range(10 * WORKERS)]
        for _ in range(3):
            for number, client in enumerate(there):
                client.send(str(number))
            for number, client in enumerate(there):
                assert client.recv(PATIENCE) == str(number)
        assert len(threads) == len(there)
        assert server.get("/").text == "page"
        metrics = server.on_loop(lambda: app.sync_metrics)
        assert metrics.held >= len(there)
        assert metrics.waiting == 0
    server.rest()
    assert server.on_loop(lambda: app.sync_metrics).held == 0


@stacks
def test_one_thread_from_the_first_hook_to_the_last(live: Live, stack: Stack) -> None:
    """What may be used in its own thread only, such as a connection of sqlite3, works all along."""
    app = Flask(__name__)
    heard = Heard()

    @app.before_websocket
    def connect() -> None:
        g.database = sqlite3.connect(":memory:")
        g.database.execute("CREATE TABLE message (text)")

    @app.websocket("/")
    def store() -> None:
        for message in here:
            g.database.execute("INSERT INTO message VALUES (?)", [message])
            here.send(str(g.database.execute("SELECT count(*) FROM message").fetchone()[0]))

    @app.after_websocket
    def check(response: Response | None) -> Response | None:
        heard.put(g.database.execute("SELECT text FROM message").fetchall())
        return response

    @app.teardown_websocket
    def disconnect(error: BaseException | None) -> None:
        g.database.close()
        heard.put(error)

    server = live(app, **stack._asdict())
    with open_socket(server, "/") as client:
        for number, text in enumerate(("a", "b"), 1):
            client.send(text)
            assert client.recv(PATIENCE) == str(number)
    assert heard.next() == [("a",), ("b",)]
    assert heard.next() is None


@stacks
def test_hooks_of_the_other_kind(live: Live, stack: Stack) -> None:
    app = Flask(__name__)
    heard = Heard()

    @app.before_websocket
    async def before() -> None:
        g.number = 1

    @app.websocket("/")
    def handle() -> None:
        here.send(str(g.number))
        g.number += 1

    @app.teardown_websocket
    async def teardown(error: BaseException | None) -> None:
        heard.put(g.number)

    server = live(app, **stack._asdict())
    with open_socket(server, "/") as client:
        assert client.recv(PATIENCE) == "1"
    assert heard.next() == 2


@stacks
@pytest.mark.parametrize("way", ["close", "FIN", "RST"])
def test_a_thread_whose_client_vanishes(live: Live, stack: Stack, way: str) -> None:
    """The handler ends, and the thread is there for others."""
    app = Flask(__name__)
    app.config.update(SYNC_WORKERS=1)
    heard = Heard()

    @app.websocket("/")
    def wait() -> None:
        here.accept()
        try:
            here.receive()
        except WebSocketDisconnect as left:
            heard.put(left.code)
            raise

    @app.teardown_websocket
    def teardown(error: BaseException | None) -> None:
        heard.put(error)

    @app.get("/")
    def page() -> str:
        return "page"

    server = live(app, **stack._asdict())
    for _ in range(3):
        with RawSocket(server, "/").opened() as client:
            if way == "close":
                client.send(closing(1000))
                assert client.code() == 1000
            elif way == "RST":
                client.reset()
        assert heard.next() in ((1000,) if way == "close" else (1005, 1006))
        assert heard.next() is None
    server.rest()
    assert server.get("/").text == "page"
    metrics = server.on_loop(lambda: app.sync_metrics)
    assert (metrics.held, metrics.waiting) == (0, 0)


@stacks
def test_a_vanished_client_is_noticed_by_who_sends(live: Live, stack: Stack) -> None:
    app = Flask(__name__)
    heard = Heard()

    @app.websocket("/")
    def talk() -> None:
        try:
            while True:
                here.send("x" * 10_000)
        except WebSocketDisconnect:
            heard.put("noticed")
            raise

    @app.teardown_websocket
    def teardown(error: BaseException | None) -> None:
        heard.put(error)

    server = live(app, **stack._asdict())
    with RawSocket(server, "/").opened() as client:
        assert client.frame() == (TEXT, b"x" * 10_000)
        client.reset()
    assert heard.next() == "noticed"
    assert heard.next() is None


@stacks
def test_more_than_may_wait(live: Live, stack: Stack) -> None:
    """Beyond `SYNC_QUEUE_LIMIT` a handshake is denied at once; those that are there go on."""
    app = Flask(__name__)
    app.config.update(SYNC_WORKERS=1, SYNC_QUEUE_LIMIT=4)
    torn_down = threading.Semaphore(0)

    @app.websocket("/")
    def echo() -> None:
        for message in here:
            here.send(message)

    @app.websocket("/async")
    async def echo_on_loop() -> None:
        async for message in websocket:
            await websocket.send(message)

    @app.teardown_websocket
    def note(error: BaseException | None) -> None:
        if request.path == "/":
            torn_down.release()

    server = live(app, **stack._asdict())
    with ExitStack() as clients:
        there = [clients.enter_context(open_socket(server, "/")) for _ in range(4)]
        for client in there:
            client.send("there")
            assert client.recv(PATIENCE) == "there"
        wait_for_held(server, 4)
        for _ in range(3):
            with pytest.raises(InvalidStatus) as refused:
                open_socket(server, "/")
            assert refused.value.response.status_code == 503
            assert refused.value.response.headers["Retry-After"] == "1"
        for client in there:
            client.send("still there")
            assert client.recv(PATIENCE) == "still there"
        assert not torn_down.acquire(blocking=False)
    for _ in range(4):
        assert torn_down.acquire(timeout=PATIENCE)
    server.rest()
    with open_socket(server, "/") as client:
        client.send("again")
        assert client.recv(PATIENCE) == "again"


def wait_for_held(server: LiveServer, number: int) -> None:
    """Wait until so many handlers wait for their clients."""
    while server.on_loop(lambda: server.app.sync_metrics.held) < number:
        pass


@stacks
def test_pings_while_a_thread_works(live: Live, stack: Stack) -> None:
    """The server answers pings, whatever the handler does."""
    app = Flask(__name__)
    begun, gate = threading.Event(), threading.Event()

    @app.websocket("/")
    def work() -> None:
        here.accept()
        begun.set()
        assert gate.wait(PATIENCE)
        here.send("done")

    server = live(app, **stack._asdict())
    with RawSocket(server, "/").opened() as client:
        assert begun.wait(PATIENCE)
        client.send(frame(PING, b"there?"))
        assert client.frame() == (PONG, b"there?")
        gate.set()
        assert client.frame() == (TEXT, b"done")
        client.send(closing(1000))
        assert client.code() == 1000  # before uvicorn is stopped, which may fail in between


@stacks
def test_a_sync_handler_may_use_async_code(live: Live, stack: Stack) -> None:
    """An async helper works on the loop, with the same websocket, which is awaited there."""
    app = Flask(__name__)

    async def exchange() -> None:
        async for message in websocket:
            await websocket.send(f"{request.args['name']}: {message!r}")

    @app.websocket("/")
    def handle() -> None:
        app.async_to_sync(exchange)()

    server = live(app, **stack._asdict())
    with open_socket(server, "/?name=ada") as client:
        client.send("hello")
        assert client.recv(PATIENCE) == "ada: 'hello'"
