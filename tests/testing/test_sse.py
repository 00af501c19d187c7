from __future__ import annotations

import typing as t
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from itertools import count

import anyio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asyncflask import EventSourceResponse, Flask, Response, ServerSentEvent, request
from asyncflask.testing.sse import EventParser, ReceivedEvent, aiter_sse, iter_sse

from ..sse_oracle import parse

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)

VALUES = ["", "x", " x", "7", "12", "²", "\0", "7\0", "é\u2028\x85\x0b", "\ufeff"]
LINES = st.tuples(
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff", b"\xe2"]) | st.just(b""),
    st.sampled_from([b"data", b"event", b"id", b"retry", b"other", b""]),
    st.sampled_from([b": ", b":", b"", b" "]),
    st.sampled_from([value.encode() for value in VALUES]),
    st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n"]),
)
EVENT = st.just((b"data: x", b"\n\n"))  # one is there to tell what was made of the lines before
PIECES = st.lists(LINES | EVENT, max_size=12).map(lambda lines: [p for line in lines for p in line])


@given(PIECES, st.integers(1, 7))
@example([b"id: 7\0\n", b"data: x\n\n"], 1)
@example([b"retry: 1\n", "retry: ²\n".encode()], 1)
@example([b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n"], 1)
@example([b"event: x\n\ndata: y\n\n"], 1)
def test_a_stream_is_read_as_the_standard_has_it_however_it_is_cut(
    pieces: list[bytes], size: int
) -> None:
    stream = b"".join(pieces)
    for cut in (pieces, [stream], [stream[i : i + size] for i in range(0, len(stream), size)]):
        parser = EventParser()
        received = [event for piece in cut for event in parser.feed(piece)]
        told = parse(stream)
        # A CR at the very end ends a line for those only who know that it is the end.
        whole = told if not stream.endswith(b"\r") else parse(stream + b"\n")
        assert [(each.event, each.data, each.id) for each in received] == whole.events
        assert parser.retry == (told.retries[-1] if told.retries else None)


async def test_an_event_tells_the_last_id_and_retry() -> None:
    parser = EventParser("41")
    stream = b"data: a\n\nid: 42\nretry: 10\n\nevent: tick\ndata: [1]\n\ndata: cut short\n"
    first, second = parser.feed(stream)
    assert first == ReceivedEvent("message", "a", "41", None)
    assert second == ReceivedEvent("tick", "[1]", "42", 10)
    assert second.json() == [1]
    with pytest.raises(ValueError, match="Expecting value"):
        first.json()


async def test_events_are_read_as_they_come_and_leaving_is_a_disconnect() -> None:
    app = Flask("numbers")
    ends: list[str] = []

    async def numbers() -> AsyncIterator[ServerSentEvent]:
        try:
            for number in range(1000):
                yield ServerSentEvent({"number": number}, id=number)
            await anyio.sleep_forever()
        finally:
            ends.append("closed")

    app.add_url_rule("/", view_func=lambda: EventSourceResponse(numbers()))
    async with app.async_client() as client, client.stream("GET", "/") as response:
        async for event in aiter_sse(response):
            assert event.json() == {"number": int(event.id)}
            assert ends == []
            if event.id == "9":
                break
    assert ends == ["closed"]


async def test_a_compressed_stream_is_read() -> None:
    app = Flask("compressed")
    body = zlib.compress(b"data: x\n\n")
    headers = {"Content-Encoding": "deflate", "Content-Type": "text/event-stream"}
    app.add_url_rule("/", view_func=lambda: Response(body, headers=headers))
    async with app.async_client() as client, client.stream("GET", "/") as response:
        assert [event.data async for event in aiter_sse(response)] == ["x"]


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (Response("data: x\n\n"), "answered 200 with 'text/html' content"),
        (EventSourceResponse([], 204), "answered 204 with 'text/event-stream'"),
        (Response("", headers={}, mimetype=""), "answered 200 with 'no' content"),
    ],
)
async def test_what_is_no_stream_of_events_is_refused(response: Response, told: str) -> None:
    app = Flask("no events")
    app.add_url_rule("/", view_func=lambda: response)
    async with app.async_client() as client, client.stream("GET", "/") as received:
        with pytest.raises(ValueError, match=told):
            aiter_sse(received)


