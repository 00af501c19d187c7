"""The short way of a stream answers as the long one does: same messages, same events, same ends."""

from __future__ import annotations

import contextvars
import gc
import typing as t
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asyncflask import (
    EventSourceResponse,
    Flask,
    NDJSONResponse,
    Response,
    after_this_request,
    g,
    request,
    session,
)
from asyncflask.asgi import outgoing, shortstream

from ..played import Message, Played, part

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)

var: contextvars.ContextVar[str] = contextvars.ContextVar("shortstream", default="server")

Events = list[t.Any]
Deed = Callable[[Flask, Events], t.Any]
DEEDS: dict[str, Deed] = {}

#: Deeds whose response somebody else has a say in, or that are more than a body.
LONG = {"changed", "counted", "created", "located", "with_trailers", "closed_later", "unsendable"}

#: Headers that have the exchange serve a request whoever could.
LONG_WAY = [(b"transfer-encoding", b"chunked")]


def deed(func: Deed) -> Deed:
    DEEDS[func.__name__] = func
    return func


async def pieces(events: Events, *more: t.Any) -> AsyncIterator[t.Any]:
    try:
        yield "grüße,"
        yield b"bytes,"
        await checkpoint()
        for each in more:
            yield each
        events.append((request.path, g.get("name")))
    finally:
        events.append("closed")


@deed
def generator(app: Flask, events: Events) -> t.Any:
    return pieces(events)


@deed
def own_type(app: Flask, events: Events) -> t.Any:
    return Response(pieces(events), mimetype="text/csv", headers={"X-Own": "yes"})


@deed
def events_of_a_server(app: Flask, events: Events) -> t.Any:
    async def each() -> AsyncIterator[t.Any]:
        yield {"a": 1}
        yield "two\nlines"

    return EventSourceResponse(each())


@deed
def lines(app: Flask, events: Events) -> t.Any:
    async def each() -> AsyncIterator[int]:
        yield 1
        yield 2

    return NDJSONResponse(each())


@deed
def iterable(app: Flask, events: Events) -> t.Any:
    class Body:
        async def __aiter__(self) -> AsyncIterator[str]:
            yield "a"
            yield "b"

        async def aclose(self) -> None:
            events[:] = ["closed"]  # once or twice

    return Response(t.cast("t.Any", Body()))


@deed
def nothing(app: Flask, events: Events) -> t.Any:
    async def none() -> AsyncIterator[str]:
        for each in t.cast("list[str]", []):
            yield each

    return none()


@deed
def failing(app: Flask, events: Events) -> t.Any:
    async def fail() -> AsyncIterator[str]:
        yield "before"
        yield "behind"
        raise LookupError("a body's")

    return fail()


@deed
def refused(app: Flask, events: Events) -> t.Any:
    return pieces(events, 5)


@deed
def named(app: Flask, events: Events) -> t.Any:
    g.name = "view"
    return pieces(events)


@deed
def set_in_the_view(app: Flask, events: Events) -> t.Any:
    var.set("view")
    return pieces(events)


@deed
def torn_down(app: Flask, events: Events) -> t.Any:
    async def body() -> AsyncIterator[str]:
        yield "a"
        app.teardown_request_funcs.setdefault(None, []).append(events.append)
        app.teardown_appcontext_funcs.append(lambda error: events.append("app"))
        yield "b"

    return body()


@deed
def closed_from_within(app: Flask, events: Events) -> t.Any:
    async def body() -> AsyncIterator[str]:
        yield "a"
        response.call_on_close(lambda: events.append("on close"))
        yield "b"

    response = Response(body())
    return response


@deed
def hinting_too_late(app: Flask, events: Events) -> t.Any:
    async def body() -> AsyncIterator[str]:
        yield "a"
        events.append(await request.send_early_hints(["</x>; rel=preload"]))
        yield "b"

    return body()


@deed
def changed(app: Flask, events: Events) -> t.Any:
    @after_this_request
    def change(response: Response) -> Response:
        response.headers["X-Changed"] = "yes"
        return response

    return pieces(events)


@deed
def counted(app: Flask, events: Events) -> t.Any:
    session["count"] = 1
    return pieces(events)


@deed
def created(app: Flask, events: Events) -> t.Any:
    return pieces(events), 201, {"X-Made": "yes"}


@deed
def located(app: Flask, events: Events) -> t.Any:
    return Response(pieces(events), headers={"Content-Location": "/grüße"})


@deed
def with_trailers(app: Flask, events: Events) -> t.Any:
    response = Response(pieces(events))
    response.trailers = {"X-Sum": "7"}
    return response


@deed
def closed_later(app: Flask, events: Events) -> t.Any:
    response = Response(pieces(events))
    response.call_on_close(lambda: events.append("on close"))
    return response


@deed
def unsendable(app: Flask, events: Events) -> t.Any:
    response = Response(pieces(events))
    response.headers._list.append(("X-Split", "a\r\nX-Own: b"))
    return response


async def play(played: Played, app: Flask, path: str = "/", **more: t.Any) -> Played:
    """Have an app serve a connection, which is not its first."""
    app._got_first_request = True
    return await played.play(app, path, **more)


class Served(t.NamedTuple):
    """What came of a request."""

    sent: list[Message]
    events: Events
    contexts: list[str]
    error: str


