"""Reading a request's body under WSGI: in the request's own thread, whatever asks for it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import tempfile
import threading
import typing as t

import pytest
from werkzeug.exceptions import HTTPException

from asyncflask import Flask, request
from asyncflask.held import MEMORY_BYTES, allowance

from .servers import ask, make_environ, validated

FORM = {"CONTENT_TYPE": "application/x-www-form-urlencoded"}
LONG = b"x" * 700_000


class Input(io.BytesIO):
    """An input that remembers which threads read it."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.threads: set[int] = set()

    def read1(self, size: int | None = -1) -> bytes:
        self.threads.add(threading.get_ident())
        return super().read1(size)


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)

    @app.post("/data")
    async def data() -> str:
        return str(len(request.data))

    @app.post("/form")
    async def form() -> t.Any:
        return request.form

    @app.post("/json")
    async def as_json() -> t.Any:
        return {"got": request.get_json()}

    @app.post("/lines")
    async def lines() -> str:
        return str(sum(1 for _ in request.stream))

    @app.post("/chunks", stream_body=True)
    async def chunks() -> str:
        stream: t.Any = request.stream
        return str(sum([len(chunk) async for chunk in stream]))

    @app.post("/sync")
    def sync() -> str:
        return str(len(request.get_data()))

    @app.post("/nothing")
    async def nothing() -> str:
        return "read nothing"

    @app.errorhandler(HTTPException)
    def tell(error: HTTPException) -> t.Any:
        return str(error.description), error.code

    return app


@pytest.mark.parametrize("path", ["/data", "/chunks", "/sync"])
@pytest.mark.parametrize("size", [1, 65_536, 65_537, 700_000])
def test_read_in_the_thread_of_the_request(app: Flask, path: str, size: int) -> None:
    source = Input(b"x" * size)
    more = {"CONTENT_LENGTH": str(size), "wsgi__input": source}
    assert ask(app, "POST", path, **more).body == str(size).encode()
    assert source.threads == {threading.get_ident()}


def test_form_json_and_lines(app: Flask) -> None:
    assert json.loads(validated(app, "POST", "/form", b"a=1&b=2", **FORM).body) == {
        "a": "1",
        "b": "2",
    }
    kind = {"CONTENT_TYPE": "application/json"}
    assert validated(app, "POST", "/json", b"[1]", **kind).body == b'{"got":[1]}\n'
    assert validated(app, "POST", "/lines", b"a\nb\nc").body == b"3"


def test_what_is_long_lies_on_disk_and_is_gone_afterwards(app: Flask) -> None:
    app.config["BODY_MEMORY"] = 0
    made: list[int] = []

    @app.post("/where")
    async def where() -> str:
        made.append(len(os.listdir("/proc/self/fd")))
        return str(len(request.get_data()))

    before = len(os.listdir("/proc/self/fd"))
    assert ask(app, "POST", "/where", LONG).body == b"700000"
    assert made[0] > before
    assert len(os.listdir("/proc/self/fd")) <= before
    assert os.listdir(tempfile.gettempdir()) == []


def test_what_is_long_and_lies_in_memory_is_gone_afterwards(app: Flask) -> None:
    seen: list[int] = []

    @app.post("/where")
    async def where() -> str:
        seen.append(allowance.taken)
        return str(len(request.get_data()))

    assert ask(app, "POST", "/where", LONG).body == b"700000"
    assert (seen, allowance.taken) == ([700_000 - MEMORY_BYTES], 0)


@pytest.mark.parametrize("path", ["/data", "/lines"])
@pytest.mark.parametrize("chunked", [False, True])
def test_longer_than_what_is_read_ahead(app: Flask, path: str, chunked: bool) -> None:
    app.config["MAX_BUFFERED_BODY"] = 100_000
    more = {"CONTENT_LENGTH": "700000", "wsgi__input_terminated": True}
    if chunked:
        more = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", **_terminated()}
    result = ask(app, "POST", path, LONG, **more)
    assert result.status == 413
    assert b"stream_body=True" in result.body
    assert ask(app, "POST", "/chunks", LONG, **more).body == b"700000"
    assert ask(app, "POST", "/sync", LONG, **more).body == b"700000"
    assert ask(app, "POST", "/nothing", LONG, **more).body == b"read nothing"


def _terminated() -> dict[str, t.Any]:
    return {"wsgi__input_terminated": True}


@pytest.mark.parametrize("path", ["/data", "/chunks", "/sync"])
def test_longer_than_the_limit(app: Flask, path: str) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 100
    assert ask(app, "POST", path, b"x" * 100).body == b"100"
    assert ask(app, "POST", path, b"x" * 101).status == 413
    chunked = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", **_terminated()}
    assert ask(app, "POST", path, b"x" * 101, **chunked).status == 413


@pytest.mark.parametrize("path", ["/data", "/chunks", "/sync", "/lines"])
def test_cut_off(app: Flask, path: str) -> None:
    result = ask(app, "POST", path, b"x" * 50, CONTENT_LENGTH="100")
    assert result.status == 400
    assert b"before it had sent the whole body" in result.body


@pytest.mark.parametrize("path", ["/data", "/chunks", "/sync"])
def test_no_length_and_no_end(app: Flask, path: str) -> None:
    more = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    assert ask(app, "POST", path, b"who knows how long this is", **more).body == b"0"


@pytest.mark.parametrize("length", ["no number", "-1", "0"])
def test_lengths_that_say_nothing(app: Flask, length: str) -> None:
    assert ask(app, "POST", "/data", b"content", CONTENT_LENGTH=length).body == b"0"


def test_a_body_read_half_in_a_hook_goes_on_in_the_view(app: Flask) -> None:
    started: list[bytes] = []

    @app.before_request
    def begin() -> None:
        started.append(request.stream.read(3))

    @app.post("/rest")
    async def rest() -> bytes:
        await asyncio.sleep(0)
        return request.stream.read()

    assert ask(app, "POST", "/rest", b"abcdef").body == b"def"
    assert started == [b"abc"]


def test_a_request_that_is_served_below_a_running_loop(app: Flask) -> None:
    async def called_from_a_coroutine() -> bytes:
        return ask(app, "POST", "/sync", b"abc").body

    assert asyncio.run(called_from_a_coroutine()) == b"3"


def test_what_async_code_leaves_to_a_thread(app: Flask) -> None:
    @app.post("/thread", stream_body=True)
    async def thread() -> bytes:
        return await asyncio.to_thread(request.stream.read)

    assert ask(app, "POST", "/thread", b"abc").body == b"abc"


def test_environ_says_that_the_input_ends(app: Flask) -> None:
    @app.post("/raw")
    def raw() -> bytes:
        assert request.environ["wsgi.input_terminated"]
        found: bytes = request.environ["wsgi.input"].read()
        return found

    assert app(make_environ("POST", "/raw", b"abc"), lambda *args: None) is not None
    assert ask(app, "POST", "/raw", b"abc").body == b"abc"
