"""The load generator: it takes every kind of answer, and notices a wrong one."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks import cpu, load, wrk
from benchmarks.calling import ASGICaller, CallError
from benchmarks.echo import Echoer
from benchmarks.load import Crowd, LoadError, Question, Seen, chunks, get, request, visitors
from benchmarks.rounds import CellError
from benchmarks.workloads import BY_NAME, MESSAGES

from .live.server import serving

linux_only = pytest.mark.skipif(not hasattr(select, "epoll"), reason="the load generator's poll")
pytestmark = linux_only

CLOSE = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
LENGTH = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=1\r\nlo\r\n0\r\n\r\n"
)
UNTIL_THE_END = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"
EMPTY = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def hello(scope: t.Any, receive: t.Any, send: t.Any) -> None:
    """Answer with a body in two parts, and with 404 elsewhere than on the front page."""
    if scope["type"] == "lifespan":
        return
    status = 200 if scope["path"] == "/" else 404
    headers = [(b"content-length", b"5")]
    if scope["query_string"]:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"he", "more_body": True})
    await send({"type": "http.response.body", "body": b"llo"})


async def size(scope: t.Any, receive: t.Any, send: t.Any) -> None:
    """Answer with the size of the body, in one chunk."""
    if scope["type"] == "lifespan":
        return
    came, more = 0, True
    while more:
        message = await receive()
        came, more = came + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(came).encode()})


@contextmanager
def answering(*connections: tuple[str, ...]) -> Iterator[int]:
    """Give the port of a server whose answers are these, by connection; then it hangs up.

    An answer's pieces have a ``|`` between them, and are sent by themselves.
    """

    def serve() -> None:
        for answers in connections:
            opened, _ = listener.accept()
            with opened:
                for answer in answers:
                    asked = b""
                    while not asked.endswith(b"\r\n\r\n"):
                        if not (data := opened.recv(4096)):
                            return
                        asked += data
                    for piece in answer.split("|"):
                        opened.send(piece.encode())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()


def asked(port: int, body: bytes = b"hello", times: int = 1) -> int:
    """Let one client ask, and return how many answers there were."""
    crowd = visitors(port, get(port, "/", body), 1)
    try:
        return sum(len(crowd.load(0.0)) for _ in range(times))
    finally:
        crowd.leave()


@pytest.mark.parametrize("path", ["/", "/?close"])
def test_answers_are_counted(path: str) -> None:
    with serving(hello) as server:
        crowd = visitors(server.address[1], get(server.address[1], path, b"hello"), 3)
        try:
            assert len(crowd.load(0.0)) == 3
            assert len(crowd.load(0.0)) == 3
        finally:
            crowd.leave()


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED, UNTIL_THE_END])
def test_every_framing_is_read(answer: str) -> None:
    with answering((answer,)) as port:
        assert asked(port) == 1


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED])
def test_an_answer_may_be_torn_anywhere(answer: str) -> None:
    for at in range(1, len(answer)):
        with answering((f"{answer[:at]}|{answer[at:]}", LENGTH)) as port:
            assert asked(port, times=2) == 2


def test_an_empty_body_is_complete_with_its_head() -> None:
    with answering((EMPTY,)) as port:
        assert asked(port, b"") == 1


def test_a_connection_that_the_server_announced_to_close_is_not_used_again() -> None:
    with answering((CLOSE,), (LENGTH,)) as port:
        assert asked(port, times=2) == 2


def test_who_finds_a_kept_connection_closed_asks_over_another() -> None:
    with answering((LENGTH,), (LENGTH,)) as port:
        assert asked(port, times=2) == 2


class Scripted:
    """One of two clients: the first is answered and hung up on, which has the second answered."""

    clients: t.ClassVar[list[Scripted]] = []

    def __init__(self, poll: select.epoll) -> None:
        self.here, self.there = socket.socketpair()
        poll.register(self.here, select.EPOLLIN)
        self.clients.append(self)
        self.left = 0

    def ask(self) -> int:
        if self is self.clients[0]:
            self.there.send(b"answer")
        return self.here.fileno()

    def go_on(self) -> None:
        """Do nothing: all of it has gone."""

    def take(self) -> bool:
        self.there.close()
        return self.here.recv(100) == b"answer"

    def leave(self) -> None:
        if self is self.clients[0] and not self.left:
            self.clients[1].there.send(b"answer")
        self.left += 1
        self.here.close()


def test_a_connection_may_be_closed_while_others_wait() -> None:
    crowd = Crowd(Scripted, 2)
    assert len(crowd.load(0.0)) == 2
    assert [client.left for client in Scripted.clients] == [1, 0]
    crowd.leave()


@pytest.mark.parametrize(
    ("path", "body"),
    [("/missing", b"hello"), ("/", b"world"), ("/", b"hell"), ("/?close", b"hello you")],
)
def test_another_answer_is_refused(path: str, body: bytes) -> None:
    with serving(hello) as server:
        crowd = visitors(server.address[1], get(server.address[1], path, body), 1)
        try:
            with pytest.raises(LoadError, match="not the expected answer"):
                crowd.load(0.0)
        finally:
            crowd.leave()


@pytest.mark.parametrize(
    "answers",
    [
        ("",),
        ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n0\r\n\r\n",),
        (LENGTH, LENGTH.replace("5", "4").replace("hello", "hell")),
    ],
    ids=["none", "cut off", "without the last chunk", "not in chunks", "shorter than the first"],
)
def test_a_broken_answer_is_refused(answers: tuple[str, ...]) -> None:
    with answering(answers) as port, pytest.raises(LoadError):
        asked(port, times=len(answers))


def test_a_body_goes_out_as_the_server_takes_it() -> None:
    body = bytes(3 << 20)
    with serving(size) as server:
        port = server.address[1]
        raw = request(port, "POST", "/", [("content-type", "text/plain")], body)
        crowd = visitors(port, Question(raw, lambda found: found == b"%d" % len(body)), 2)
        try:
            assert len(crowd.load(0.0)) == 2
            assert len(crowd.load(0.0)) == 2
        finally:
            crowd.leave()


def test_chunks_that_have_no_end_are_refused() -> None:
    assert [*chunks(b"a\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n")] == [b"0123456789", b"x"]
    with pytest.raises(LoadError, match="not made of chunks"):
        [*chunks(b"5\r\nhello\r\n")]


def test_what_is_seen_of_a_load() -> None:
    with serving(hello) as server:
        port = server.address[1]
        crowd = visitors(port, get(port, "/", b"hello"), 2)
        try:
            seen = crowd.watch(os.getpid(), 0.05)
        finally:
            crowd.leave()
    assert seen.answered == len(seen.latencies) >= 2
    assert seen.latencies == sorted(seen.latencies)
    assert seen.seconds >= 0.05
    assert seen.server >= seen.client > 0  # here they are one process


def test_percentiles() -> None:
    seen = Seen(1000, 1.0, 1.0, 1.0, [number / 1000 for number in range(1, 1001)])
    assert [seen.percentile(share) for share in (50, 99, 100)] == [501.0, 991.0, 1000.0]
    assert Seen(1, 1.0, 1.0, 1.0, [0.5]).percentile(99) == 500.0


def test_a_server_that_says_nothing_counts_as_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "PATIENCE", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(LoadError, match="no answer for"):
            asked(port)


async def echo(scope: t.Any, receive: t.Any, send: t.Any) -> None:
    """Send back what comes, in capital letters if the path says so."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        loud = scope["path"] == "/loud"
        text = message["text"].upper() if loud else message["text"]
        await send({"type": "websocket.send", "text": text})


