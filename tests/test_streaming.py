"""The response that a view sends from within an `async with` block."""

from __future__ import annotations

import contextvars
import gc
import threading
import typing as t
import weakref
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import httpx
import pytest
from starlette.middleware.gzip import GZipMiddleware
from werkzeug.exceptions import ClientDisconnected
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import create_environ

from asyncflask import (
    Flask,
    Response,
    after_this_request,
    g,
    make_response,
    request,
    request_finished,
    session,
    streaming_response,
)
from asyncflask.wrappers import Request

from .played import Played, part
from .scopes import scope

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)

Log = list[t.Any]


class Plain(Flask):
    """As most apps are."""


class Overriding(Flask):
    """Whose requests run in a thread, through methods that are overridden."""

    def full_dispatch_request(self) -> Response:
        return super().full_dispatch_request()

    def finalize_request(self, rv: t.Any, from_error_handler: bool = False) -> Response:
        response = super().finalize_request(rv, from_error_handler)
        response.headers["X-Override"] = "yes"
        return response


@pytest.fixture(params=[Plain, Overriding], ids=["plain", "overriding"])
def app(request: pytest.FixtureRequest) -> Flask:
    made: Flask = request.param("streaming")
    made.secret_key = "k"
    return made


@pytest.fixture
def log() -> Log:
    return []


def add_hooks(app: Flask, log: Log) -> None:
    """Add hooks of both kinds, which note when and where they run."""

    @app.before_request
    def before() -> None:
        g.thread = threading.get_ident()
        log.append("before")

    @app.after_request
    async def after(response: Response) -> Response:
        log.append("after, async")
        response.headers["X-After"] = "1"
        return response

    @app.after_request
    def sync_after(response: Response) -> Response:
        assert threading.get_ident() == g.thread
        log.append("after, sync")
        response.status_code = 203
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        assert threading.get_ident() == g.thread
        log.append(("teardown", error))


async def test_all_happens_once_and_in_order(app: Flask, log: Log) -> None:
    add_hooks(app, log)

    @app.get("/")
    async def view() -> t.Any:
        session["seen"] = True

        @after_this_request
        def first(response: Response) -> Response:
            log.append("after this")
            response.set_cookie("own", "x")
            return response

        async with streaming_response(201, {"X-Own": "1"}, "text/csv") as out:
            log.append(played.kinds)
            assert out.response.status_code == 203
            session["seen"] = False  # too late
            await out.send("é,")
            log.append(played.kinds)
            await out.send(b"2")
        log.append(played.kinds)
        return out

    played = Played(part(b""))

    def finished(sender: t.Any, response: Response, **more: t.Any) -> None:
        log.append(("finished", response.status_code))

    with request_finished.connected_to(finished, app):
        await played.play(app)
    assert log == [
        "before",
        "after this",
        "after, sync",
        "after, async",
        ("finished", 203),
        ["start", "body"],
        ["start", "body", "body"],
        ["start", "body", "body", "body", "body"],
        ("teardown", None),
    ]
    headers = httpx.Headers(played.sent[0]["headers"])
    assert played.status == 203
    assert headers["content-type"] == "text/csv; charset=utf-8"
    assert (headers["x-own"], headers["x-after"]) == ("1", "1")
    assert "content-length" not in headers
    assert sorted(each.partition("=")[0] for each in headers.get_list("set-cookie")) == [
        "own",
        "session",
    ]
    assert ("x-override" in headers) == isinstance(app, Overriding)
    assert played.body == "é,2".encode()
    assert [message["more_body"] for message in played.sent[1:]] == [True, True, True, False]
    await app._budgets.close()


@pytest.mark.parametrize("returned", ["out", "nothing", "the response", "made of it"])
async def test_what_the_view_may_return(returned: str) -> None:
    app = Flask("streaming")

    @app.get("/")
    async def view() -> t.Any:
        async with streaming_response() as out:
            await out.send("x")
        results: dict[str, t.Any] = {"out": out, "the response": out.response}
        return make_response(out) if returned == "made of it" else results.get(returned)

    played = await Played(part(b"")).play(app)
    assert (played.status, played.body) == (200, b"x")


