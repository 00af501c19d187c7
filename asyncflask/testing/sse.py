"""Reading server-sent events in tests, as a browser's ``EventSource`` reads them.

The form is that of the HTML standard, section 9.2.6: UTF-8 with an optional BOM; lines that end
with CR LF, LF or CR; fields, comments, and an empty line that dispatches what was gathered.
"""

from __future__ import annotations

import codecs
import json
import typing as t
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass

import httpx
from werkzeug.test import TestResponse

#: The headers that a browser asks for events with (HTML standard, section 9.2.3).
EVENT_STREAM = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event as a listener gets it.

    :param event: its name.
    :param data: its text.
    :param id: the last id that was sent with it or before it: what a reconnect would send as
        ``Last-Event-ID``.
    :param retry: milliseconds to wait before a reconnect, if the server has said so by now.
    """

    event: str
    data: str
    id: str
    retry: int | None

    def json(self) -> t.Any:
        """Return the value that the data stands for.

        :raises ValueError: if it is no JSON.
        """
        return json.loads(self.data)


class EventParser:
    """Makes events of the bytes of a stream, however they are cut into pieces.

    :param last_id: the id that the client has reconnected with, if it has.
    """

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry: int | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._after_cr = False
        self._event = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[ReceivedEvent]:
        """Yield the events that are complete with one more piece of the stream."""
        for line in self._lines(self._decoder.decode(piece)):
            if line:
                self._take_field(line)
            elif self._data:
                yield self._dispatch()
            else:
                self._event = ""

    def _lines(self, text: str) -> Iterator[str]:
        if self._after_cr and text:  # the LF of a CR LF that was cut in two
            self._after_cr = False
            text = text.removeprefix("\n")
        self._after_cr = self._after_cr or text.endswith("\r")
        *lines, self._rest = (
            (self._rest + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        )
        yield from lines

    def _take_field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self.last_id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry = int(value)

    def _dispatch(self) -> ReceivedEvent:
        event = ReceivedEvent(
            self._event or "message", "\n".join(self._data), self.last_id, self.retry
        )
        self._event = ""
        self._data.clear()
        return event


class AsyncEvents(AsyncIterator[ReceivedEvent]):
    """The events of a response, as they come.

    :param response: the response.
    """

    # An iterator rather than a generator: there is nothing to close if it is left halfway.

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._pieces = _pieces(response)
        self._parser = EventParser(response.request.headers.get("last-event-id", ""))
        self._ready: deque[ReceivedEvent] = deque()

    async def __anext__(self) -> ReceivedEvent:
        while not self._ready:
            self._ready.extend(self._parser.feed(await anext(self._pieces)))
        return self._ready.popleft()


class _Stream(httpx.AsyncByteStream):
    """A response's stream, closed with what reads it: httpx's generators are not, on trio."""

    def __init__(self, stream: httpx.AsyncByteStream, pieces: AsyncGenerator[bytes, None]) -> None:
        self._stream, self._pieces = stream, pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        await self._pieces.aclose()
        await self._stream.aclose()


def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    if "content-encoding" in response.headers:
        return response.aiter_bytes()
    stream = t.cast("httpx.AsyncByteStream", response.stream)
    pieces = t.cast("AsyncGenerator[bytes, None]", aiter(stream))
    response.stream = _Stream(stream, pieces)
    return pieces


class Events(Iterator[ReceivedEvent]):
    """The events of a response of the sync test client, as they come.

    :param response: the response.
    """

    def __init__(self, response: TestResponse) -> None:
        self.response = response
        self._pieces = response.iter_encoded()
        if "content-encoding" in response.headers:
            encoding = {"content-encoding": response.headers["content-encoding"]}
            decoded = httpx.Response(200, headers=encoding, content=self._pieces)
            self._pieces = decoded.iter_bytes()
        self._parser = EventParser(response.request.headers.get("last-event-id", ""))
        self._ready: deque[ReceivedEvent] = deque()

    def __next__(self) -> ReceivedEvent:
        while not self._ready:
            self._ready.extend(self._parser.feed(next(self._pieces)))
        return self._ready.popleft()


def aiter_sse(response: httpx.Response) -> AsyncEvents:
    """Read a response's events as they come.

    ::

        async with client.stream("GET", "/events") as response:
            async for event in aiter_sse(response):
                assert event.json() == {"number": 1}
                break

    To leave the ``async with`` block is to disconnect. An event that the stream's end cuts short
    is not there, and neither are comments.

    :raises ValueError: if the response is not a stream of events, or its status is not 200, which
        both end a browser's ``EventSource`` for good.
    """
    _check(response)
    return AsyncEvents(response)


def iter_sse(response: TestResponse) -> Events:
    """`aiter_sse` for a response of ``app.test_client()``; close it, or use it with ``with``.

    :raises ValueError: if the response is not a stream of events, or its status is not 200.
    """
    _check(response)
    return Events(response)


def _check(response: httpx.Response | TestResponse) -> None:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status_code != 200 or kind != "text/event-stream":
        raise ValueError(
            f"{response.request.url} answered {response.status_code} with {kind or 'no'!r} content;"
            " a stream of events is 200 and 'text/event-stream'."
        )
