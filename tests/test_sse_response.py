"""The response that sends events: what becomes of items, headers, pings, and the end."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import anyio.lowlevel
import pytest
from starlette.middleware.gzip import GZipMiddleware

from asyncflask import EventSourceResponse, Flask, Response, ServerSentEvent, g, request, session
from asyncflask.sse import PING
from asyncflask.testing.sse import aiter_sse

from .iterables import of_both_kinds
from .sse_oracle import parse

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)


def app_with(respond: Callable[[], Response]) -> Flask:
    """Make an app that answers "/" so from an async view, and "/sync" from a sync one."""
    app = Flask("events")
    app.secret_key = "k"

    @app.get("/")
    async def view() -> Response:
        return respond()

    app.add_url_rule("/sync", "sync", respond)
    return app


@pytest.mark.parametrize("kind", [0, 1], ids=["async", "sync"])
@pytest.mark.parametrize("path", ["/", "/sync"])
async def test_items_of_all_kinds_become_events(path: str, kind: int) -> None:
    items = "text", {"a": 1}, [1], 2, ServerSentEvent("x", "tick", "7", 100), "last"
    app = app_with(lambda: EventSourceResponse(of_both_kinds(*items)[kind]))
    async with app.async_client() as client, client.stream("GET", path) as response:
        received = [event async for event in aiter_sse(response)]
    names = [(event.event, event.id, event.retry) for event in received]
    assert names == [("message", "", None)] * 4 + [("tick", "7", 100), ("message", "7", 100)]
    assert [event.data for event in received] == ["text", '{"a": 1}', "[1]", "2", "x", "last"]
    assert received[1].json() == {"a": 1}


@pytest.mark.parametrize("kind", [0, 1], ids=["async", "sync"])
@pytest.mark.parametrize(("item", "error"), [(b"x", TypeError), (None, ValueError)])
async def test_an_item_that_is_no_event_ends_the_stream_with_an_error(
    kind: int, item: t.Any, error: type[Exception]
) -> None:
    app = app_with(lambda: EventSourceResponse(of_both_kinds("x", item)[kind]))
    ends: list[type[BaseException]] = []
    app.teardown_request(lambda raised: ends.append(type(raised)))
    async with app.async_client() as client:
        with pytest.raises(error):
            await client.get("/")
    assert ends == [error]


async def test_headers_are_those_of_a_stream() -> None:
    app = app_with(lambda: EventSourceResponse([]))
    async with app.async_client() as client:
        response = await client.get("/")
    assert dict(response.headers) == {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
    }


async def test_the_view_and_hooks_have_the_last_word_on_headers() -> None:
    headers = {"cache-control": "no-cache", "X-Own": "1"}
    app = app_with(lambda: EventSourceResponse([], 202, headers))

    @app.after_request
    def hook(response: Response) -> Response:
        assert type(response) is EventSourceResponse
        response.headers["X-Accel-Buffering"] = "yes"
        session["seen"] = True
        return response

    async with app.async_client() as client:
        response = await client.get("/")
    assert response.status_code == 202
    own = {"cache-control": "no-cache", "x-accel-buffering": "yes", "x-own": "1"}
    assert own.items() <= dict(response.headers).items()
    assert "session" in response.cookies
    assert headers == {"cache-control": "no-cache", "X-Own": "1"}


async def test_another_response_class_of_the_app_changes_nothing() -> None:
    class Own(Response):
        pass

    app = app_with(lambda: EventSourceResponse(["x"], ping=None))
    app.response_class = Own
    async with app.async_client() as client:
        assert (await client.get("/")).content == b"data: x\n\n"


async def no_events() -> None: ...


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("text", "not str. Put what it is into a list"),
        (b"x", "not bytes"),
        ({"a": 1}, "not dict"),
        (None, "not NoneType"),
        (no_events, "not function. Call the generator function"),
    ],
)
def test_what_is_no_stream_is_refused(given: t.Any, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        EventSourceResponse(given)


def test_a_coroutine_is_refused_and_closed() -> None:
    with pytest.raises(TypeError, match="Await the coroutine first"):
        EventSourceResponse(t.cast("t.Any", no_events()))


@pytest.mark.parametrize("ping", [0, -1, float("nan"), float("inf")])
def test_a_ping_must_have_a_time(ping: float) -> None:
    with pytest.raises(ValueError, match="ping is a number of seconds"):
        EventSourceResponse([], ping=ping)


@pytest.mark.parametrize("kind", [0, 1], ids=["async", "sync"])
async def test_middleware_that_compresses_lets_each_event_through_at_once(kind: int) -> None:
    go_on = anyio.Event()

    async def waiting() -> AsyncIterator[str]:
        yield "first"
        await go_on.wait()
        yield "second"

    def waiting_sync() -> Iterator[str]:
        yield "first"
        app.async_to_sync(go_on.wait)()
        yield "second"

    sources: list[Callable[[], t.Any]] = [waiting, waiting_sync]
    app = app_with(lambda: EventSourceResponse(sources[kind](), ping=None))
    app.asgi_app = GZipMiddleware(app.asgi_app, minimum_size=1)  # type: ignore[method-assign]
    async with app.async_client() as client, client.stream("GET", "/") as response:
        received = aiter_sse(response)
        assert "gzip" in response.request.headers["accept-encoding"]
        assert (await anext(received)).data == "first"
        go_on.set()
        assert (await anext(received)).data == "second"


# -- keep-alive ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_what_an_event_waits_for_survives_the_pings(kind: str) -> None:
    go_on = anyio.Event()
    steps: list[str] = []

    async def wait() -> None:
        with anyio.fail_after(30):  # a scope around what is waited for
            await go_on.wait()
        steps.append("waited")

    async def waiting() -> AsyncIterator[str]:
        with anyio.CancelScope():  # and one around a `yield`
            yield "first"
            await wait()
            yield "second"
        steps.append("ended")

    def waiting_sync() -> Iterator[str]:
        yield "first"
        app.async_to_sync(wait)()
        yield "second"
        steps.append("ended")

    source = waiting if kind == "async" else waiting_sync
    app = app_with(lambda: EventSourceResponse(source(), ping=0.001))
    async with app.async_client() as client, client.stream("GET", "/") as response:
        stream = response.aiter_raw()
        seen = b""
        async for chunk in stream:
            seen += chunk
            if seen.count(PING) == 5:
                go_on.set()
    told = parse(seen)
    assert [data for _, data, _ in told.events] == ["first", "second"]
    assert len(told.comments) >= 5
    assert steps == ["waited", "ended"]


async def test_a_stream_that_has_nothing_to_say_yet_says_so_at_once() -> None:
    """So that headers which a server or middleware holds back until the body begins go out."""
    go_on = anyio.Event()

    async def waiting() -> AsyncIterator[str]:
        await go_on.wait()
        yield "first"

    app = app_with(lambda: EventSourceResponse(waiting()))
    async with app.async_client() as client, client.stream("GET", "/") as response:
        stream = response.aiter_raw()
        assert await anext(stream) == PING
        go_on.set()
        assert [chunk async for chunk in stream] == [b"data: first\n\n"]


@pytest.mark.parametrize("kind", [0, 1], ids=["async", "sync"])
async def test_without_pings_there_are_only_events(kind: int) -> None:
    app = app_with(lambda: EventSourceResponse(of_both_kinds("x")[kind], ping=None))
    async with app.async_client() as client:
        assert (await client.get("/")).content == b"data: x\n\n"


# -- the end ---------------------------------------------------------------------------------------


class Source:
    """Events without end, of either kind, that count how often they are closed."""

    def __init__(self, ends: list[str]) -> None:
        self._ends = ends

    def close(self) -> None:
        self._ends.append("closed")


class SyncSource(Source):
    def __iter__(self) -> t.Self:
        return self

    def __next__(self) -> str:
        return "x"


class AsyncSource(Source):
    def __aiter__(self) -> t.Self:
        return self

    async def __anext__(self) -> str:
        await anyio.lowlevel.checkpoint()
        return "x"

    async def aclose(self) -> None:
        self.close()


@pytest.mark.parametrize("source", [SyncSource, AsyncSource])
@pytest.mark.parametrize("path", ["/", "/sync"])
async def test_a_source_that_was_never_asked_is_closed(path: str, source: t.Any) -> None:
    ends: list[str] = []
    app = app_with(lambda: EventSourceResponse(source(ends)))
    app.teardown_request(lambda error: ends.append("torn down"))
    async with app.async_client() as client:
        assert (await client.head(path)).headers["content-type"].startswith("text/event-stream")
    assert ends == ["closed", "torn down"]


@pytest.mark.parametrize("source", [SyncSource, AsyncSource])
@pytest.mark.parametrize("path", ["/", "/sync"])
async def test_a_source_is_closed_when_the_client_leaves(path: str, source: t.Any) -> None:
    ends: list[str] = []
    app = app_with(lambda: EventSourceResponse(source(ends)))
    app.teardown_request(lambda error: ends.append("torn down"))
    async with app.async_client() as client, client.stream("GET", path) as response:
        assert (await anext(aiter_sse(response))).data == "x"
    assert ends == ["closed", "torn down"]


@pytest.mark.parametrize("source", [SyncSource, AsyncSource])
def test_a_source_is_closed_once(source: t.Any) -> None:
    ends: list[str] = []
    response = EventSourceResponse(source(ends))
    response.close()
    response.close()
    assert ends == ["closed"]


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_generator_that_waits_is_ended_when_the_client_leaves(kind: str) -> None:
    ends: list[str] = []

    async def waiting() -> AsyncIterator[str]:
        try:
            yield "x"
            await anyio.sleep_forever()
        finally:
            ends.append(f"closed {request.path} {g.name}")

    def waiting_sync() -> Iterator[str]:
        try:
            yield "x"
            app.async_to_sync(anyio.sleep_forever)()
        finally:
            ends.append(f"closed {request.path} {g.name}")

    def respond() -> Response:
        g.name = "ada"
        return EventSourceResponse(waiting() if kind == "async" else waiting_sync())

    app = app_with(respond)
    app.teardown_request(lambda error: ends.append("torn down"))
    async with app.async_client() as client, client.stream("GET", "/") as response:
        assert (await anext(aiter_sse(response))).data == "x"
    assert ends == ["closed / ada", "torn down"]


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("path", ["/", "/sync"])
async def test_the_requests_context_is_there_until_the_last_event(path: str, kind: str) -> None:
    def told() -> dict[str, t.Any]:
        return {"id": request.headers.get("Last-Event-ID"), "g": g.name, "user": session["user"]}

    async def stream() -> AsyncIterator[t.Any]:
        await anyio.lowlevel.checkpoint()
        yield told()

    def respond() -> Response:
        g.name = "ada"
        session["user"] = 7
        return EventSourceResponse(stream() if kind == "async" else (told() for _ in "x"))

    app = app_with(respond)
    async with (
        app.async_client(headers={"Last-Event-ID": "41"}) as client,
        client.stream("GET", path) as response,
    ):
        received = [event async for event in aiter_sse(response)]
    assert [event.json() for event in received] == [{"id": "41", "g": "ada", "user": 7}]


# -- as a WSGI application -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [0, 1], ids=["async", "sync"])
@pytest.mark.parametrize("path", ["/", "/sync"])
def test_events_are_streamed_over_wsgi(path: str, kind: int) -> None:
    app = app_with(lambda: EventSourceResponse(of_both_kinds("x", {"a": 1})[kind], ping=None))
    response = app.test_client().get(path)
    assert response.mimetype == "text/event-stream"
    assert response.data == b'data: x\n\ndata: {"a": 1}\n\n'


def test_pings_are_sent_over_wsgi() -> None:
    go_on: list[anyio.Event] = []

    async def waiting() -> AsyncIterator[str]:
        go_on.append(anyio.Event())
        await go_on[0].wait()
        yield "last"

    async def go() -> None:
        go_on[0].set()

    app = app_with(lambda: EventSourceResponse(waiting(), ping=0.001))
    with app.test_client().get("/", buffered=False) as response:
        stream = response.iter_encoded()
        seen = b""
        while b"last" not in seen:
            seen += next(stream)
            if seen.count(PING) >= 3:
                app.async_to_sync(go)()
        assert list(stream) == []
    assert [data for _, data, _ in parse(seen).events] == ["last"]


@pytest.mark.parametrize("source", [SyncSource, AsyncSource])
def test_a_source_is_closed_over_wsgi(source: t.Any) -> None:
    ends: list[str] = []
    app = app_with(lambda: EventSourceResponse(source(ends)))
    with app.test_client().get("/", buffered=False) as response:
        assert next(iter(response.iter_encoded()))
    assert ends == ["closed"]


def test_an_error_of_a_stream_over_wsgi_is_raised_as_it_is() -> None:
    async def failing() -> AsyncIterator[str]:
        yield "x"
        raise LookupError("lost")

    app = app_with(lambda: EventSourceResponse(failing()))
    with pytest.raises(LookupError, match="lost"):
        _ = app.test_client().get("/").data