@pytest.mark.parametrize("value", ["text", {"a": 1}, Response("other")], ids=["str", "dict", "own"])
async def test_a_second_answer_is_an_error(app: Flask, value: t.Any, log: Log) -> None:
    app.teardown_request(lambda error: log.append(type(error)))

    @app.get("/")
    async def view() -> t.Any:
        async with streaming_response():
            pass
        return value

    played = Played(part(b""))
    with pytest.raises(TypeError, match=r"Return what .* gave"):
        await played.play(app)
    assert played.kinds == ["start", "body", "body"]
    assert log == [TypeError]
    await app._budgets.close()


async def test_a_plain_value_on_top_is_an_error_without_hooks_too() -> None:
    app = Flask("streaming")

    @app.get("/")
    async def view() -> str:
        async with streaming_response():
            pass
        return "text"

    played = Played(part(b""))
    with pytest.raises(TypeError, match="on top of it"):
        await played.play(app)
    assert played.kinds == ["start", "body", "body"]


async def test_an_error_before_the_block_is_answered(app: Flask, log: Log) -> None:
    @app.errorhandler(LookupError)
    async def handle(error: LookupError) -> tuple[str, int]:
        return "handled", 404

    @app.get("/")
    async def view() -> t.Any:
        raise LookupError
        async with streaming_response() as out:
            return out

    played = await Played(part(b"")).play(app)
    assert (played.status, played.body) == (404, b"handled")
    await app._budgets.close()


async def test_an_error_of_a_hook_on_entering_is_answered(app: Flask, log: Log) -> None:
    @app.after_request
    async def after(response: Response) -> Response:
        log.append(response.status_code)
        if response.status_code == 200:
            raise LookupError
        return response

    @app.errorhandler(LookupError)
    async def handle(error: LookupError) -> tuple[str, int]:
        return "handled", 404

    @app.get("/")
    async def view() -> t.Any:
        async with streaming_response() as out:
            log.append("not reached")
        return out

    played = await Played(part(b"")).play(app)
    assert (played.status, played.body) == (404, b"handled")
    assert log == [200, 404]
    await app._budgets.close()


@pytest.mark.parametrize("where", ["in", "behind"])
async def test_an_error_once_it_has_begun_is_raised(app: Flask, log: Log, where: str) -> None:

    @app.errorhandler(Exception)
    def handle(error: Exception) -> str:
        log.append("handled")
        return ""

    app.teardown_request(lambda error: log.append(repr(error)))

    @app.get("/")
    async def view() -> t.Any:
        async with streaming_response() as out:
            await out.send("x")
            if where == "in":
                raise LookupError
        raise LookupError

    played = Played(part(b""))
    with pytest.raises(LookupError) as caught:
        await played.play(app)
    assert caught.type is LookupError
    complete = played.sent[-1]["more_body"] is False
    assert complete == (where == "behind")
    assert log == ["LookupError()"]
    await app._budgets.close()


@pytest.mark.parametrize("how", ["sending", "waiting", "refused"])
async def test_a_client_that_leaves_ends_the_block(app: Flask, log: Log, how: str) -> None:
    app.teardown_request(lambda error: log.append(type(error)))

    @asynccontextmanager
    async def around() -> AsyncIterator[None]:
        try:
            yield
        except BaseException as error:
            log.append(("around", type(error)))
            await anyio.lowlevel.checkpoint()  # cleaning up may wait
            log.append("cleaned up")
            raise

    @app.get("/")
    async def view() -> t.Any:
        async with around(), streaming_response() as out:
            while True:
                await out.send("x")
                if how == "waiting":
                    await anyio.sleep_forever()
        log.append("not reached")
        return out

    played = Played(part(b""))
    if how == "refused":

        def refuse(message: t.Any) -> None:
            if len(played.sent) > 4:
                raise BrokenPipeError

        played.on_send = refuse
    else:
        played.leave_after(3)
    await played.play(app)
    assert log == [("around", ClientDisconnected), "cleaned up", ClientDisconnected]
    assert all(message["more_body"] for message in played.sent[1:])
    await app._budgets.close()


