"""The start and the end of real server processes: failures, signals, and what is in flight."""

from __future__ import annotations

import re
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from asyncflask.sse import PING

from .. import awake
from ..live.wire import Answer, Connection, request
from .conftest import Process, Start

#: Seconds that the servers here give to what is in flight.
GRACE = 5
#: Seconds that a busy machine may add to them, before the process has noticed and has ended.
SLACK = 8
#: Of each kind; the sync ones together fewer than SYNC_WORKERS.
STREAMS, REQUESTS = 200, 20

FAILING = """\
from asyncflask import Flask

app = Flask(__name__)


@app.while_serving
async def pool():
    yield
    print("pool left")


@app.before_serving
{kind} connect():
    raise OSError("no database")
"""

BUSY = """\
import threading

import anyio

from asyncflask import EventSourceResponse, Flask, request

app = Flask(__name__)
app.config["BACKGROUND_TASK_SHUTDOWN_TIMEOUT"] = 5
begun, ends = [], []


@app.get("/begun")
async def number():
    return {"begun": len(begun)}


@app.get("/stream")
async def stream():
    async def events():
        try:
            begun.append(1)
            yield "hello"
            await anyio.sleep_forever()
        finally:
            ends.append(1)

    return EventSourceResponse(events())


@app.get("/sync/stream")
def sync_stream():
    def events():
        try:
            begun.append(1)
            yield "hello"
            while True:
                app.async_to_sync(anyio.sleep)(3600)
                yield "never"
        finally:
            ends.append(1)

    return EventSourceResponse(events())


@app.get("/work")
async def work():
    begun.append(1)
    await app.shutdown_event.wait()
    await anyio.sleep(0.3)
    return "x" * 100_000


@app.get("/sync/work")
def sync_work():
    begun.append(1)
    app.async_to_sync(app.shutdown_event.wait)()
    threading.Event().wait(0.3)
    return "x" * 100_000


@app.get("/hang")
def hang():
    begun.append(1)
    threading.Event().wait(60)
    return "late"


@app.get("/task")
async def task():
    begun.append(1)
    app.add_background_task(finish)
    return "added"


async def finish():
    await app.shutdown_event.wait()
    await anyio.sleep(0.1)
    print("task done")


@app.after_serving
def after():
    print("streams ended:", len(ends))
"""

ASYNCFLASK = ["-m", "asyncflask", "run", "--port", "0", "--shutdown-timeout", str(GRACE)]
UVICORN = ["-m", "uvicorn", "app:app", "--port", "0", "--timeout-graceful-shutdown", str(GRACE)]
SERVERS = {"asyncflask": ASYNCFLASK, "uvicorn": UVICORN}


#: What a stream has sent before it waits.
HELLO = b"data: hello\n\n"


def without_pings(answer: Answer) -> bytes:
    return answer.body.replace(PING, b"")


def address(server: Process) -> tuple[str, int]:
    """Return where a server listens, once it has said so."""
    found = re.search(r"http://127\.0\.0\.1:(\d+)", server.until("http://127.0.0.1:"))
    assert found is not None
    return "127.0.0.1", int(found[1])


@pytest.mark.parametrize("kind", ["async def", "def"])
@pytest.mark.parametrize("command", SERVERS.values(), ids=[*SERVERS])
def test_a_failing_hook_fails_the_start(
    project: Path, start: Start, command: list[str], kind: str
) -> None:
    (project / "app.py").write_text(FAILING.replace("{kind}", kind))
    server = start(*command, PYTHONPATH=str(project))
    assert server.wait() == 3
    place = f"{project / 'app.py'}, line 12"
    assert "OSError: no database" in server.output
    assert f"Raised by the before_serving hook connect ({place})." in server.output
    assert "pool left" in server.lines
    assert "asyncflask/asgi/hooks.py" in server.output  # with the traceback, once
    assert server.output.count("Traceback") == 1


