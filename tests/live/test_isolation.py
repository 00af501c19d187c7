"""Nothing of one request is seen by another: not in `g`, the session, the URL, nor in variables."""

from __future__ import annotations

import asyncio
import threading
import typing as t
from contextvars import ContextVar

import pytest

from asyncflask import Blueprint, Flask, _current, g, request, session

from ..conftest import Live
from .load import Client, Reply, load
from .server import ALL_STACKS, HttpName, LoopName
from .wire import BYTES
from .wire import request as raw_request

CLIENTS = 64

#: 20,000 in all, over four stacks.
ROUNDS = 80

#: Every so many-th request has a body.
BODIES = 8

#: Bytes of a body: below and above what uvicorn takes before it stops reading, which is where
#: asyncio's reader gets a new context (https://github.com/python/cpython/issues/140947).
BODY_SIZES = [1_000, 100_000, 600_000]

in_hook: ContextVar[str] = ContextVar("in_hook")
in_view: ContextVar[str] = ContextVar("in_view")
MARKED = (in_hook, in_view)

stacks = pytest.mark.parametrize(("loop", "http"), ALL_STACKS)


class Seen:
    """What must stay empty."""

    def __init__(self) -> None:
        self.left_over: list[str] = []
        self.outside: list[str] = []

    def note(self, found: list[str]) -> None:
        """Note variables that are set although this request has not set them."""
        found.extend(f"{var.name}={var.get()}" for var in MARKED if var.get(None) is not None)
        if found is self.outside and _current.context.get(None) is not None:
            found.append("a context")


