"""Files for clients that read slowly: no thread is kept for them, and no file stays open."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from asyncflask import Flask, Response, send_file

from .server import PATIENCE, STACKS, HttpName, LiveServer, LoopName, serving
from .wire import Connection
from .wire import request as raw_request

#: Far more than what a connection's buffers hold.
SIZE = 16 * 1024 * 1024

#: Clients that have a file sent, and do not read it.
READERS = 200

Stack = tuple[LoopName, HttpName]


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "big.bin"
    path.write_bytes(os.urandom(1024 * 1024) * 16)
    return path


def make_app(big: Path) -> Flask:
    app = Flask("files", static_folder=str(big.parent), static_url_path="/static")
    app.config.update(FILE_WORKERS=2, SYNC_WORKERS=2)
    app.extensions["closed"] = closed = threading.Semaphore(0)

    @app.get("/sync")
    def sync_view() -> Response:
        return send_file(big)

    @app.get("/async")
    async def async_view() -> Response:
        return send_file(big)

    @app.get("/on-close")
    def on_close() -> Response:
        response = send_file(big)
        response.call_on_close(closed.release)
        return response

    @app.get("/other")
    def other() -> str:
        return "at once"

    return app


@pytest.fixture(params=STACKS, ids="-".join)
def site(request: pytest.FixtureRequest, big: Path) -> Iterator[LiveServer]:
    with serving(make_app(big), *request.param) as server:
        yield server


def open_files(path: Path) -> int:
    """Return how often this process has a file open."""
    found = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{number}") == str(path)
        except FileNotFoundError:
            continue
    return found


def wait_until(reached: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def begin(connection: Connection, target: str, *headers: str) -> bytes:
    """Ask for a file, and read no more than the head of the answer."""
    connection.send(raw_request("GET", target, *headers))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.receive(1)
    return head


@pytest.mark.parametrize("target", ["/sync", "/async", "/static/big.bin"])
@pytest.mark.time_limit(60)
def test_slow_readers_keep_no_thread(site: LiveServer, big: Path, target: str) -> None:
    with ExitStack() as stack:
        readers = [stack.enter_context(site.connect()) for _ in range(READERS)]
        for reader in readers:
            assert begin(reader, target).startswith(b"HTTP/1.1 200")
        assert open_files(big) == READERS
        assert site.get("/other").text == "at once"
        wait_until(lambda: not site.on_loop(lambda: site.app.sync_metrics).held, "a thread is kept")
        for reader in readers[READERS // 2 :]:
            reader.reset()
        readers[0].receive(SIZE)
    wait_until(lambda: not open_files(big), "a file stayed open")


@pytest.mark.parametrize("target", ["/sync", "/async", "/static/big.bin", "/on-close"])
def test_all_of_a_file_and_a_range(site: LiveServer, big: Path, target: str) -> None:
    content = big.read_bytes()
    answer = site.get(target)
    assert answer.body == content
    assert answer.header("content-length") == str(SIZE)
    start, end = 262_140, 5_000_000
    for last, expected in [
        (start, content[start : start + 1]),
        (end, content[start : end + 1]),
        (SIZE - 1, content[start:]),
    ]:
        answer = site.get(target, f"Range: bytes={start}-{last}")
        assert answer.status == 206
        assert answer.body == expected
    assert site.get(target, "Range: bytes=99999999-").status == 416
    tag = site.get(target, "Range: bytes=0-0").header("etag")
    assert site.get(target, f"If-None-Match: {tag}").status == 304
    wait_until(lambda: not open_files(big), "a file stayed open")


@pytest.mark.parametrize("target", ["/sync", "/async"])
def test_the_head_alone_opens_nothing_for_long(site: LiveServer, big: Path, target: str) -> None:
    answer = site.ask(raw_request("HEAD", target), "HEAD")
    assert (answer.status, answer.body, answer.header("content-length")) == (200, b"", str(SIZE))
    wait_until(lambda: not open_files(big), "a file stayed open")


def test_what_is_registered_on_close_is_called_when_the_client_leaves(
    site: LiveServer, big: Path
) -> None:
    with site.connect() as reader:
        begin(reader, "/on-close")
        closed: threading.Semaphore = site.app.extensions["closed"]
        assert not closed.acquire(blocking=False)
        reader.reset()
        assert closed.acquire(timeout=PATIENCE)
    wait_until(lambda: not open_files(big), "a file stayed open")
