"""The subjects of `benchmarks.growth`: what may grow in a request, in a response and in an app.

Each is made at a size and gives a call that makes one request. Where a client chooses the size, the
largest is about what servers and our own limits let through.
"""

from __future__ import annotations

import asyncio
import typing as t
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path

from asyncflask import (
    Blueprint,
    EventSourceResponse,
    Flask,
    Response,
    ServerSentEvent,
    request,
    session,
    url_for,
    websocket,
)

from .requests import Call, Header, ask, at_once, multipart, socket, split, urlencoded

#: Bytes that a server puts into one message.
READ = 65_536

MEGABYTE = 1 << 20


class Subject(t.NamedTuple):
    """What grows."""

    size: int
    make: Callable[[int], Call]


SUBJECTS: dict[str, Subject] = {}


def subject(name: str, size: int) -> Callable[[Callable[[int], Call]], Callable[[int], Call]]:
    """Decorate what makes a call of a size.

    :param size: the smallest; the others are 4 and 16 times as large.
    """

    def register(make: Callable[[int], Call]) -> Callable[[int], Call]:
        SUBJECTS[name] = Subject(size, make)
        return make

    return register


async def hello(**_: t.Any) -> str:
    """Answer."""
    return "x"


def sync_hello(**_: t.Any) -> str:
    """Answer, as a plain function."""
    return "x"