class Around:
    """ASGI middleware that looks at the variables before the app has its turn."""

    def __init__(self, app: t.Any, seen: Seen) -> None:
        self._app, self._seen = app, seen

    async def __call__(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        if scope["type"] == "http":
            self._seen.note(self._seen.outside)
        await self._app(scope, receive, send)


def check() -> str:
    """Compare all places where this request has left its marker."""
    marker = request.args["marker"]
    body = request.get_data()
    places = {
        "g": g.marker,
        "session": session["marker"],
        "session cookie": session.get("of_client", marker.partition("-")[0]),
        "hook's variable": in_hook.get(None),
        "header": request.headers["X-Marker"],
        "path": (request.view_args or {})["marker"],
        "body": body[: len(marker)].decode() if body else marker,
    }
    wanted = dict.fromkeys(places, marker) | {"session cookie": marker.partition("-")[0]}
    wrong = {place: found for place, found in places.items() if found != wanted[place]}
    return f"{marker} {wrong or 'alone'} {len(body)}"


def add_views(app: Flask | Blueprint) -> None:
    """Add a sync and an async view, and one of each that answers with a stream."""

    @app.route("/sync/<marker>", methods=["GET", "POST"])
    def sync_view(marker: str) -> str:
        in_view.set(marker)
        return check()

    @app.route("/async/<marker>", methods=["GET", "POST"])
    async def async_view(marker: str) -> str:
        in_view.set(marker)
        await asyncio.sleep(0)
        return check()

    @app.route("/stream/<marker>", methods=["GET", "POST"])
    def streaming_view(marker: str) -> t.Iterator[str]:
        def body() -> t.Iterator[str]:
            yield check()
            yield ""

        return body()

    @app.route("/astream/<marker>", methods=["GET", "POST"])
    async def async_streaming_view(marker: str) -> t.AsyncIterator[str]:
        async def body() -> t.AsyncIterator[str]:
            await asyncio.sleep(0)
            yield check()

        return body()


def make_app(seen: Seen) -> Flask:
    app = Flask(__name__)
    app.secret_key = "secret"
    mixed = Blueprint("mixed", __name__, url_prefix="/mixed")
    alone = Blueprint("alone", __name__, url_prefix="/alone")

    def mark() -> None:
        seen.note(seen.left_over)
        marker = request.args["marker"]
        g.marker = marker
        in_hook.set(marker)
        session["marker"] = marker
        session["of_client"] = marker.partition("-")[0]

    @mixed.before_request
    def mark_in_thread() -> None:
        mark()

    @mixed.before_request
    async def touch_on_loop() -> None:
        await asyncio.sleep(0)
        assert in_hook.get() == g.marker

    @alone.before_request
    def mark_alone() -> None:
        mark()

    for blueprint in (mixed, alone):
        add_views(blueprint)
        app.register_blueprint(blueprint)
    only_async = Blueprint("only_async", __name__, url_prefix="/only_async")

    @only_async.before_request
    async def mark_on_loop() -> None:
        mark()

    add_views(only_async)
    app.register_blueprint(only_async)
    return app


PATHS = [
    f"/{hooks}/{view}"
    for hooks in ("mixed", "alone", "only_async")
    for view in ("sync", "async", "stream", "astream")
]


def marked_request(client: int, turn: int, cookie: str) -> tuple[str, bytes]:
    """Return a request's marker and its bytes."""
    marker = f"{client}-{turn}"
    body = b""
    if (client + turn) % BODIES == 0:
        size = BODY_SIZES[(client + turn) // BODIES % len(BODY_SIZES)]
        body = marker.encode().ljust(size, b"x")
    path = f"{PATHS[(client + turn) % len(PATHS)]}/{marker}?marker={marker}"
    headers = [f"X-Marker: {marker}", BYTES, *([f"Cookie: {cookie}"] if cookie else [])]
    return marker, raw_request("POST" if body else "GET", path, *headers, body=body)


def cookie_of(reply: Reply) -> str:
    """Return the session cookie that a response sets."""
    return reply.raw_header("set-cookie").partition(";")[0]


@stacks
@pytest.mark.time_limit(60)
@pytest.mark.loop_limit(5.0)  # 40 threads and the clients share one interpreter with the loop
def test_requests_do_not_mix(live: Live, loop: LoopName, http: HttpName) -> None:
    seen = Seen()
    app = make_app(seen)
    app.asgi_app = Around(app.asgi_app, seen)  # type: ignore[method-assign]
    server = live(app, loop=loop, http=http)
    wrong: list[object] = []
    answered: list[int] = []

    async def work(number: int, client: Client) -> None:
        cookie = ""
        for turn in range(ROUNDS):
            marker, raw = marked_request(number, turn, cookie)
            reply = await client.ask(raw)
            if reply.status != 200 or not reply.body.startswith(f"{marker} alone ".encode()):
                wrong.append((marker, reply))
            cookie = cookie_of(reply) or cookie
        answered.append(ROUNDS)

    load(server.address, CLIENTS, work)
    assert sum(answered) == CLIENTS * ROUNDS
    assert wrong == []
    assert seen.left_over == []
    assert seen.outside == []


@stacks
def test_pipelined_requests_do_not_mix(live: Live, loop: LoopName, http: HttpName) -> None:
    """The next of them is started by the sending of an answer, from inside the request before."""
    seen = Seen()
    app = make_app(seen)
    app.asgi_app = Around(app.asgi_app, seen)  # type: ignore[method-assign]
    server = live(app, loop=loop, http=http)
    raws = [
        raw_request("GET", f"{path}/1-{turn}?marker=1-{turn}", f"X-Marker: 1-{turn}")
        for turn, path in enumerate(PATHS * 4)
    ]
    with server.connect() as connection:
        connection.send(b"".join(raws) + raw_request("GET", "/", "Connection: close"))
        assert connection.rest().count(b" alone 0") == len(raws)
    assert seen.left_over == []
    assert seen.outside == []


@stacks
@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_nothing_is_left_of_a_request_whose_body_nobody_read(
    live: Live, loop: LoopName, http: HttpName, path: str
) -> None:
    seen = Seen()
    app = Flask(__name__)
    app.asgi_app = Around(app.asgi_app, seen)  # type: ignore[method-assign]

    @app.post("/sync")
    def sync_view() -> str:
        in_view.set("sync")
        return "unread"

    @app.post("/async")
    async def async_view() -> str:
        in_view.set("async")
        return "unread"

    server = live(app, loop=loop, http=http)
    with server.connect() as connection:
        for _ in range(3):
            connection.send(raw_request("POST", path, BYTES, body=b"x" * 3_000_000))
            assert connection.answer("POST").text == "unread"
    assert seen.outside == []


@stacks
def test_variables_go_along_with_the_request(live: Live, loop: LoopName, http: HttpName) -> None:
    """Set in a sync hook, seen in an async view; set there, seen in a sync hook and in a stream."""
    app = Flask(__name__)
    threads: list[str] = []

    @app.before_request
    def set_in_hook() -> None:
        threads.append(threading.current_thread().name)
        in_hook.set("hook")

    @app.before_request
    async def look_on_loop() -> None:
        assert in_hook.get() == "hook"

    @app.get("/")
    async def view() -> t.AsyncIterator[str]:
        in_view.set("view")

        async def body() -> t.AsyncIterator[str]:
            yield f"{in_hook.get()} {in_view.get()}"

        return body()

    @app.after_request
    def look_in_hook(response: t.Any) -> t.Any:
        response.headers["X-Seen"] = f"{in_hook.get()} {in_view.get()}"
        return response

    answer = live(app, loop=loop, http=http).get("/")
    assert answer.text == "hook view"
    assert answer.header("X-Seen") == "hook view"
    assert threads == ["asyncflask-worker"]