async def test_leaving_may_be_handled(log: Log) -> None:
    app = Flask("streaming")

    @app.get("/")
    async def view() -> t.Any:
        try:
            async with streaming_response() as out:
                await anyio.sleep_forever()
        except ClientDisconnected:
            log.append("left")
        return out

    played = Played(part(b""))
    played.leave_after(1)
    await played.play(app)
    assert log == ["left"]


async def test_another_error_is_not_hidden_by_the_leaving(log: Log) -> None:
    app = Flask("streaming")

    @app.get("/")
    async def view() -> t.Any:
        async with streaming_response() as out:
            try:
                await anyio.sleep_forever()
            finally:
                raise LookupError
        return out

    played = Played(part(b""))
    played.leave_after(1)
    with pytest.raises(LookupError):
        await played.play(app)


async def test_scopes_nest_around_and_within() -> None:
    app = Flask("streaming")

    @app.get("/")
    async def view() -> t.Any:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group, streaming_response() as out:
                with anyio.move_on_after(5):
                    async with anyio.create_task_group() as inner:
                        inner.start_soon(out.send, "a")
                        group.start_soon(anyio.lowlevel.checkpoint)
                await out.send("b")
        return out

    assert (await Played(part(b"")).play(app)).body == b"ab"


async def test_a_timeout_around_it_is_raised_and_cuts_the_body() -> None:
    app = Flask("streaming")

    @app.get("/")
    async def view() -> t.Any:
        with anyio.fail_after(0.05):
            async with streaming_response() as out:
                await anyio.sleep_forever()
        return out

    played = Played(part(b""))
    with pytest.raises(TimeoutError):
        await played.play(app)
    assert played.kinds == ["start", "body"]


async def test_a_task_group_s_error_within_is_a_group() -> None:
    app = Flask("streaming")

    @app.get("/")
    async def view() -> t.Any:
        async def fail() -> None:
            raise LookupError

        async with streaming_response() as out, anyio.create_task_group() as group:
            group.start_soon(fail)
        return out

    with pytest.raises(ExceptionGroup) as caught:
        await Played(part(b"")).play(app)
    assert [type(error) for error in caught.value.exceptions] == [LookupError]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_nothing_is_sent_of_a_body_that_must_not_be(method: str, status: int) -> None:
    app = Flask("streaming")

    @app.get("/")
    async def view() -> t.Any:
        async with streaming_response(status) as out:
            await out.send("x")
        return out

    played = await Played(part(b"")).play(app, method=method)
    assert (played.status, played.body) == (status, b"")


async def test_it_is_entered_once_and_used_within() -> None:
    app = Flask("streaming")
    errors: list[str] = []

    async def note(action: t.Any) -> None:
        with pytest.raises(RuntimeError) as caught:
            await action
        errors.append(str(caught.value))

    @app.get("/")
    async def view() -> t.Any:
        out = streaming_response()
        await note(out.send("early"))
        async with out:
            await note(streaming_response().__aenter__())
        await note(out.send("late"))
        await note(out.__aenter__())
        return out

    played = await Played(part(b"")).play(app)
    assert played.kinds == ["start", "body", "body"]
    assert ["outside" in each for each in errors] == [True, False, True, False]
    assert ["begun already" in each for each in errors] == [False, True, False, True]


async def test_a_generator_cannot_begin_a_second_response() -> None:
    app = Flask("streaming")

    @app.get("/")
    async def view() -> t.Any:
        async def body() -> AsyncIterator[str]:
            async with streaming_response():
                yield "x"

        return body()

    with pytest.raises(RuntimeError, match="begun already"):
        await Played(part(b"")).play(app)


async def test_outside_of_a_request_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="while an HTTP request is being"):
        async with streaming_response():
            pass
    app = Flask("streaming")
    with app.test_request_context(), pytest.raises(RuntimeError, match="made up"):
        async with streaming_response():
            pass