def one_view(view: Callable[..., t.Any], **options: t.Any) -> Flask:
    """Return an app with one view, and with limits that the largest sizes are within."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY="growth",
        MAX_FORM_PARTS=None,
        MAX_FORM_MEMORY_SIZE=None,
        MAX_BUFFERED_BODY=1 << 30,
        SYNC_QUEUE_LIMIT=100_000,
        MAX_COOKIE_SIZE=0,
    )
    app.add_url_rule("/x", view_func=view, methods=["GET", "POST"], **options)
    return app


def both(read: Callable[[], t.Any]) -> dict[str, Callable[[], t.Any]]:
    """Return what reads something of the request as an async and as a sync view."""

    async def view() -> str:
        return str(read())

    def sync_view() -> str:
        return str(read())

    return {"": view, ", sync": sync_view}


def of_request(
    name: str,
    size: int,
    read: Callable[[], t.Any],
    headers: Callable[[int], list[Header]] = lambda size: [],
    query: Callable[[int], bytes] = lambda size: b"",
    body: Callable[[int], Iterable[bytes]] = lambda size: (),
) -> None:
    """Register a subject, read by an async and by a sync view."""
    for kind, view in both(read).items():

        def make(size: int, view: t.Any = view) -> Call:
            chunks = [*body(size)]
            return ask(one_view(view), "/x", headers(size), query=query(size), chunks=chunks)

        SUBJECTS[name + kind] = Subject(size, make)


def of_form(name: str, size: int, made: Callable[[int], tuple[list[Header], bytes]]) -> None:
    """Register a form, whose fields and files a view counts."""
    of_request(
        name,
        size,
        lambda: len(request.form) + len(request.files),
        headers=lambda size: made(size)[0],
        body=lambda size: split(made(size)[1], READ),
    )


# Routes, of which the last is asked for.


def routes(name: str, pattern: str, path: str, status: int = 200, method: str = "") -> None:
    """Register an app with so many routes; 10,000 at most."""

    def make(size: int) -> Call:
        app = Flask(__name__)
        for number in range(size):
            app.add_url_rule(pattern.format(number), f"e{number}", hello)
        return ask(app, path.format(size - 1), status=status, method=method)

    SUBJECTS[f"routes: {name}"] = Subject(625, make)


routes("static", "/r{}/x", "/r{}/x")
routes("int converter", "/r{}/<int:id>/x", "/r{}/42/x")
routes("same prefix", "/api/v1/thing{}", "/api/v1/thing{}")
routes("same prefix with a converter", "/api/<int:id>/thing{}", "/api/42/thing{}")
routes("text before a variable", "/r{}-<int:id>", "/r{}-42")
routes("text behind a variable", "/<name>.r{}", "/file.r{}")
routes("not found", "/r{}/<int:id>/x", "/none{}/42/x", 404)
routes("method not allowed", "/r{}/<int:id>/x", "/r{}/42/x", 405, "POST")


@subject("url_for among routes", 625)
def _url_for(size: int) -> Call:
    app = Flask(__name__)
    for number in range(size):
        app.add_url_rule(f"/r{number}/<int:id>", f"e{number}", hello)

    @app.get("/built")
    async def built() -> str:
        return url_for(f"e{size - 1}", id=42)

    return ask(app, "/built")


# Requests.


def many_headers(size: int) -> list[Header]:
    """Return so many headers."""
    return [(b"x-header-%d" % number, b"value %d" % number) for number in range(size)]


def cookies(size: int) -> list[Header]:
    """Return the header with so many cookies."""
    return [(b"cookie", b"; ".join(b"c%d=v%d" % (number, number) for number in range(size)))]


# More names than caches hold (256, since clients choose them): one that is made is twice one found.
of_request("headers", 400, lambda: len(request.headers), many_headers)
of_request("headers nobody reads", 200, lambda: "x", many_headers)
of_request(
    "one header repeated", 200, lambda: len(request.headers), lambda size: [(b"x", b"y")] * size
)
of_request("cookies", 200, lambda: len(request.cookies), cookies)
of_request(
    "cookie of backslashes",
    4000,
    lambda: len(request.cookies),
    lambda size: [(b"cookie", b'c="' + b"\\" * size + b'"')],
)
of_request(
    "query parameters",
    200,
    lambda: len(request.args),
    query=lambda size: b"&".join(b"a%d=%d" % (number, number) for number in range(size)),
)
of_form("form fields, urlencoded", 500, urlencoded)
of_form("form fields, multipart", 60, lambda size: multipart([(b"", b"value")] * size))
of_form(
    "form files, multipart", 60, lambda size: multipart([(b'; filename="a.txt"', b"text")] * size)
)
of_form("a file's size", MEGABYTE, lambda size: multipart([(b'; filename="a.bin"', b"x" * size)]))
of_form(
    "a file of line ends", 10_000, lambda size: multipart([(b'; filename="a"', b"\r\n-" * size)])
)
of_request(
    "JSON list",
    2500,
    lambda: len(request.get_json()),
    lambda size: [(b"content-type", b"application/json")],
    body=lambda size: split(b"[" + b",".join([b'{"a": 1}'] * size) + b"]", READ),
)
of_request(
    "body read whole",
    MEGABYTE,
    lambda: len(request.get_data()),
    body=lambda size: split(b"x" * size, READ),
)
of_request(
    "body in tiny chunks", 250, lambda: len(request.get_data()), body=lambda size: [b"x"] * size
)


async def _count_streamed() -> str:
    count = 0
    async for chunk in t.cast("t.AsyncIterable[bytes]", request.stream):
        count += len(chunk)
    return str(count)


@subject("body streamed", MEGABYTE)
def _body_streamed(size: int) -> Call:
    app = one_view(_count_streamed, stream_body=True)
    return ask(app, "/x", chunks=split(b"x" * size, READ))


@subject("body streamed in tiny chunks", 250)
def _tiny_streamed(size: int) -> Call:
    return ask(one_view(_count_streamed, stream_body=True), "/x", chunks=[b"x"] * size)


@subject("session's keys, read and written", 40)
def _session(size: int) -> Call:
    async def view() -> str:
        session["count"] = session.get("count", 0) + 1
        return "x"

    app = one_view(view)
    serializer = t.cast("t.Any", app.session_interface).get_signing_serializer(app)
    cookie = serializer.dumps({f"key{number}": number * 7919 for number in range(size)})
    return ask(app, "/x", [(b"cookie", f"session={cookie}".encode())])


@subject("cookie that is no session", 4000)
def _forged(size: int) -> Call:
    async def view() -> str:
        return str(session.get("count"))

    return ask(one_view(view), "/x", [(b"cookie", b"session=" + b"a." * size)])


@subject("ranges of a file", 1000)
def _ranges(size: int) -> Call:
    file = Path(__file__)
    app = Flask(__name__, static_url_path="/static", static_folder=str(file.parent))
    ranges = b"bytes=" + b",".join(b"%d-%d" % (2 * at, 2 * at) for at in range(size))
    return ask(app, f"/static/{file.name}", [(b"range", ranges)], status=416)


@subject("path that is not found", 2000)
def _path(size: int) -> Call:
    return ask(one_view(hello), "/a" * size, status=404)


# Responses.


@subject("response's size", READ)
def _text(size: int) -> Call:
    text = "x" * size

    async def view() -> str:
        return text

    return ask(one_view(view), "/x")


@subject("JSON response", 1000)
def _json(size: int) -> Call:
    data = [{"a": 1}] * size

    async def view() -> t.Any:
        return data

    return ask(one_view(view), "/x")


@subject("response headers", 50)
def _headers(size: int) -> Call:
    headers = [(f"X-{number % 50}", "y") for number in range(size)]

    async def view() -> Response:
        return Response("x", headers=headers)

    return ask(one_view(view), "/x")


@subject("chunks from an async generator", 250)
def _async_chunks(size: int) -> Call:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(size):
            yield b"x" * 1024

    async def view() -> t.Any:
        return chunks()

    return ask(one_view(view), "/x")


@subject("chunks from a generator", 250)
def _chunks(size: int) -> Call:
    def view() -> Iterator[bytes]:
        return (b"x" * 1024 for _ in range(size))

    return ask(one_view(view), "/x")


@subject("events", 250)
def _events(size: int) -> Call:
    async def events() -> AsyncIterator[ServerSentEvent]:
        for number in range(size):
            yield ServerSentEvent(str(number))

    async def view() -> EventSourceResponse:
        return EventSourceResponse(events())

    return ask(one_view(view), "/x")


@subject("websocket messages", 250)
def _messages(size: int) -> Call:
    app = Flask(__name__)

    @app.websocket("/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    return socket(app, "/echo", [{"text": "x"}] * size)


# Apps.


def nested(size: int, sync: bool) -> Call:
    """Return a call of a view in so many blueprints, each with hooks and an error handler."""

    async def nothing(*_: t.Any) -> None:
        pass

    async def same(response: t.Any) -> t.Any:
        return response

    inner: Blueprint | None = None
    for number in range(size):
        blueprint = Blueprint(f"b{number}", __name__, url_prefix=f"/p{number}")
        blueprint.before_request((lambda: None) if sync else nothing)
        blueprint.after_request((lambda response: response) if sync else same)
        blueprint.teardown_request((lambda error: None) if sync else nothing)
        blueprint.register_error_handler(LookupError, lambda error: "x")
        if inner is None:
            blueprint.add_url_rule("/x", "view", sync_hello if sync else hello)
        else:
            blueprint.register_blueprint(inner)
        inner = blueprint
    app = Flask(__name__)
    app.register_blueprint(t.cast("Blueprint", inner))
    return ask(app, "".join(f"/p{number}" for number in reversed(range(size))) + "/x")


SUBJECTS["nested blueprints"] = Subject(4, lambda size: nested(size, sync=False))
SUBJECTS["nested blueprints, sync"] = Subject(4, lambda size: nested(size, sync=True))


@subject("blueprints", 60)
def _blueprints(size: int) -> Call:
    app = Flask(__name__)
    for number in range(size):
        blueprint = Blueprint(f"b{number}", __name__, url_prefix=f"/p{number}")
        blueprint.add_url_rule("/x", "view", hello)
        app.register_blueprint(blueprint)
    return ask(app, f"/p{size - 1}/x")


@subject("hooks", 25)
def _hooks(size: int) -> Call:
    async def nothing() -> None:
        pass

    app = one_view(hello)
    for _ in range(size):
        app.before_request(nothing)
    return ask(app, "/x")


@subject("hooks, sync", 25)
def _sync_hooks(size: int) -> Call:
    app = one_view(sync_hello)
    for _ in range(size):
        app.before_request(lambda: None)
    return ask(app, "/x")


async def _two_turns() -> str:
    await asyncio.sleep(0)
    return "x"


SUBJECTS["requests at once"] = Subject(
    16, lambda size: at_once(ask(one_view(_two_turns), "/x"), size)
)
SUBJECTS["requests at once, sync"] = Subject(
    16, lambda size: at_once(ask(one_view(sync_hello), "/x"), size)
)


@subject("headers under WSGI", 200)
def _wsgi_headers(size: int) -> Call:
    from .requests import wsgi
    from .wsgi_calling import wsgi_environ

    app = one_view(lambda: str(len(request.headers)))
    environ = wsgi_environ("/x") | {f"HTTP_X_{number}": "y" for number in range(size)}
    return wsgi(app, lambda: dict(environ))