class Numbers:
    """An app with a stream of numbers that goes on where the client was."""

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.headers: list[str | None] = []
        self.app = Flask("numbers")
        self.app.add_url_rule("/async", "async", lambda: self.answer(self.numbers()))
        self.app.add_url_rule("/sync", "sync", lambda: self.answer(self.sync_numbers()))
        self.app.add_url_rule("/page", "page", lambda: "page")
        self.app.add_url_rule("/query", view_func=self.query, methods=["POST"])

    def answer(self, numbers: object) -> Response:
        names = ("Accept", "Cache-Control", "Last-Event-ID", "X-Own")
        self.headers = [request.headers.get(name) for name in names]
        return EventSourceResponse(numbers)  # type: ignore[arg-type]

    def query(self) -> Response:
        return EventSourceResponse([request.get_json(), request.args])

    def first(self) -> int:
        return int(request.headers.get("Last-Event-ID", 0)) + 1

    async def numbers(self) -> AsyncIterator[ServerSentEvent]:
        try:
            for number in count(self.first()):
                yield ServerSentEvent({"number": number}, id=number)
        finally:
            self.ends.append("closed")

    def sync_numbers(self) -> Iterator[ServerSentEvent]:
        try:
            for number in count(self.first()):
                yield ServerSentEvent({"number": number}, id=number)
        finally:
            self.ends.append("closed")


ASKED = ["text/event-stream", "no-cache"]


@pytest.mark.parametrize("path", ["/async", "/sync"])
async def test_the_async_client_reads_events(path: str) -> None:
    site = Numbers()
    async with site.app.async_client() as client:
        async with client.sse(path) as events:
            assert (await anext(events)).json() == {"number": 1}
            assert events.response.status_code == 200
            assert site.headers == [*ASKED, None, None]
            assert site.ends == []
        assert site.ends == ["closed"]
        async with client.sse(path, last_event_id="41", headers={"X-Own": "x"}) as events:
            async for event in events:
                assert event == ReceivedEvent("message", '{"number": 42}', "42", None)
                break
            assert site.headers == [*ASKED, "41", "x"]
    assert site.ends == ["closed", "closed"]


@pytest.mark.parametrize("path", ["/async", "/sync"])
def test_the_sync_client_reads_events(path: str) -> None:
    site = Numbers()
    client = site.app.test_client()
    with client.sse(path) as events:
        assert next(events).json() == {"number": 1}
        assert events.response.status_code == 200
        assert site.headers == [*ASKED, None, None]
        assert site.ends == []
    assert site.ends == ["closed"]
    with client.sse(path, last_event_id="41", headers={"X-Own": "x"}) as events:
        for event in events:
            assert event == ReceivedEvent("message", '{"number": 42}', "42", None)
            break
        assert site.headers == [*ASKED, "41", "x"]
    assert site.ends == ["closed", "closed"]


async def test_events_that_are_asked_for_with_post() -> None:
    app = Numbers().app
    async with app.async_client() as client:
        args: dict[str, t.Any] = {"json": {"a": 1}, "params": {"b": "2"}}
        async with client.sse("/query", method="POST", **args) as events:
            assert [event.json() async for event in events] == [{"a": 1}, {"b": "2"}]
    query: dict[str, t.Any] = {"json": {"a": 1}, "query_string": {"b": "2"}}
    with app.test_client().sse("/query", method="POST", **query) as received:
        assert [event.json() for event in received] == [{"a": 1}, {"b": "2"}]


async def test_pages_are_no_events() -> None:
    app = Numbers().app
    async with app.async_client() as client:
        with pytest.raises(ValueError, match="/page answered 200 with 'text/html'"):
            await client.sse("/page").__aenter__()
    with pytest.raises(ValueError, match="/page answered 200 with 'text/html'"):
        app.test_client().sse("/page").__enter__()


def test_a_response_of_the_sync_client_is_read() -> None:
    with closing(Numbers().app.test_client().get("/async")) as response:
        assert next(iter_sse(response)).id == "1"


def test_a_compressed_response_of_the_sync_client_is_read() -> None:
    app = Flask("compressed")
    body = zlib.compress("data: é\n\n".encode())
    headers = {"Content-Encoding": "deflate", "Content-Type": "text/event-stream"}
    app.add_url_rule("/", view_func=lambda: Response(body, headers=headers))
    with app.test_client().sse("/") as events:
        assert [event.data for event in events] == ["é"]