async def test_a_hook_that_puts_another_body_in_its_place_is_told() -> None:
    app = Flask("streaming")
    app.testing = False

    @app.after_request
    async def replace(response: Response) -> Response:
        if response.status_code == 200:
            response.set_data(b"other")
        return response

    @app.get("/")
    async def view() -> t.Any:
        async with streaming_response() as out:
            pass
        return out

    @app.errorhandler(RuntimeError)
    async def tell(error: RuntimeError) -> tuple[str, int]:
        return str(error), 500

    played = await Played(part(b"")).play(app)
    assert played.status == 500
    assert b"replaced the body of a streaming_response()" in played.body


async def test_a_header_that_cannot_be_sent_is_a_500_and_not_half_a_response(app: Flask) -> None:
    @app.errorhandler(ValueError)
    async def tell(error: ValueError) -> tuple[str, int]:
        return "refused", 500

    @app.get("/")
    async def view() -> t.Any:
        async with streaming_response(headers=[("X-\x00", "1")]) as out:
            pass
        return out

    played = await Played(part(b"")).play(app)
    assert (played.status, played.body) == (500, b"refused")
    await app._budgets.close()


async def test_the_body_of_the_request_is_read_meanwhile() -> None:
    app = Flask("streaming")

    @app.post("/", stream_body=True)
    async def echo() -> t.Any:
        async with streaming_response() as out:
            async for chunk in t.cast("AsyncIterator[bytes]", request.stream):
                await out.send(chunk.upper())
        return out

    played = Played(part(b"a", more=True), part(b"b", more=True), part(b"c"))
    await played.play(app, method="POST", headers=[(b"transfer-encoding", b"chunked")])
    assert played.body == b"ABC"


async def test_context_variables_of_the_view_stay_its_own() -> None:
    app = Flask("streaming")
    var = contextvars.ContextVar("var", default="server")
    seen: list[str] = []

    @app.get("/")
    async def view() -> t.Any:
        var.set("view")
        async with streaming_response() as out:
            await out.send("x")
        return out

    played = Played(part(b""))
    played.on_send = lambda message: seen.append(var.get())
    await played.play(app)
    assert set(seen) == {"server"}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio's tasks are in circles of their own
async def test_no_circle_is_left(app: Flask) -> None:
    seen: list[weakref.ref[Request]] = []

    @app.get("/")
    async def view() -> t.Any:
        seen.append(weakref.ref(request._get_current_object()))  # type: ignore[attr-defined]
        async with streaming_response() as out:
            await out.send("x")
        return out

    gc.collect()
    gc.disable()
    try:
        await Played(part(b"")).play(app)
        await anyio.wait_all_tasks_blocked()  # the loop has let go of what it ran last
        alive = [ref() for ref in seen]
    finally:
        gc.enable()
    assert isinstance(app, Overriding) or alive == [None]
    await app._budgets.close()


async def test_a_slow_client_holds_it_back() -> None:
    app = Flask("streaming")
    room = anyio.Event()
    sent: list[int] = []

    @app.get("/")
    async def view() -> t.Any:
        async with streaming_response() as out:
            for number in range(3):
                await out.send(b"x")
                sent.append(number)
        return out

    played = Played(part(b""))

    async def send(message: t.Any) -> None:
        await played.send(message)
        if len(played.sent) == 3:
            await room.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(app, scope(), played.receive, send)
        await anyio.wait_all_tasks_blocked()
        assert sent == []
        room.set()
    assert sent == [0, 1, 2]


async def test_compression_flushes_each_piece() -> None:
    app = Flask("streaming")
    app.asgi_app = GZipMiddleware(app.asgi_app)  # type: ignore[method-assign]
    heads: list[int] = []

    @app.get("/")
    async def view() -> t.Any:
        async with streaming_response(mimetype="text/plain") as out:
            heads.append(len(played.sent))
            for number in range(3):
                await out.send(f"{number}" * 100)
        return out

    played = Played(part(b""))
    await played.play(app, headers=[(b"accept-encoding", b"gzip")])
    assert heads[0] >= 1  # the head was sent before the first piece
    assert played.headers[b"content-encoding"] == b"gzip"
    pieces = [message["body"] for message in played.sent[1:]]
    assert sum(map(bool, pieces)) >= 4
    assert decompressed(pieces) == b"0" * 100 + b"1" * 100 + b"2" * 100


