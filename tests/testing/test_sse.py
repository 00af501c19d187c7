from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

import anyio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asyncflask import EventSourceResponse, Flask, Response, ServerSentEvent
from asyncflask.testing.sse import EventParser, ReceivedEvent, aiter_sse

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
