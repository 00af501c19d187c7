"""One websocket over ASGI: the pipeline around its handler, and every way of ending."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import typing as t
import weakref
from collections.abc import Callable

import anyio
import pytest
from werkzeug.exceptions import ImATeapot, RequestEntityTooLarge, ServiceUnavailable

import asyncflask
from asyncflask import (
    Blueprint,
    Flask,
    Response,
    WebSocketDisconnect,
    abort,
    after_this_request,
    copy_current_request_context,
    copy_current_websocket_context,
    current_app,
    g,
    has_request_context,
    has_websocket_context,
    redirect,
    request,
    session,
    url_for,
    websocket,
)
from asyncflask.views import MethodView

from ..sockets import Client, leave, play, socket_scope, text

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)


def answer(client: Client) -> tuple[int, dict[bytes, bytes], bytes]:
    """Return the response that denied a handshake."""
    start, body = client.sent
    assert start["type"] == "websocket.http.response.start"
    assert body["type"] == "websocket.http.response.body"
    return start["status"], dict(start["headers"]), body["body"]


@pytest.fixture
def app() -> Flask:
    app = Flask("sockets")
    app.secret_key = "k"
    return app


@pytest.fixture
def seen(app: Flask) -> list[t.Any]:
    """What happened, hooks and signals included, to a websocket at ``/``."""
    seen: list[t.Any] = []

    def note(what: str) -> Callable[..., t.Any]:
        async def hook(*args: t.Any) -> t.Any:
            seen.append((what, *args))
            return args[0] if args else None

        return hook

    app.before_request(note("before request"))
    app.before_websocket(note("before"))
    app.after_websocket(note("after"))
    app.teardown_websocket(note("teardown"))
    app.teardown_appcontext(note("teardown app"))
    return seen


# The pipeline


async def test_hooks_run_around_the_handler(app: Flask, seen: list[t.Any]) -> None:
    part = Blueprint("part", __name__)
    for name in ("before_websocket", "after_websocket", "teardown_websocket"):

        def hook(*args: t.Any, name: str = name) -> None:
            seen.append((f"part {name}", *args))

        getattr(part, name)(hook)

    @part.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        seen.append("handler")

    app.register_blueprint(part)
    async with app.async_client():
        client = await play(app, "/")
    assert client.kinds == ["accept", "close"]
    assert seen == [
        ("before",),
        ("part before_websocket",),
        "handler",
        ("part after_websocket", None),
        ("after", None),
        ("part teardown_websocket", None),
        ("teardown", None),
        ("teardown app", None),
    ]


async def test_signals(app: Flask) -> None:
    seen: list[t.Any] = []
    names = ["websocket_started", "websocket_finished", "websocket_tearing_down"]

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        raise LookupError

    kept = []
    for name in [*names, "got_websocket_exception"]:

        def receive(sender: Flask, *, name: str = name, **values: t.Any) -> None:
            seen.append((name, *(type(value).__name__ for value in values.values())))

        kept.append(receive)
        getattr(asyncflask, name).connect(receive, app)
    async with app.async_client():
        await play(app, "/")
    assert seen == [
        ("websocket_started",),
        ("got_websocket_exception", "LookupError"),
        ("websocket_finished", "Response"),
        ("websocket_tearing_down", "LookupError"),
    ]


async def test_a_hook_may_answer(app: Flask, seen: list[t.Any]) -> None:
    @app.before_websocket
    async def refuse() -> t.Any:
        return {"error": "no"}, 401

    @app.websocket("/")
    async def handler() -> None:
        raise AssertionError

    status, headers, body = answer(await play(app, "/"))
    assert (status, headers[b"content-type"]) == (401, b"application/json")
    assert body == b'{"error":"no"}\n'
    assert [what for what, *_ in seen] == ["before", "after", "teardown", "teardown app"]


async def test_a_hook_may_accept(app: Flask) -> None:
    @app.before_websocket
    async def accept() -> None:
        await websocket.accept()

    @app.websocket("/")
    async def handler() -> None:
        await websocket.send("hello")

    assert (await play(app, "/")).kinds == ["accept", "send", "close"]


async def test_hooks_may_change_the_answer(app: Flask) -> None:
    @app.after_websocket
    async def mark(response: Response | None) -> t.Any:
        if response is not None:
            response.headers["X-Mark"] = "1"
        return response

    @app.websocket("/")
    async def handler() -> str:
        @after_this_request
        def again(response: Response) -> Response:
            response.headers["X-Again"] = "1"
            return response

        return "no"

    _, headers, body = answer(await play(app, "/"))
    assert (headers[b"x-mark"], headers[b"x-again"], body) == (b"1", b"1", b"no")


async def test_overrides_of_the_request_s_steps_are_not_asked() -> None:
    class Own(Flask):
        def full_dispatch_request(self) -> t.Any:
            raise AssertionError

    app = Own("own")

    @app.websocket("/")
    async def handler() -> None:
        await websocket.send("x")

    assert (await play(app, "/")).data == ["x"]


# What a handler sees


async def test_request_session_g_and_urls(app: Flask) -> None:
    seen: list[t.Any] = []

    @app.get("/page")
    def page() -> str:
        session["user"] = "ada"
        return ""

    @app.before_websocket
    async def load() -> None:
        g.user = session["user"]

    @app.websocket("/ws/<int:number>")
    async def handler(number: int) -> None:
        seen.extend([number, g.user, request.path, request.args["q"], request.method])
        seen.extend([url_for("page"), url_for("page", _external=True)])
        seen.extend([url_for("handler", number=2), request.view_args, request.endpoint])
        assert websocket.request is request._get_current_object()  # type: ignore[attr-defined]
        assert current_app.name == "sockets"

    async with app.async_client() as client:
        cookie = (await client.get("/page")).headers["set-cookie"].partition(";")[0]
    headers = [(b"cookie", cookie.encode())]
    await play(app, "/ws/1", headers=headers, query_string=b"q=v")
    assert seen == [
        *(1, "ada", "/ws/1", "v", "GET"),
        *("/page", "http://localhost/page"),
        *("ws://localhost/ws/2", {"number": 1}, "handler"),
    ]


async def test_outside_there_is_no_websocket(app: Flask) -> None:
    seen: list[bool] = []

    @app.websocket("/")
    async def handler() -> None:
        seen.extend([has_request_context(), has_websocket_context()])
        with app.app_context():
            seen.extend([has_request_context(), has_websocket_context()])
        with app.test_request_context():
            seen.extend([has_request_context(), has_websocket_context()])
            with pytest.raises(RuntimeError, match="outside of websocket context"):
                _ = websocket.path

    await play(app, "/")
    assert seen == [True, True, True, True, True, False]
    assert not has_websocket_context()
    with app.test_request_context():
        with pytest.raises(RuntimeError, match="outside of websocket context"):
            _ = websocket.path
        with pytest.raises(RuntimeError, match="outside of websocket context"):
            copy_current_websocket_context(print)


@pytest.mark.parametrize("copy", [copy_current_request_context, copy_current_websocket_context])
async def test_tasks_take_the_context_along(app: Flask, copy: t.Any) -> None:
    @app.websocket("/")
    async def handler() -> None:
        @copy  # type: ignore[untyped-decorator]
        async def task() -> None:
            await websocket.send("from a task")

        async with anyio.create_task_group() as group:
            group.start_soon(task)

    assert (await play(app, "/")).data == ["from a task"]


async def test_a_class_based_view(app: Flask) -> None:
    class Handler(MethodView):
        async def get(self) -> None:
            async for message in websocket:
                await websocket.send(message)

    app.add_websocket("/", view_func=Handler.as_view("handler"))
    assert (await play(app, "/", text("x"), leave())).data == ["x"]


async def test_classes_of_the_app_s_own(app: Flask) -> None:
    class Own(asyncflask.Websocket):
        async def shout(self, text: str) -> None:
            await self.send(text.upper())

    class OwnRequest(asyncflask.Request):
        user = "ada"

    app.websocket_class, app.request_class = Own, OwnRequest

    @app.websocket("/")
    async def handler() -> None:
        own: t.Any = websocket
        await own.shout(own.request.user)

    assert (await play(app, "/")).data == ["ADA"]


# Denied


@pytest.mark.parametrize(
    ("make", "status", "body"),
    [
        (lambda: "no", 200, b"no"),
        (lambda: {"a": 1}, 200, b'{"a":1}\n'),
        (lambda: ("no", 402), 402, b"no"),
        (lambda: redirect("/login"), 302, None),
        (lambda: Response("", 204), 204, b""),
        (lambda: iter(["a", "b"]), 200, b"ab"),
    ],
)
async def test_what_is_returned_answers_the_handshake(
    app: Flask, make: Callable[[], t.Any], status: int, body: bytes | None
) -> None:
    @app.websocket("/")
    async def handler() -> t.Any:
        return make()

    async with app.async_client():
        found, _, sent = answer(await play(app, "/"))
    assert found == status
    assert body is None or sent == body


async def test_a_stream_answers_in_one_piece(app: Flask) -> None:
    @app.websocket("/")
    async def handler() -> t.Any:
        async def body() -> t.AsyncIterator[str]:
            yield "a"
            await anyio.lowlevel.checkpoint()
            yield websocket.path

        return body(), 403

    status, _, body = answer(await play(app, "/"))
    assert (status, body) == (403, b"a/")


async def test_nothing_is_returned_and_nothing_accepted(app: Flask) -> None:
    @app.websocket("/")
    async def handler() -> None: ...

    client = await play(app, "/")
    assert client.sent == [{"type": "websocket.close", "code": 1000, "reason": ""}]


@pytest.mark.parametrize(
    ("path", "status"), [("/nowhere", 404), ("/page", 400), ("/slash", 308), ("/fails", 418)]
)
async def test_errors_deny(app: Flask, path: str, status: int) -> None:
    app.add_url_rule("/page", "page", lambda: "page")

    @app.websocket("/slash/", endpoint="slash")
    @app.websocket("/fails")
    async def handler() -> None:
        raise ImATeapot

    assert answer(await play(app, path))[0] == status


async def test_error_handlers_make_the_answer(app: Flask) -> None:
    @app.errorhandler(LookupError)
    async def handle(error: LookupError) -> t.Any:
        return {"lost": str(error)}, 410

    @app.websocket("/")
    async def handler() -> None:
        raise LookupError("it")

    status, _, body = answer(await play(app, "/"))
    assert (status, body) == (410, b'{"lost":"it"}\n')


async def test_an_http_route_does_not_take_websockets(app: Flask) -> None:
    @app.websocket("/ws")
    async def handler() -> None: ...

    async with app.async_client() as client:
        assert (await client.get("/ws")).status_code == 400


@pytest.mark.parametrize(
    ("origin", "allowed", "status"),
    [
        (b"http://localhost", None, None),
        (b"http://evil", None, 403),
        (b"null", None, 403),
        (b"http://evil", ["http://evil"], None),
        (b"http://localhost", ["http://other"], 403),
        (b"http://evil", ["*"], None),
    ],
)
async def test_foreign_pages_are_refused(
    app: Flask, seen: list[t.Any], origin: bytes, allowed: t.Any, status: int | None
) -> None:
    app.config["WEBSOCKET_ALLOWED_ORIGINS"] = allowed

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()

    client = await play(app, "/", headers=[(b"origin", origin)])
    if status is None:
        assert client.kinds == ["accept", "close"]
        return
    found, _, body = answer(client)
    assert found == status
    assert b"WEBSOCKET_ALLOWED_ORIGINS" in body
    assert seen == []  # no code of the app has run in the visitor's name


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"host", b"a"), (b"host", b"b")], 400),
        ([(b"origin", b"http://localhost"), (b"origin", b"http://localhost")], 403),
        ([(b"content-length", b"100")], None),
        ([(b"transfer-encoding", b"chunked")], None),
    ],
)
async def test_hostile_handshakes(app: Flask, headers: t.Any, status: int | None) -> None:
    @app.websocket("/")
    async def handler() -> None:
        assert request.get_data() == b""
        async for message in websocket:
            await websocket.send(message)

    client = await play(app, "/", text("x"), leave(), headers=headers)
    if status is None:
        assert client.data == ["x"]
    else:
        assert answer(client)[0] == status


async def test_untrusted_hosts(app: Flask) -> None:
    app.config["TRUSTED_HOSTS"] = ["example.com"]
    app.websocket("/")(Flask)
    assert answer(await play(app, "/"))[0] == 400


# Closed after it was accepted


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (LookupError(), 1011, "Internal Server Error"),
        (ImATeapot(), 1008, "I'm a teapot"),
        (RequestEntityTooLarge(), 1009, "Request Entity Too Large"),
        (ServiceUnavailable(), 1013, "Service Unavailable"),
        (WebSocketDisconnect(4000), 1000, ""),
        (ExceptionGroup("two", [LookupError(), KeyError()]), 1011, "Internal Server Error"),
    ],
    ids=repr,
)
async def test_errors_close(
    app: Flask, seen: list[t.Any], error: Exception, code: int, reason: str
) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        raise error

    client = await play(app, "/")
    assert client.sent[1:] == [{"type": "websocket.close", "code": code, "reason": reason}]
    unhandled = error if code == 1011 else None
    assert seen[-2:] == [("teardown", unhandled), ("teardown app", unhandled)]


async def test_abort_closes(app: Flask) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.receive()
        abort(403)

    client = await play(app, "/", text("x"))
    assert client.sent[-1] == {"type": "websocket.close", "code": 1008, "reason": "Forbidden"}


async def test_error_handlers_may_choose_the_code(app: Flask) -> None:
    @app.errorhandler(LookupError)
    async def handle(error: LookupError) -> str:
        await websocket.close(4004, "not found")
        return ""

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        raise LookupError

    client = await play(app, "/")
    assert client.sent[1:] == [{"type": "websocket.close", "code": 4004, "reason": "not found"}]


async def test_error_handlers_may_have_a_last_word(app: Flask) -> None:
    @app.errorhandler(LookupError)
    async def handle(error: LookupError) -> None:
        await websocket.send_json(error=str(error))

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        raise LookupError("it")

    client = await play(app, "/")
    assert client.data == ['{"error": "it"}']
    assert client.sent[-1]["code"] == 1000


async def test_a_client_that_leaves_is_no_failure(
    app: Flask, seen: list[t.Any], caplog: pytest.LogCaptureFixture
) -> None:
    @app.websocket("/")
    async def handler() -> None:
        while True:
            await websocket.receive()

    client = await play(app, "/", text("x"), leave(1006))
    assert client.kinds == ["accept"]
    assert seen[-3:] == [("after", None), ("teardown", None), ("teardown app", None)]
    assert caplog.records == []


async def test_there_may_be_a_handler_for_clients_that_leave(app: Flask) -> None:
    seen: list[int] = []

    @app.errorhandler(WebSocketDisconnect)
    async def handle(error: WebSocketDisconnect) -> None:
        seen.append(error.code)

    @app.websocket("/")
    async def handler() -> None:
        while True:
            await websocket.receive()

    await play(app, "/", leave(4321))
    assert seen == [4321]


@pytest.mark.parametrize("accepts", [True, False])
async def test_what_propagates_is_the_server_s_to_report(app: Flask, accepts: bool) -> None:
    app.testing = True

    @app.websocket("/")
    async def handler() -> None:
        if accepts:
            await websocket.accept()
        raise LookupError("it")

    client = Client()
    with pytest.raises(LookupError):
        await app(socket_scope("/"), *client.ends)
    assert client.kinds == (["accept", "close"] if accepts else [])


@pytest.mark.parametrize("accepts", [True, False])
async def test_in_debug_mode_errors_are_logged(
    app: Flask, accepts: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app.debug = True

    @app.websocket("/")
    async def handler() -> None:
        if accepts:
            await websocket.accept()
        raise LookupError("it")

    client = await play(app, "/")
    assert len(caplog.records) == 1
    if accepts:
        assert client.sent[-1]["code"] == 1011
    else:
        status, _, body = answer(client)
        assert status == 500
        assert b"LookupError" in body


async def test_unhandled_errors_are_logged_once(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        raise LookupError("it")

    await play(app, "/")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "Exception on / [WEBSOCKET]"


async def test_every_teardown_function_runs(app: Flask) -> None:
    seen: list[str] = []

    @app.teardown_websocket
    async def first(error: t.Any) -> None:
        seen.append("first")

    @app.teardown_websocket
    async def fails(error: t.Any) -> None:
        raise LookupError

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()

    client = await play(app, "/")
    assert seen == ["first"]
    assert client.sent[-1]["code"] == 1011


async def test_a_handler_that_is_cancelled_is_torn_down(app: Flask, seen: list[t.Any]) -> None:
    client = Client()
    started = anyio.Event()

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        started.set()
        await websocket.receive()

    async with anyio.create_task_group() as group:
        group.start_soon(app, socket_scope("/"), *client.ends)
        await started.wait()
        group.cancel_scope.cancel()
    assert [what for what, *_ in seen] == ["before", "teardown", "teardown app"]
    assert isinstance(seen[-1][1], (asyncio.CancelledError, BaseException))


# The shutdown


class Server(Client):
    """A client behind a server that ends a websocket's messages when the app has closed it."""

    def __init__(self, *script: t.Any) -> None:
        super().__init__(*script)
        self.over = anyio.Event()

    async def receive(self) -> t.Any:
        if self._script:
            return await super().receive()
        await self.over.wait()
        return leave(1006)

    async def send(self, message: t.Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.close":
            self.over.set()


async def test_the_shutdown_closes(app: Flask, seen: list[t.Any]) -> None:
    waiting = anyio.Event()
    codes: list[t.Any] = []

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        waiting.set()
        async for _ in websocket:
            pass
        codes.append(websocket.close_code)

    server = Server()
    async with app.async_client(), anyio.create_task_group() as group:
        group.start_soon(app, socket_scope("/"), *server.ends)
        await waiting.wait()
        app.shutdown_event.set()
    assert server.sent[-1] == {
        "type": "websocket.close",
        "code": 1012,
        "reason": "Service Restart",
    }
    assert codes == [1012]
    assert seen[-1] == ("teardown app", None)


async def test_the_shutdown_denies_what_is_not_accepted(app: Flask) -> None:
    @app.websocket("/")
    async def handler() -> None:
        app.shutdown_event.set()
        while websocket.state.value == "connecting":
            await anyio.lowlevel.checkpoint()
        with pytest.raises(WebSocketDisconnect):
            await websocket.accept()

    async with app.async_client():
        assert answer(await play(app, "/"))[0] == 503


async def test_a_websocket_that_comes_when_it_is_over(app: Flask) -> None:
    @app.websocket("/")
    async def handler() -> None:
        async for _ in websocket:
            pass
        assert websocket.close_code == 1012

    async with app.async_client():
        app.shutdown_event.set()
        server = Server(*[text("x")] * 50)
        await app(socket_scope("/"), *server.ends)
    assert server.sent[-1]["code"] == 1012


# In threads


async def test_a_sync_handler(app: Flask) -> None:
    threads: list[int] = []

    @app.before_websocket
    def before() -> None:
        threads.append(threading.get_ident())
        websocket.accept(subprotocol="a")

    @app.teardown_websocket
    def teardown(error: t.Any) -> None:
        threads.append(threading.get_ident())

    @app.websocket("/")
    def handler() -> None:
        threads.append(threading.get_ident())
        websocket.send_json(websocket.receive_json())
        for message in websocket:
            websocket.send(message)
        with pytest.raises(WebSocketDisconnect):
            websocket.receive()

    async with app.async_client():
        client = await play(
            app, "/", text("[1]"), text("x"), text("y"), leave(), subprotocols=["a"]
        )
    assert client.data == ["[1]", "x", "y"]
    assert client.sent[0]["subprotocol"] == "a"
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


async def test_a_sync_handler_closes_and_rejects(app: Flask) -> None:
    @app.websocket("/close")
    def close() -> None:
        websocket.accept()
        websocket.close(4000)

    @app.websocket("/reject")
    def reject() -> None:
        websocket.reject(404)

    @app.websocket("/return")
    def returns() -> t.Any:
        return "no", 403

    async with app.async_client():
        assert (await play(app, "/close")).sent[-1]["code"] == 4000
        assert answer(await play(app, "/reject"))[0] == 404
        assert answer(await play(app, "/return"))[0] == 403


async def test_where_no_thread_is_to_be_had(app: Flask) -> None:
    """A thread that waits for its client is not at work, but it is one of those that are kept."""
    app.config.update(SYNC_WORKERS=1, SYNC_QUEUE_LIMIT=1)

    @app.websocket("/")
    def handler() -> None:
        websocket.receive()

    async with app.async_client(), anyio.create_task_group() as group:
        group.start_soon(play, app, "/")
        while app.sync_metrics.held == 0:
            await anyio.lowlevel.checkpoint()
        status, headers, _ = answer(await play(app, "/"))
        assert status == 503
        assert b"retry-after" in headers
        group.cancel_scope.cancel()


async def test_a_converter_of_the_app_s_own_may_block(app: Flask) -> None:
    from werkzeug.routing import BaseConverter

    threads: list[int] = []

    class Slow(BaseConverter):
        def to_python(self, value: str) -> str:
            threads.append(threading.get_ident())
            return value.upper()

    app.url_map.converters["slow"] = Slow

    @app.websocket("/<slow:name>")
    async def handler(name: str) -> None:
        await websocket.send(name)

    async with app.async_client():
        assert (await play(app, "/x")).data == ["X"]
    assert threads == [threads[0]] != [threading.get_ident()]


# Memory


async def test_nothing_is_left_of_a_websocket(app: Flask) -> None:
    kept: list[weakref.ref[t.Any]] = []

    @app.websocket("/<how>")
    async def handler(how: str) -> t.Any:
        kept.append(weakref.ref(websocket._get_current_object()))  # type: ignore[attr-defined]
        kept.append(weakref.ref(request._get_current_object()))  # type: ignore[attr-defined]
        if how == "deny":
            return "no"
        await websocket.accept()
        if how == "fail":
            raise ImATeapot
        return None

    gc.disable()
    try:
        for how in ("end", "deny", "fail"):
            await play(app, f"/{how}")
            assert [ref() for ref in kept] == [None] * len(kept), how
    finally:
        gc.enable()