def test_echoes_are_counted_and_compared() -> None:
    with serving(echo, loop="uvloop", http="httptools") as server:
        port = server.address[1]
        crowd = Crowd(lambda poll: Echoer(port, "/ws", "hello", poll), 3)
        loud = Crowd(lambda poll: Echoer(port, "/loud", "hello", poll), 1)
        try:
            assert len(crowd.load(0.0)) == 3
            assert len(crowd.load(0.0)) == 3
            with pytest.raises(LoadError, match="not the message that was sent"):
                loud.load(0.0)
        finally:
            crowd.leave()
            loud.leave()
        server.rest()


def test_a_crowd_that_does_not_get_in_leaves() -> None:
    """Without a warning of sockets that were left open."""
    came = 0

    async def one(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        nonlocal came
        came += scope["type"] == "websocket"
        await (echo if came == 1 else hello)(scope, receive, send)

    with serving(one, loop="uvloop", http="httptools") as server:
        port = server.address[1]
        with pytest.raises(LoadError, match="expected 101"):
            Crowd(lambda poll: Echoer(port, "/ws", "hello", poll), 2)
        server.rest()


async def test_a_message_that_is_missing_is_noticed() -> None:
    async def refuse(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await send({"type": "websocket.close", "code": 1000, "reason": ""})

    with pytest.raises(CallError, match=f"0 of {MESSAGES}"):
        await ASGICaller(refuse).call(BY_NAME["websocket"])()


def test_a_process_has_a_clock_that_others_can_read() -> None:
    before = time.process_time()
    seen = time.clock_gettime(cpu.clock(os.getpid()))
    assert before <= seen <= time.process_time()
    assert cpu.seconds(os.getpid()) >= seen


def test_a_block_is_kept_on_one_core() -> None:
    allowed = os.sched_getaffinity(0)
    with cpu.pinned(1):
        assert os.sched_getaffinity(0) == {cpu.ALLOWED[1 % len(cpu.ALLOWED)]}
    assert os.sched_getaffinity(0) == allowed


WRK = """Running 1s test @ http://127.0.0.1:8000/str
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   790.47us  120.14us   1.25s    91.11%
    Req/Sec    20.11k     1.20k   21.77k    81.82%
  Latency Distribution
     50%  771.00us
     75%    0.85ms
     90%    0.91ms
     99%    1.04s{}
  22014 requests in 1.10s, 3.02MB read
{}Requests/sec:  20013.42
Transfer/sec:      2.75MB
"""


def test_what_wrk_says_is_read() -> None:
    assert wrk.read(WRK.format(" ", "")) == {
        "per_second": 20013.42,
        "p50": 0.771,
        "p90": 0.91,
        "p99": 1040.0,
        "slowest": 1250.0,
    }


@pytest.mark.parametrize(
    "error",
    [
        "  Non-2xx or 3xx responses: 22014\n",
        "  Socket errors: connect 0, read 12, write 0, timeout 0\n",
    ],
)
def test_errors_that_wrk_counts_are_errors(error: str) -> None:
    with pytest.raises(CellError, match=error.strip()):
        wrk.read(WRK.format(" ", error))


def test_wrk_that_says_nothing_is_an_error() -> None:
    with pytest.raises(CellError, match="wrk says"):
        wrk.read(WRK.format("?", ""))
    with pytest.raises(CellError, match="unable to connect"):
        wrk.read("unable to connect to 127.0.0.1:8000 Connection refused")
