"""Streams over real servers: passed on, hinted at, followed by trailers, and left by clients."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import typing as t
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, aclosing
from functools import partial
from pathlib import Path

import anyio
import h2.config
import h2.connection
import h2.events
import httpx
import pytest
from starlette.middleware.gzip import GZipMiddleware
from werkzeug.exceptions import ClientDisconnected

from asyncflask import (
    EventSourceResponse,
    Flask,
    NDJSONResponse,
    Response,
    request,
    send_file,
    streaming_response,
)

from .server import PATIENCE, STACKS, Site, serving
from .trio_server import serving_on_trio
from .wire import request as raw_request
from .wsgi_processes import START

SITES: dict[str, Callable[[t.Any], AbstractContextManager[Site]]] = {
    "-".join(stack): partial(serving, loop=stack[0], http=stack[1]) for stack in STACKS
}
SITES["trio"] = serving_on_trio


class Count:
    """Counts what happens, from any thread."""

    def __init__(self) -> None:
        self._values: Counter[str] = Counter()
        self._changed = threading.Condition()

    def __call__(self, name: str) -> None:
        with self._changed:
            self._values[name] += 1
            self._changed.notify_all()

    def wait(self, **wanted: int) -> None:
        """Wait until so many of each were counted."""
        with self._changed:
            reached = self._changed.wait_for(
                lambda: all(self._values[name] == count for name, count in wanted.items()),
                PATIENCE,
            )
            assert reached, self._values


def make_app(count: Count, origin: Callable[[], str]) -> Flask:
    app = Flask(__name__)
    app.config["BODY_TIMEOUT"] = 0.3

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        count("torn down, left" if isinstance(error, ClientDisconnected) else "torn down")

    @app.get("/proxy/<path:path>")
    async def proxy(path: str) -> t.Any:
        async with (
            httpx.AsyncClient(timeout=PATIENCE) as client,
            client.stream("GET", f"{origin()}/{path}") as upstream,
            streaming_response(
                upstream.status_code, mimetype=upstream.headers["content-type"]
            ) as out,
            aclosing(t.cast("t.Any", upstream.aiter_raw())) as chunks,
        ):
            async for chunk in chunks:
                await out.send(chunk)
        return out

    @app.get("/numbers")
    async def numbers() -> t.Any:
        async def body() -> AsyncIterator[str]:
            for number in range(1000):
                yield f"{number},"

        return Response(body(), 206, mimetype="text/csv")

    @app.get("/endless")
    async def endless() -> t.Any:
        count("opened")

        async def body() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x" * 1000
                    await anyio.sleep(0.001)
            finally:
                count("closed")

        return Response(body(), mimetype="text/plain")

    add_ending(app, count)
    add_reading(app)
    return app


def add_ending(app: Flask, count: Count) -> None:
    @app.get("/waiting", cancel_on_disconnect=True)
    async def waiting() -> str:
        count("waiting")
        await anyio.sleep_forever()
        return ""

    @app.get("/waiting-sync", cancel_on_disconnect=True)
    def waiting_in_thread() -> str:
        count("waiting")
        app.async_to_sync(anyio.sleep_forever)()
        return ""

    @app.get("/asking")
    async def asking() -> str:
        count("waiting")
        while not await request.is_disconnected():  # noqa: ASYNC110 - it is asked on purpose
            await anyio.sleep(0.001)
        count("noticed")
        return ""

    @app.get("/asking-sync")
    def asking_in_thread() -> str:
        count("waiting")
        while not request.is_disconnected():
            time.sleep(0.001)
        count("noticed")
        return ""

    @app.get("/late", timeout=0.05)
    async def late() -> str:
        await anyio.sleep_forever()
        return ""


def add_reading(app: Flask) -> None:
    @app.post("/body")
    def body() -> str:
        return str(len(request.get_data()))

    @app.post("/body-async")
    async def body_on_loop() -> str:
        return str(len(request.get_data()))

    @app.post("/body-raw", stream_body=True)
    async def body_as_it_comes() -> str:
        chunks = t.cast("AsyncIterator[bytes]", request.stream)
        return str(sum([len(chunk) async for chunk in chunks]))


class Running:
    """A server that runs, and what its app counts."""

    def __init__(self, site: Site, count: Count) -> None:
        self.site, self.count = site, count


@pytest.fixture(params=SITES)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    count = Count()
    app = make_app(count, lambda: "http://{}:{}".format(*origin.address))
    with SITES[request.param](app) as origin:
        yield Running(origin, count)


def test_a_response_is_passed_on(running: Running) -> None:
    answer = running.site.get("/proxy/numbers")
    assert answer.status == 206
    assert answer.text == "".join(f"{number}," for number in range(1000))
    running.count.wait(**{"torn down": 2})


# NOTE: httpx has generators within generators, which it does not close when trio cancels it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("leave", ["finish", "reset"])
def test_a_client_that_leaves_a_proxy_leaves_its_origin_too(running: Running, leave: str) -> None:
    with running.site.connect() as connection:
        connection.send(raw_request("GET", "/proxy/endless"))
        assert len(connection.receive(10_000)) == 10_000
        running.count.wait(opened=1, closed=0)
        connection.reset() if leave == "reset" else connection.socket.close()
        running.count.wait(closed=1, **{"torn down, left": 1, "torn down": 1})


@pytest.mark.parametrize("path", ["/waiting", "/waiting-sync"])
def test_a_view_is_ended_with_its_client(running: Running, path: str) -> None:
    with running.site.connect() as connection:
        connection.send(raw_request("GET", path))
        running.count.wait(waiting=1)
    running.count.wait(**{"torn down, left": 1})


@pytest.mark.parametrize("path", ["/asking", "/asking-sync"])
def test_a_view_can_ask(running: Running, path: str) -> None:
    with running.site.connect() as connection:
        connection.send(raw_request("GET", path))
        running.count.wait(waiting=1)
    running.count.wait(noticed=1)


def test_a_view_that_takes_too_long(running: Running) -> None:
    assert running.site.get("/late").status == 503


@pytest.mark.parametrize("path", ["/body", "/body-async", "/body-raw"])
@pytest.mark.parametrize("sent", [0, 10, 100_000])
def test_a_silent_client_gets_408_and_is_let_go(running: Running, path: str, sent: int) -> None:
    with running.site.connect() as connection:
        whole = raw_request("POST", path, "Content-Length: 200000") + b"x" * sent
        connection.send(whole)
        answer = connection.rest()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer.lower()
    assert answer.endswith(b"in time.</p>\n")


def test_a_connection_goes_on_after_a_body_that_came_in_time(running: Running) -> None:
    with running.site.connect() as connection:
        for path in ("/body", "/body-async", "/body-raw"):
            connection.send(raw_request("POST", path, body=b"x" * 100_000))
            assert connection.answer("POST").text == "100000"


# -- compression -------------------------------------------------------------------------------


def compressing_app(gate: threading.Event) -> Flask:
    app = Flask(__name__)
    app.asgi_app = GZipMiddleware(app.asgi_app)  # type: ignore[method-assign]

    async def items() -> AsyncIterator[t.Any]:
        yield "a" * 1000
        await anyio.to_thread.run_sync(gate.wait)
        yield "b"

    @app.get("/generator")
    async def generator() -> Response:
        return Response(items())

    @app.get("/ndjson")
    async def ndjson() -> Response:
        return NDJSONResponse(items())

    @app.get("/sse")
    async def sse() -> Response:
        return EventSourceResponse(items())

    @app.get("/block")
    async def block() -> t.Any:
        async with streaming_response() as out:
            async for item in items():
                await out.send(item)
        return out

    return app


@pytest.mark.parametrize("path", ["/generator", "/ndjson", "/sse", "/block"])
def test_what_is_compressed_comes_piece_by_piece(path: str) -> None:
    gate = threading.Event()
    with serving(compressing_app(gate)) as server, server.connect() as connection:
        connection.send(raw_request("GET", path, "Accept-Encoding: gzip", "Connection: close"))
        inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        received, text = b"", b""
        try:
            while text.count(b"a") < 1000:  # and the second item does not come before
                received += connection.socket.recv(65536)
                head, _, body = received.partition(b"\r\n\r\n")
                plain = b"text/event-stream" in head
                text = body if plain else inflate.copy().decompress(dechunked(body))
        finally:
            gate.set()
        assert b"b" not in text.replace(b"data", b"")
        assert (b"content-encoding: gzip" in head.lower()) == (path != "/sse")
        assert connection.rest()


def dechunked(body: bytes) -> bytes:
    """Return what has come of a chunked body."""
    parts = []
    while b"\r\n" in body:
        size, _, body = body.partition(b"\r\n")
        parts.append(body[: int(size or b"0", 16)])
        body = body[int(size or b"0", 16) + 2 :]
    return b"".join(parts)


# -- what HTTP/2 offers ------------------------------------------------------------------------


def http2_events(address: tuple[str, int], path: str, *headers: tuple[str, str]) -> list[t.Any]:
    """Send a request by HTTP/2, which both sides know of beforehand; return what comes."""
    config = h2.config.H2Configuration(header_encoding="utf-8")
    connection = h2.connection.H2Connection(config)
    found: list[t.Any] = []
    with socket.create_connection(address, timeout=PATIENCE) as sock:
        connection.initiate_connection()
        head = [(":method", "GET"), (":path", path), (":scheme", "http"), (":authority", "here")]
        connection.send_headers(1, [*head, *headers], end_stream=True)
        sock.sendall(connection.data_to_send())
        while not any(isinstance(event, h2.events.StreamEnded) for event in found):
            data = sock.recv(65536)
            assert data, found
            found += connection.receive_data(data)
            sock.sendall(connection.data_to_send())
    return found


def of_kind(events: list[t.Any], kind: type[t.Any]) -> list[dict[str, str]]:
    return [dict(event.headers) for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("path", ["/async", "/sync", "/block"])
def test_hints_and_trailers_over_http_2(path: str) -> None:
    app = Flask(__name__)
    link = "</style.css>; rel=preload; as=style"

    def respond() -> Response:
        async def body() -> AsyncIterator[str]:
            yield "body"

        response = Response(body())
        response.trailers = lambda: {"X-Sum": "7"}
        return response

    @app.get("/async")
    async def on_loop() -> Response:
        assert await request.send_early_hints([link])
        return respond()

    @app.get("/sync")
    def in_thread() -> Response:
        assert request.send_early_hints([link])
        return respond()

    @app.get("/block")
    async def block() -> t.Any:
        assert await request.send_early_hints([link])
        async with streaming_response(trailers={"X-Sum": "7"}) as out:
            await out.send("body")
        return out

    with serving_on_trio(app) as site:
        events = http2_events(site.address, path, ("te", "trailers"))
        without = http2_events(site.address, path)
    [hints] = of_kind(events, h2.events.InformationalResponseReceived)
    assert (hints[":status"], hints["link"]) == ("103", link)
    [response] = of_kind(events, h2.events.ResponseReceived)
    assert response[":status"] == "200"
    [trailers] = of_kind(events, h2.events.TrailersReceived)
    assert trailers == {"x-sum": "7"}
    assert of_kind(without, h2.events.TrailersReceived) == []


def test_over_http_1_they_are_dropped() -> None:
    app = Flask(__name__)

    @app.get("/")
    async def view() -> Response:
        response = Response(str(await request.send_early_hints(["</x>; rel=preload"])))
        response.trailers = {"X-Sum": "7"}
        return response

    with serving(app) as server, server.connect() as connection:
        connection.send(raw_request("GET", "/", "TE: trailers", "Connection: close"))
        answer = connection.rest()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"False")
    assert b"sum" not in answer.lower()


# -- files by their path -----------------------------------------------------------------------

app = Flask(__name__)
FILE = Path(os.environ.get("STREAMING_TEST_FILE", __file__))


@app.get("/extensions")
async def extensions() -> list[str]:
    return sorted(t.cast("t.Any", request.scope)["extensions"] or ())


@app.get("/file")
async def file_on_loop() -> Response:
    return send_file(FILE)


@app.get("/file-sync")
def file_in_thread() -> Response:
    return send_file(FILE)


@pytest.mark.time_limit(60)
def test_granian_sends_files_by_their_path(tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    (tmp_path / "file").write_bytes(content)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()[:2]
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(port)]
    environment = {**os.environ, "STREAMING_TEST_FILE": str(tmp_path / "file")}
    root = Path(__file__).parents[2]
    with (
        open(tmp_path / "log", "w+") as log,
        subprocess.Popen(
            [*command, f"{__name__}:app"],
            env={**environment, "PYTHONPATH": str(root)},
            cwd=root,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            site = Site()
            site.address, site.prompt = (host, port), START
            assert "http.response.pathsend" in when_it_answers(site, process)
            for path in ("/file", "/file-sync"):
                answer = site.get(path)
                assert answer.body == content
                assert answer.header("content-length") == str(len(content))
                tag = answer.header("etag")
                assert site.get(path, f"If-None-Match: {tag}").status == 304
                assert site.get(path, "Range: bytes=1-3").body == b"\1\2\3"
                assert site.ask(raw_request("HEAD", path), "HEAD").body == b""
        finally:
            process.terminate()
            process.wait(START)
    assert "Traceback" not in (tmp_path / "log").read_text()


def when_it_answers(site: Site, process: subprocess.Popen[bytes]) -> list[str]:
    deadline = time.monotonic() + START
    while True:
        try:
            return t.cast("list[str]", json.loads(site.get("/extensions").body))
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