async def served(deed: Deed, headers: list[tuple[bytes, bytes]]) -> Served:
    app, events, contexts = Flask("shortstream"), list[t.Any](), list[str]()
    app.secret_key = "key"
    var.set("server")

    @app.get("/")
    async def view() -> t.Any:
        return deed(app, events)

    played = Played(part(b""))
    played.on_send = lambda message: contexts.append(var.get())
    error = ""
    try:
        await play(played, app, headers=headers, extensions=["http.response.early_hint"])
    except Exception as raised:
        error = repr(raised)
    await app._budgets.close()
    for message in played.sent[:1]:  # a session's cookie says when it was signed
        message["headers"] = [
            (name, b"" if name == b"set-cookie" else value) for name, value in message["headers"]
        ]
    return Served(played.sent, events, contexts[-1:], error)


@pytest.fixture
def slow_machines_are_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "SLICE", 1000.0)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[shortstream.Streamed]:
    """Note which requests go the short way."""
    found: list[shortstream.Streamed] = []
    serve = shortstream.serve

    async def noting(ctx: t.Any, streamed: shortstream.Streamed) -> None:
        found.append(streamed)
        await serve(ctx, streamed)

    monkeypatch.setattr(shortstream, "serve", noting)
    return found


@pytest.mark.usefixtures("slow_machines_are_no_matter")
@pytest.mark.parametrize("name", DEEDS)
async def test_both_ways_do_the_same(name: str, taken: list[shortstream.Streamed]) -> None:
    short = await served(DEEDS[name], [])
    assert bool(taken) == (name not in LONG)
    taken.clear()
    long = await served(DEEDS[name], LONG_WAY)
    assert taken == []
    assert short == long


@pytest.mark.parametrize("header", [b"session=x", b"other=1; session=x"])
async def test_a_session_that_was_sent_is_looked_after(
    header: bytes, taken: list[shortstream.Streamed]
) -> None:
    await served(generator, [(b"cookie", header)])
    assert taken == []


async def test_a_registered_function_has_its_say(taken: list[shortstream.Streamed]) -> None:
    app = Flask("say")

    @app.after_request
    async def mark(response: Response) -> Response:
        response.headers["X-Marked"] = "yes"
        return response

    @app.get("/")
    async def view() -> t.Any:
        return pieces([])

    played = await play(Played(part(b"")), app)
    assert (taken, played.headers[b"x-marked"]) == ([], b"yes")


def leaving_app(events: Events) -> Flask:
    app = Flask("leaving")

    @app.get("/waiting")
    async def waiting() -> t.Any:
        async def body() -> AsyncIterator[str]:
            try:
                yield "x"
                await anyio.sleep_forever()
            finally:
                events.append("closed")

        return body()

    @app.get("/endless")
    async def endless() -> t.Any:
        async def body() -> AsyncIterator[str]:
            try:
                while True:
                    yield "x"
            finally:
                events.append("closed")

        return body()

    return app


@pytest.mark.parametrize("path", ["/waiting", "/endless"])
async def test_a_client_that_leaves_ends_it(path: str, taken: list[shortstream.Streamed]) -> None:
    events: Events = []
    played = Played(part(b""))
    played.leave_after(2)
    await play(played, leaving_app(events), path)
    assert len(taken) == 1
    assert events == ["closed"]
    assert all(message.get("more_body", True) for message in played.sent)


async def test_a_head_that_cannot_be_sent_closes_the_body() -> None:
    """The body is closed, though it never began; what the server raised is raised."""

    class Gone(OSError):
        pass

    class Body:
        closed = False

        def __aiter__(self) -> t.Any:
            raise AssertionError("it began")

        async def aclose(self) -> None:
            self.closed = True

    app, body = Flask("gone"), Body()

    @app.get("/")
    async def view() -> t.Any:
        return Response(t.cast("t.Any", body))

    played = Played(part(b""))

    def fail(message: Message) -> None:
        raise Gone

    played.on_send = fail
    with pytest.raises(Gone):
        await play(played, app)
    assert body.closed


async def test_no_circle_is_left() -> None:
    app = Flask("circles")
    seen: list[weakref.ref[t.Any]] = []

    class Watched(list[str]):
        """Something that can be referred to weakly."""

    @app.get("/<kind>")
    async def view(kind: str) -> t.Any:
        kept = Watched()
        seen.append(weakref.ref(kept))

        async def body() -> AsyncIterator[str]:
            yield "a"
            if kind == "waits":
                await anyio.sleep(0.001)
            kept.append(request.path)
            if kind == "fails":
                raise LookupError
            yield "b"

        return body()

    gc.collect()
    gc.disable()
    try:
        for path in ("/quick", "/waits", "/fails"):
            with suppress(LookupError):
                await play(Played(part(b"")), app, path)
            await checkpoint()  # the event loop lets go of a task that has ended, a turn later
            await checkpoint()
            assert seen[-1]() is None, path
    finally:
        gc.enable()


async def test_sync_generators_keep_to_their_lane(taken: list[shortstream.Streamed]) -> None:
    app = Flask("lane")

    @app.get("/")
    async def view() -> t.Any:
        def body() -> Iterator[str]:
            yield "a"
            yield "b"

        return body()

    played = await play(Played(part(b"")), app)
    await app._budgets.close()
    assert (taken, played.body) == ([], b"ab")