def test_a_worker_that_fails_to_start_is_not_replaced(project: Path, start: Start) -> None:
    (project / "app.py").write_text(FAILING.replace("{kind}", "async def"))
    server = start(*ASYNCFLASK, "--workers", "2")
    assert server.wait() == 3
    assert server.output.count("Raised by the before_serving hook connect") >= 1


class Busy:
    """A server with connections of several kinds.

    :param server: the server.
    """

    def __init__(self, server: Process, open_: ExitStack) -> None:
        self.server, self.address, self._open = server, address(server), open_
        self.connections: dict[str, list[Connection]] = {}

    def connect(self) -> Connection:
        return self._open.enter_context(Connection(self.address))

    def begin(self, path: str, count: int) -> None:
        self.connections[path] = [self.connect() for _ in range(count)]
        for connection in self.connections[path]:
            connection.send(request("GET", path))

    def wait_for_all(self) -> None:
        """Wait until each request has come as far as its view."""
        wanted = sum(map(len, self.connections.values()))
        deadline = time.monotonic() + 15
        with Connection(self.address) as connection:
            while True:
                connection.send(request("GET", "/begun"))
                if connection.answer().text == f'{{"begun":{wanted}}}\n':
                    return
                assert time.monotonic() < deadline, "the requests did not come in"

    def end(self, number: int) -> float:
        """Send a signal; return how many seconds the process has lived on."""
        began = awake.now()
        self.server.process.send_signal(number)
        self.server.process.wait(30)
        return awake.now() - began


@pytest.mark.time_limit(60)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", SERVERS.values(), ids=[*SERVERS])
def test_a_signal_ends_streams_and_lets_requests_finish(
    project: Path, start: Start, command: list[str], number: signal.Signals
) -> None:
    (project / "app.py").write_text(BUSY)
    with ExitStack() as open_:
        busy = Busy(start(*command, PYTHONPATH=str(project)), open_)
        busy.begin("/stream", STREAMS)
        busy.begin("/sync/stream", 3)
        busy.begin("/work", REQUESTS)
        busy.begin("/sync/work", REQUESTS)
        busy.begin("/task", 1)
        busy.wait_for_all()
        seconds = busy.end(number)
        answers = {
            path: [connection.answer() for connection in connections]
            for path, connections in busy.connections.items()
        }
    assert seconds < GRACE + SLACK
    for path in ("/stream", "/sync/stream"):  # whole, so up to the last chunk
        assert {(each.status, without_pings(each)) for each in answers[path]} == {(200, HELLO)}
    for path in ("/work", "/sync/work"):
        assert {(each.status, each.body) for each in answers[path]} == {(200, b"x" * 100_000)}
    status = busy.server.wait()
    own = command is ASYNCFLASK or number == signal.SIGINT
    assert status == (0 if own else -number)  # uvicorn sends itself the signal in the end
    assert "task done" in busy.server.lines
    assert f"streams ended: {STREAMS + 3}" in busy.server.lines
    assert "Traceback" not in busy.server.output


@pytest.mark.time_limit(60)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_hangs_does_not_keep_the_process(
    project: Path, start: Start, number: signal.Signals
) -> None:
    (project / "app.py").write_text(BUSY)
    command = ["1" if each == str(GRACE) else each for each in ASYNCFLASK]
    with ExitStack() as open_:
        busy = Busy(start(*command), open_)
        busy.begin("/hang", 2)
        busy.wait_for_all()
        assert busy.end(number) < 1 + SLACK
    assert busy.server.wait() == 0
    assert "streams ended: 0" in busy.server.lines


def test_workers_end_their_streams(project: Path, start: Start) -> None:
    (project / "app.py").write_text(BUSY)
    with ExitStack() as open_:
        busy = Busy(start(*ASYNCFLASK, "--workers", "2"), open_)
        busy.begin("/stream", 4)
        for connection in busy.connections["/stream"]:
            received = b""
            while HELLO not in received:
                received += connection.receive(1)
        assert busy.end(signal.SIGTERM) < GRACE + SLACK
    assert busy.server.wait() == 0
    ended = [line for line in busy.server.lines if line.startswith("streams ended: ")]
    assert sum(int(line.split()[-1]) for line in ended) == 4