def decompressed(pieces: list[bytes]) -> bytes:
    return zlib.decompress(b"".join(pieces), 16 + zlib.MAX_WBITS)


async def test_a_proxy_as_in_the_documentation() -> None:
    origin, app = Flask("origin"), Flask("proxy")

    @origin.get("/data")
    async def data() -> t.Any:
        async def body() -> AsyncIterator[str]:
            for number in range(5):
                yield f"{number},"

        return Response(body(), 206, mimetype="text/csv")

    @app.get("/")
    async def proxy() -> t.Any:
        async with (
            origin.async_client() as client,
            client.stream("GET", "/data") as upstream,
            streaming_response(upstream.status_code, mimetype="text/csv") as out,
        ):
            async for chunk in upstream.aiter_raw():
                await out.send(chunk)
        return out

    async with app.async_client() as client:
        response = await client.get("/")
    assert (response.status_code, response.text) == (206, "0,1,2,3,4,")


# -- under WSGI --------------------------------------------------------------------------------


@pytest.fixture
def wsgi_app(log: Log) -> Flask:
    app = Flask("streaming")
    app.secret_key = "k"
    add_hooks(app, log)

    @app.get("/")
    async def view() -> t.Any:
        session["seen"] = True
        async with streaming_response(201, mimetype="text/csv") as out:
            for number in range(3):
                await out.send(f"{number},")
                log.append(number)
        return out

    @app.get("/error")
    async def failing() -> t.Any:
        async with streaming_response():
            raise LookupError

    return app


def test_under_wsgi_write_sends_it(wsgi_app: Flask, log: Log) -> None:
    response = wsgi_app.test_client().get("/")
    assert (response.status_code, response.text) == (203, "0,1,2,")
    assert "session=" in response.headers["Set-Cookie"]
    assert log == ["before", "after, sync", "after, async", 0, 1, 2, ("teardown", None)]


def test_under_wsgi_each_piece_is_written_at_once(wsgi_app: Flask, log: Log) -> None:
    written: list[bytes] = []
    here: list[int] = []

    def start_response(status: str, headers: t.Any, exc_info: t.Any = None) -> Callable[..., None]:
        log.append(status)

        def write(chunk: bytes) -> None:
            here.append(threading.get_ident())
            written.append(chunk)

        return write

    environ = create_environ()
    assert [*wsgi_app.wsgi_app(environ, start_response)] == []
    assert written == [b"0,", b"1,", b"2,"]
    assert set(here) == {threading.get_ident()}
    assert log[3] == "203 NON AUTHORITATIVE INFORMATION"


def test_under_wsgi_a_client_that_leaves_is_no_error(wsgi_app: Flask, log: Log) -> None:
    def write(chunk: bytes) -> None:
        raise BrokenPipeError

    environ = create_environ()
    assert [*wsgi_app.wsgi_app(environ, lambda *args: write)] == []
    name, error = log[-1]
    assert (name, type(error)) == ("teardown", ClientDisconnected)


def test_under_wsgi_an_error_is_raised(wsgi_app: Flask, log: Log) -> None:
    with pytest.raises(LookupError):
        wsgi_app.test_client().get("/error")
    assert repr(log[-1]) == "('teardown', LookupError())"


def test_under_wsgi_without_write_it_says_so(wsgi_app: Flask) -> None:
    wsgi_app.testing = True
    environ = create_environ()
    with pytest.raises(RuntimeError, match="write"):
        wsgi_app.wsgi_app(environ, lambda *args: None)  # type: ignore[arg-type]


def test_under_wsgi_head_has_no_body(wsgi_app: Flask) -> None:
    assert wsgi_app.test_client().head("/").data == b""


async def test_through_the_bridge(wsgi_app: Flask, log: Log) -> None:
    wsgi_app.wsgi_app = ProxyFix(wsgi_app.wsgi_app)  # type: ignore[method-assign]
    played = await Played(part(b"")).play(wsgi_app)
    assert (played.status, played.body) == (203, b"0,1,2,")
    assert log == ["before", "after, sync", "after, async", 0, 1, 2, ("teardown", None)]
    await wsgi_app._budgets.close()
