"""How events are encoded, and that none can be made to look like two."""

from __future__ import annotations

import typing as t
from collections.abc import Callable
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncflask import Flask, ServerSentEvent
from asyncflask.json.provider import DefaultJSONProvider

from .sse_oracle import parse


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        (ServerSentEvent("x"), b"data: x\n\n"),
        (ServerSentEvent(""), b"data: \n\n"),
        (ServerSentEvent(" x"), b"data:  x\n\n"),
        (ServerSentEvent("a\nb\r\nc\rd"), b"data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (ServerSentEvent("a\n"), b"data: a\ndata: \n\n"),
        (ServerSentEvent("a\n\rb"), b"data: a\ndata: \ndata: b\n\n"),
        (ServerSentEvent("a\u2028b\x85c\x0bd"), "data: a\u2028b\x85c\x0bd\n\n".encode()),
        (ServerSentEvent("x", "tick"), b"event: tick\ndata: x\n\n"),
        (ServerSentEvent("x", id=7), b"id: 7\ndata: x\n\n"),
        (ServerSentEvent("x", id=""), b"id: \ndata: x\n\n"),
        (ServerSentEvent("x", retry=0), b"retry: 0\ndata: x\n\n"),
        (ServerSentEvent(comment="a\nb"), b": a\n: b\n\n"),
        (ServerSentEvent(id="7"), b"id: 7\n\n"),
        (ServerSentEvent({"a": [1]}), b'data: {"a": [1]}\n\n'),
        (ServerSentEvent([]), b"data: []\n\n"),
        (ServerSentEvent(0), b"data: 0\n\n"),
        (ServerSentEvent(False), b"data: false\n\n"),
        (
            ServerSentEvent("d", event="e", id="i", retry=1, comment="c"),
            b": c\nevent: e\nid: i\nretry: 1\ndata: d\n\n",
        ),
    ],
)
def test_an_event_is_sent_as_the_standard_has_it(event: ServerSentEvent, sent: bytes) -> None:
    assert event.encode() == sent


HOSTILE = st.text("\r\n\0: abid\ufeff\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1eé", max_size=12)
FORGED = st.sampled_from(
    [
        "\n\ndata: forged\n\n",
        "\rdata: forged\r\r",
        "x\r\nevent: forged",
        "x\nid: 666",
        "\nretry: 1",
        ": forged",
        "data: not forged",
    ]
)
TEXT = st.none() | HOSTILE | FORGED | st.text(max_size=20)


def ends_a_line(text: str | None) -> bool:
    return text is not None and not {"\r", "\n"}.isdisjoint(text)


def lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


@given(TEXT, TEXT, TEXT, st.none() | st.integers(0), TEXT)
def test_whatever_is_in_its_fields_one_event_is_one_event(
    data: str | None, event: str | None, id: str | None, retry: int | None, comment: str | None
) -> None:
    nothing = data is None and (event is not None or (id, retry, comment) == (None, None, None))
    refused = nothing or ends_a_line(event) or ends_a_line(id) or "\0" in (id or "")
    try:
        sent = ServerSentEvent(data, event, id, retry, comment).encode()
    except ValueError:
        assert refused
        return
    assert not refused
    around = [ServerSentEvent(text, id=text).encode() for text in ("before", "after")]
    told = parse(around[0] + sent + around[1])
    own = "before" if id is None else id
    inner = [] if data is None else [(event or "message", "\n".join(lines(data)), own)]
    assert told.events == [
        ("message", "before", "before"),
        *inner,
        ("message", "after", "after"),
    ]
    assert told.retries == ([] if retry is None else [retry])
    assert told.comments == ([] if comment is None else [" " + each for each in lines(comment)])


@pytest.mark.parametrize(
    ("make", "error", "told"),
    [
        (lambda: ServerSentEvent("x", event="a\nb"), ValueError, "more than one line"),
        (lambda: ServerSentEvent("x", event="a\rb"), ValueError, "from what a client sent"),
        (lambda: ServerSentEvent("x", id="1\r\n"), ValueError, "The id .* more than one line"),
        (lambda: ServerSentEvent("x", id="1\0"), ValueError, "has a NUL"),
        (lambda: ServerSentEvent("x", retry=-1), ValueError, "cannot be -1"),
        (lambda: ServerSentEvent("x", retry=t.cast("t.Any", 1.5)), TypeError, "milliseconds"),
        (lambda: ServerSentEvent("x", retry=True), TypeError, "milliseconds, not True"),
        (lambda: ServerSentEvent("x", event=t.cast("t.Any", 1)), TypeError, "event .* not int"),
        (lambda: ServerSentEvent("x", id=t.cast("t.Any", 1.5)), TypeError, "id .* not float"),
        (lambda: ServerSentEvent(comment=t.cast("t.Any", 1)), TypeError, "comment is text"),
        (lambda: ServerSentEvent(b"x"), TypeError, "bytes are neither"),
        (lambda: ServerSentEvent(bytearray(b"x")), TypeError, "as base64"),
        (lambda: ServerSentEvent(event="tick"), ValueError, 'Pass data="" if'),
        (lambda: ServerSentEvent(), ValueError, "nothing to send"),
    ],
)
def test_what_cannot_be_sent_is_refused_when_the_event_is_made(
    make: Callable[[], object], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        make()


def test_an_event_cannot_be_changed_into_a_forged_one() -> None:
    event = ServerSentEvent("x", id="1")
    with pytest.raises(FrozenInstanceError):
        event.id = "1\ndata: forged"  # type: ignore[misc]


def test_json_is_made_as_the_app_makes_it() -> None:
    class Provider(DefaultJSONProvider):
        def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
            return "{\n" + super().dumps(obj, **kwargs)

    app = Flask("json")
    app.json = Provider(app)
    with app.app_context():
        assert ServerSentEvent({"b": 1, "a": 2}).encode() == b'data: {\ndata: {"a": 2, "b": 1}\n\n'
