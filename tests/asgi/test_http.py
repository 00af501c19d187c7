"""One HTTP request over ASGI: bodies in, responses out, and every way of ending."""

from __future__ import annotations

import asyncio
import io
import threading
import typing as t
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse

from asyncflask import Flask, Response, g, request, send_file, session, stream_with_context
from asyncflask.wrappers.request import Request

from ..scopes import scope

Message = t.MutableMapping[str, t.Any]
END = {"type": "http.disconnect"}


class Exchange:
    """A connection played by hand: what it receives, and what was sent."""

    def __init__(self, *messages: Message) -> None:
        self.sent: list[Message] = []
        self._messages = [*messages]
        self.gone = asyncio.Event()
        self.on_chunk: t.Callable[[bytes], None] = lambda chunk: None

    async def receive(self) -> Message:
        if self._messages:
            return self._messages.pop(0)
        await self.gone.wait()
        return END

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body":
            self.on_chunk(message["body"])

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])


@pytest.fixture
async def app() -> AsyncIterator[Flask]:
    app = Flask("http")
    app.secret_key = "k"
    yield app
    await app._budgets.close()


def part(body: bytes, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def length(count: int) -> list[tuple[bytes, bytes]]:
    return [(b"content-length", b"%d" % count)]


# What is sent


@pytest.mark.parametrize(
    "value",
    ["text", "ünïcode", "", b"bytes", {"b": 1, "a": [None, "é"]}, [1, 2], {}],
    ids=repr,
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("debug", [False, True])
async def test_a_plain_value_is_sent_as_a_response_object_would_send_it(
    app: Flask, value: t.Any, method: str, debug: bool
) -> None:
    app.debug = debug

    @app.route("/")
    async def view() -> t.Any:
        return value

    @app.route("/sync")
    def sync_view() -> t.Any:
        return value

    async def sent(path: str = "/") -> list[Message]:
        exchange = Exchange(part(b""))
        await app(scope(path, method), exchange.receive, exchange.send)
        return exchange.sent

    plain, in_thread = await sent(), await sent("/sync")
    app.after_request_funcs[None].append(lambda response: response)
    assert plain == in_thread == await sent()


async def test_hooks_see_a_response_object(app: Flask) -> None:
    @app.after_request
    async def add(response: Response) -> Response:
        response.headers["X-Seen"] = response.get_data(as_text=True)
        return response

    app.add_url_rule("/", view_func=lambda: "text", endpoint="view")
    async with app.async_client() as client:
        assert (await client.get("/")).headers["x-seen"] == "text"


@pytest.mark.parametrize("status", [204, 304])
async def test_some_statuses_have_no_body(app: Flask, status: int) -> None:
    @app.route("/")
    async def view() -> tuple[str, int]:
        return "dropped", status

    exchange = Exchange(part(b""))
    await app(scope(), exchange.receive, exchange.send)
    assert (exchange.status, exchange.body) == (status, b"")
    assert b"content-length" not in dict(exchange.sent[0]["headers"])


async def test_starlettes_responses_are_answers(app: Flask) -> None:
    async def chunks() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    @app.after_request
    async def add(response: Response) -> Response:
        response.headers["X-Hook"] = "yes"
        return response

    @app.route("/text")
    async def text() -> t.Any:
        return PlainTextResponse("hi", status_code=201, headers={"x-own": "1"})

    @app.route("/json")
    def data() -> t.Any:
        session["a"] = 1
        return JSONResponse({"a": 1})

    @app.route("/stream")
    async def stream() -> t.Any:
        return StreamingResponse(chunks())

    @app.route("/callable")
    async def callable_() -> t.Any:
        async def asgi(scope: t.Any, receive: t.Any, send: t.Any) -> None:
            await send({"type": "http.response.start", "status": 202, "headers": [(b"x-c", b"1")]})
            await send({"type": "http.response.body", "body": scope["path"].encode()})

        return asgi

    async with app.async_client() as client:
        first = await client.get("/text")
        assert (first.text, first.status_code) == ("hi", 201)
        assert (first.headers["x-own"], first.headers["x-hook"]) == ("1", "yes")
        second = await client.get("/json")
        assert second.json() == {"a": 1}
        assert "session=" in second.headers["set-cookie"]
        assert (await client.get("/stream")).text == "ab"
        third = await client.get("/callable")
        assert (third.text, third.status_code, third.headers["x-c"]) == ("/callable", 202, "1")
        assert third.headers["x-hook"] == "yes"
    sync_client = app.test_client()
    assert sync_client.get("/text").text == "hi"
    assert sync_client.get("/stream").text == "ab"
    assert sync_client.get("/callable").status_code == 202


async def test_a_wsgi_application_is_an_answer(app: Flask) -> None:
    def wsgi(environ: t.Any, start_response: t.Any) -> list[bytes]:
        start_response("202 Accepted", [("X-W", environ["PATH_INFO"])])
        return [b"from wsgi"]

    app.add_url_rule("/w", view_func=lambda: wsgi, endpoint="w")
    async with app.async_client() as client:
        answer = await client.get("/w")
    assert (answer.text, answer.status_code, answer.headers["x-w"]) == ("from wsgi", 202, "/w")


@pytest.mark.parametrize("value", [None, 5, (), ("a", 1, {}, 4), ("a",)], ids=repr)
async def test_what_cannot_be_sent_is_a_clear_error(app: Flask, value: t.Any) -> None:
    app.testing = True
    app.add_url_rule("/", view_func=lambda: value, endpoint="view")
    async with app.async_client() as client:
        with pytest.raises(TypeError, match="did not return a valid response"):
            await client.get("/")


async def test_a_header_that_cannot_be_sent_is_an_error_before_the_first_byte(app: Flask) -> None:
    app.add_url_rule("/", view_func=lambda: ("", {"X-A": "☃"}), endpoint="view")
    exchange = Exchange(part(b""))
    await app(scope(), exchange.receive, exchange.send)
    assert exchange.status == 500


async def test_blanks_around_a_header_value_are_dropped(app: Flask) -> None:
    app.add_url_rule("/", view_func=lambda: ("", {"X-A": " a\t"}), endpoint="view")
    exchange = Exchange(part(b""))
    await app(scope(), exchange.receive, exchange.send)
    assert (b"x-a", b"a") in exchange.sent[0]["headers"]


# Streams


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("view_kind", ["sync", "async"])
async def test_a_stream_has_its_context_until_the_last_chunk(
    app: Flask, kind: str, view_kind: str
) -> None:
    events: list[str] = []
    threads: set[int] = set()

    def sync_chunks() -> Iterator[str]:
        threads.add(threading.get_ident())
        yield request.path
        events.append(f"g={g.value}")
        yield "!"

    async def async_chunks() -> AsyncIterator[str]:
        yield request.path
        events.append(f"g={g.value}")
        await asyncio.sleep(0)
        yield "!"

    chunks: t.Any = sync_chunks if kind == "sync" else async_chunks

    def view() -> t.Any:
        threads.add(threading.get_ident())
        g.value = 1
        return Response(chunks())

    async def async_view() -> t.Any:
        g.value = 1
        return chunks()

    @app.teardown_request
    def teardown(exc: BaseException | None) -> None:
        threads.add(threading.get_ident())
        events.append("teardown")

    app.add_url_rule("/s", view_func=view if view_kind == "sync" else async_view, endpoint="s")
    async with app.async_client() as client:
        assert (await client.get("/s")).text == "/s!"
    assert events == ["g=1", "teardown"]
    assert len(threads) == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_client_that_leaves_ends_the_stream(app: Flask, kind: str) -> None:
    events: list[str] = []
    exchange = Exchange(part(b""))

    def sync_chunks() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
        finally:
            events.append("closed")

    async def async_chunks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)
            events.append("closed")

    app.teardown_request(lambda exc: events.append("teardown"))
    body: t.Any = sync_chunks if kind == "sync" else async_chunks
    app.add_url_rule("/", view_func=lambda: Response(body()), endpoint="view")
    exchange.on_chunk = lambda chunk: exchange.gone.set()
    async with asyncio.timeout(10):
        await app(scope(), exchange.receive, exchange.send)
    assert events == ["closed", "teardown"]


async def test_a_generator_that_never_waits_lets_others_run(app: Flask) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x"

    @app.route("/")
    async def view() -> t.Any:
        return endless()

    exchange = Exchange(part(b""))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        begun = asyncio.Event()
        exchange.on_chunk = lambda chunk: begun.set()
        group.create_task(app(scope(), exchange.receive, exchange.send))
        await begun.wait()
        exchange.gone.set()


async def test_a_generator_that_never_started_is_closed(app: Flask) -> None:
    events: list[str] = []

    class Body:
        def __aiter__(self) -> t.Any:
            return self

        async def __anext__(self) -> bytes:
            raise StopAsyncIteration

        async def aclose(self) -> None:
            events.append("closed")

    @app.route("/")
    async def view() -> t.Any:
        return Response(t.cast("t.Any", Body()))

    app.teardown_request(lambda exc: events.append("teardown"))
    exchange = Exchange(part(b""))
    await app(scope(method="HEAD"), exchange.receive, exchange.send)
    assert events == ["closed", "teardown"]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_an_error_in_a_stream_reaches_the_server_and_the_teardown(
    app: Flask, kind: str
) -> None:
    seen: list[t.Any] = []

    def sync_chunks() -> Iterator[str]:
        yield "a"
        raise LookupError

    async def async_chunks() -> AsyncIterator[str]:
        yield "a"
        raise LookupError

    app.teardown_request(seen.append)
    body: t.Any = sync_chunks if kind == "sync" else async_chunks
    app.add_url_rule("/", view_func=lambda: Response(body()), endpoint="view")
    exchange = Exchange(part(b""))
    with pytest.raises(LookupError):
        await app(scope(), exchange.receive, exchange.send)
    assert exchange.body == b"a"
    assert [type(error) for error in seen] == [LookupError]


async def test_call_on_close_runs_after_the_last_byte(app: Flask) -> None:
    order: list[str] = []

    @app.route("/")
    def view() -> Response:
        response = Response("x")
        response.call_on_close(lambda: order.append("close"))
        return response

    exchange = Exchange(part(b""))
    exchange.on_chunk = lambda chunk: order.append("sent")
    await app(scope(), exchange.receive, exchange.send)
    assert order == ["sent", "close"]


async def test_a_file_is_sent_in_parts_and_closed(app: Flask, tmp_path: t.Any) -> None:
    path = tmp_path / "big.bin"
    path.write_bytes(bytes(range(256)) * 2000)
    app.add_url_rule("/f", view_func=lambda: send_file(path), endpoint="f")
    app.add_url_rule("/m", view_func=lambda: send_file(io.BytesIO(b"mem"), "a/b"), endpoint="m")
    async with app.async_client() as client:
        whole = await client.get("/f")
        assert whole.content == path.read_bytes()
        piece = await client.get("/f", headers={"Range": "bytes=10-19"})
        assert (piece.status_code, piece.content) == (206, whole.content[10:20])
        same = await client.get("/f", headers={"If-None-Match": whole.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
        assert (await client.get("/m")).content == b"mem"


async def test_stream_with_context_works_for_both_kinds(app: Flask) -> None:
    @app.route("/sync")
    def sync_view() -> Response:
        @stream_with_context
        def chunks() -> Iterator[str]:
            yield request.path

        return Response(chunks())

    @app.route("/async")
    async def async_view() -> t.Any:
        @stream_with_context
        async def chunks() -> AsyncIterator[str]:
            yield request.path

        return Response(chunks())

    async with app.async_client() as client:
        for path in ("/sync", "/async"):
            assert (await client.get(path)).text == path


# Bodies


def add_readers(app: Flask) -> None:
    @app.post("/sync")
    def sync_view() -> dict[str, t.Any]:
        return {"size": len(request.get_data())}

    @app.post("/async")
    async def async_view() -> dict[str, t.Any]:
        return {"size": len(request.get_data())}


@pytest.mark.parametrize("path", ["/sync", "/async"])
@pytest.mark.parametrize("size", [0, 10, 100_000, 2_000_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_are_read_without_await(
    app: Flask, path: str, size: int, chunked: bool
) -> None:
    add_readers(app)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 65536):
            yield b"x" * min(65536, size - start)

    async with app.async_client() as client:
        content: t.Any = chunks() if chunked else b"x" * size
        assert (await client.post(path, content=content)).json() == {"size": size}


@pytest.mark.parametrize("path", ["/sync", "/async"])
@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_cut_off_is_never_taken_for_a_whole_one(
    app: Flask, path: str, declared: bool
) -> None:
    add_readers(app)
    headers = length(100_000) if declared else [(b"transfer-encoding", b"chunked")]
    exchange = Exchange(part(b"x" * 70_000, more=True), END)
    await app(scope(path, "POST", headers), exchange.receive, exchange.send)
    assert exchange.status == 400


@pytest.mark.parametrize("path", ["/sync", "/async"])
async def test_a_body_over_the_limit_is_refused_unread(app: Flask, path: str) -> None:
    add_readers(app)
    app.config["MAX_CONTENT_LENGTH"] = 1000
    exchange = Exchange(part(b"x" * 2000))
    await app(scope(path, "POST", length(2000)), exchange.receive, exchange.send)
    assert exchange.status == 413
    async with app.async_client() as client:

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b"x" * 500

        assert (await client.post(path, content=chunks())).status_code == 413


async def test_the_limit_can_be_set_for_one_request(app: Flask) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 10

    @app.post("/more")
    def more() -> str:
        request.max_content_length = 100
        return str(len(request.get_data()))

    async with app.async_client() as client:
        assert (await client.post("/more", content=b"x" * 50)).text == "50"


async def test_what_is_too_long_to_buffer_names_the_way_out(app: Flask) -> None:
    add_readers(app)
    app.config["MAX_BUFFERED_BODY"] = 1000

    @app.post("/stream", stream_body=True)
    async def stream() -> str:
        return str(sum([len(chunk) async for chunk in t.cast("t.Any", request.stream)]))

    async with app.async_client() as client:
        refused = await client.post("/async", content=b"x" * 5000)
        assert refused.status_code == 413
        assert "stream_body=True" in refused.text
        assert (await client.post("/sync", content=b"x" * 5000)).json() == {"size": 5000}
        assert (await client.post("/stream", content=b"x" * 5000)).text == "5000"
        app.config["MAX_CONTENT_LENGTH"] = 4000
        assert (await client.post("/stream", content=b"x" * 4000)).text == "4000"
        assert (await client.post("/stream", content=b"x" * 5000)).status_code == 413


async def test_forms_files_and_json(app: Flask) -> None:
    def answer() -> t.Any:
        if request.is_json:
            return {"json": request.get_json()}
        upload = request.files.get("f")
        return {
            "form": request.form.to_dict(),
            "file": upload and [upload.filename, len(upload.read())],
        }

    async def async_answer() -> t.Any:
        return answer()

    app.add_url_rule("/sync", view_func=answer, methods=["POST"], endpoint="s")
    app.add_url_rule("/async", view_func=async_answer, methods=["POST"], endpoint="a")
    async with app.async_client() as client:
        for path in ("/sync", "/async"):
            assert (await client.post(path, json={"a": 1})).json() == {"json": {"a": 1}}
            form = await client.post(path, data={"a": "1"})
            assert form.json() == {"form": {"a": "1"}, "file": None}
            files = {"f": ("name.txt", b"x" * 700_000)}
            sent = await client.post(path, data={"a": "1"}, files=files)
            assert sent.json() == {"form": {"a": "1"}, "file": ["name.txt", 700_000]}


async def test_uploads_are_closed_after_the_request(app: Flask) -> None:
    kept: list[t.Any] = []

    @app.post("/")
    def view() -> str:
        kept.append(request.files["f"].stream)
        return ""

    async with app.async_client() as client:
        await client.post("/", files={"f": b"x" * 700_000})
    assert kept[0].closed


# Requests


async def test_the_environ_is_that_of_a_wsgi_server(app: Flask) -> None:
    seen: dict[str, t.Any] = {}

    @app.route("/sub/<name>")
    async def view(name: str) -> str:
        seen.update(request.environ)
        return request.headers["X-Many"] + request.url

    made = scope("/root/sub/ü", headers=[(b"x-many", b"1"), (b"x-many", b"2"), (b"x_bad", b"3")])
    made["root_path"] = "/root"
    exchange = Exchange(part(b""))
    await app(made, exchange.receive, exchange.send)
    assert exchange.body.decode() == "1,2http://localhost/root/sub/ü"
    assert seen["SCRIPT_NAME"] == "/root"
    assert seen["PATH_INFO"].encode("latin-1").decode() == "/sub/ü"
    assert seen["HTTP_X_MANY"] == "1,2"
    assert "HTTP_X_BAD" not in seen
    assert seen["asgi.scope"] is made


async def test_a_request_class_with_its_own_init_gets_an_environ(app: Flask) -> None:
    class Own(Request):
        def __init__(self, environ: t.Any, *args: t.Any, **kwargs: t.Any) -> None:
            super().__init__(environ, *args, **kwargs)
            self.made = environ["PATH_INFO"]

    app.request_class = Own
    app.add_url_rule("/p", view_func=lambda: t.cast("t.Any", request).made, endpoint="view")
    async with app.async_client() as client:
        assert (await client.get("/p")).text == "/p"


async def test_a_second_host_header_is_refused(app: Flask) -> None:
    @app.route("/")
    async def view() -> str:
        return request.host

    exchange = Exchange(part(b""))
    await app(scope(headers=[(b"host", b"other")]), exchange.receive, exchange.send)
    assert exchange.status == 400


# Failures


async def test_in_debug_mode_the_error_is_shown_to_whoever_asks(app: Flask) -> None:
    app.debug = True

    @app.route("/")
    async def view() -> str:
        password = "hunter2"
        raise LookupError(f"<script>{len(password)}</script>")

    async with app.async_client(raise_app_exceptions=False) as client:
        page = await client.get("/", headers={"Accept": "text/html"})
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "<script>" not in page.text
        assert "LookupError" in page.text
        text = await client.get("/", headers={"Accept": "application/json"})
        assert text.headers["content-type"] == "text/plain; charset=utf-8"
        assert "Traceback" in text.text
        assert text.status_code == page.status_code == 500


@pytest.mark.parametrize("setting", ["TESTING", "PROPAGATE_EXCEPTIONS"])
async def test_an_error_that_propagates_is_raised(app: Flask, setting: str) -> None:
    app.config[setting] = True

    @app.route("/")
    async def view() -> str:
        raise LookupError

    async with app.async_client() as client:
        with pytest.raises(LookupError):
            await client.get("/")


async def test_more_sync_work_than_allowed_is_told_to_come_again(app: Flask) -> None:
    app.config.update(SYNC_WORKERS=1, SYNC_QUEUE_LIMIT=1)
    gate = threading.Event()
    app.add_url_rule("/", view_func=lambda: str(gate.wait(10)), endpoint="view")
    async with app.async_client() as client, asyncio.TaskGroup() as group:
        tasks = [group.create_task(client.get("/")) for _ in range(4)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        busy: httpx.Response = next(iter(done)).result()
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
        gate.set()


async def test_an_unknown_kind_of_connection_is_named(app: Flask) -> None:
    server = Exchange()
    with pytest.raises(RuntimeError, match="'carrier-pigeon'"):
        await app({"type": "carrier-pigeon"}, server.receive, server.send)
