"""Server-sent events: a response that tells the browser's ``EventSource`` what happens.

The form of the stream is that of the HTML standard, section 9.2: lines that end with LF, a field
name, a colon and a value each; an empty line ends an event. So nothing that goes into a line may
hold a line's end: text is split into several ``data:`` lines or comments, and the fields that are
one line are checked.
"""

from __future__ import annotations

import math
import typing as t
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import anyio
from werkzeug.datastructures import Headers

from . import json
from .encoders import encoded
from .handover import AsyncBody
from .keepalive import KeepAlive
from .wrappers import Response
from .wrappers.response import type_header

#: Seconds of silence before a comment is sent. Proxies cut connections that are silent for 30 to
#: 60 seconds; the HTML standard (section 9.2.7) recommends 15 or so.
PING_SECONDS = 15.0

#: The comment. No client's code gets to see it.
PING = b": ping\n\n"

#: What every stream is sent with, unless the view says otherwise: no cache may keep what is true
#: only now, and nginx must not collect it into larger pieces.
_HEADERS = (("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"))

_BYTES = (bytes, bytearray, memoryview)

#: What a stream may consist of: events, text, or data to be sent as JSON.
Events = AsyncIterable[t.Any] | Iterable[t.Any]


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    r"""One event, or a comment.

    :param data: what happened: text as it is, anything else as the JSON that ``app.json`` makes of
        it. Browsers know one kind of line end in it: CR LF and CR arrive as LF.
    :param event: the name that listeners are registered for; by default "message".
    :param id: what the browser sends as ``Last-Event-ID`` when it reconnects after this event. It
        travels back in a header: best keep it ASCII.
    :param retry: milliseconds that the browser is to wait before it reconnects.
    :param comment: text that clients ignore.
    :raises ValueError: if `event` or `id` holds what ends a line, or `id` a NUL; if `retry` is
        negative; if there is nothing to send, or an `event` that browsers would drop because it
        has no `data`.
    :raises TypeError: if `data` is bytes, or another one is of a kind that it cannot be.
    """

    data: t.Any = None
    event: str | None = None
    id: str | int | None = None
    retry: int | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        if self.data is None:
            self._check_without_data()
        elif isinstance(self.data, _BYTES):
            raise TypeError(
                "The data of an event is text, or becomes JSON; bytes are neither. Decode them, or"
                " encode them as base64."
            )
        if self.event is not None:
            _check_line("event", self.event)
        if self.id is not None:
            self._check_id(self.id)
        if self.retry is not None:
            _check_retry(self.retry)
        if self.comment is not None and not isinstance(self.comment, str):
            raise TypeError(f"A comment is text, not {type(self.comment).__name__}.")

    def _check_without_data(self) -> None:
        if self.event is not None:
            raise ValueError(
                f"The event {self.event!r} has no data, and browsers drop such events. Pass"
                ' data="" if the name says it all, or data="null" for the null of JSON.'
            )
        if self.id is None and self.retry is None and self.comment is None:
            raise ValueError(
                "There is nothing to send. Pass data, or an id, a retry or a comment; for the null"
                ' of JSON, data="null".'
            )

    def _check_id(self, given: t.Any) -> None:
        if isinstance(given, int):
            return
        _check_line("id", given)
        if "\0" in given:
            raise ValueError(f"The id {given!r} has a NUL, and browsers ignore such ids.")

    def encode(self) -> bytes:
        """Return the event as it is sent, the empty line at its end included."""
        lines = ""
        if self.comment is not None:
            lines = ": " + _split(self.comment, "\n: ") + "\n"
        if self.event is not None:
            lines += f"event: {self.event}\n"
        if self.id is not None:
            lines += f"id: {self.id}\n"
        if self.retry is not None:
            lines += f"retry: {self.retry}\n"
        if self.data is not None:
            text = self.data if isinstance(self.data, str) else json.dumps(self.data)
            if "\n" in text or "\r" in text:
                text = _split(text, "\ndata: ")
            lines += f"data: {text}\n"
        return f"{lines}\n".encode()


def _check_line(name: str, value: t.Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"The {name} of an event is text, not {type(value).__name__}.")
    if "\n" in value or "\r" in value:
        raise ValueError(
            f"The {name} {value!r} has more than one line, and what follows the first would be read"
            " as fields of their own. Was it made from what a client sent?"
        )


def _check_retry(value: t.Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"retry is a whole number of milliseconds, not {value!r}.")
    if value < 0:
        raise ValueError(f"retry is milliseconds to wait, and cannot be {value}.")


def _split(text: str, end: str) -> str:
    """Return text with each end of a line (CR LF, CR or LF, and no other) replaced."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\n", end) if "\n" in text else text


def encode(item: t.Any) -> bytes:
    """Return what a stream yields as it is sent: an event, or the data of one.

    :raises TypeError: if it is bytes.
    :raises ValueError: if it is None.
    """
    if isinstance(item, str):
        text = item
    elif isinstance(item, ServerSentEvent):
        return item.encode()
    else:  # PERF: an event that is made for it takes 1 us more.
        text = _as_json(item)
    if "\n" in text or "\r" in text:
        text = _split(text, "\ndata: ")
    return f"data: {text}\n\n".encode()


def _as_json(item: t.Any) -> str:
    if item is None or isinstance(item, _BYTES):
        ServerSentEvent(item)  # which says why not
    return json.dumps(item)


class EventSourceResponse(Response):
    """A response that sends events as they happen.

    ::

        @app.get("/events")
        async def events():
            async def prices():
                async for price in feed.since(request.headers.get("Last-Event-ID")):
                    yield ServerSentEvent(price.as_dict(), event="price", id=price.number)

            return EventSourceResponse(prices())

    The request's context lives on until the last event, and the iterable is closed when the client
    leaves or the app shuts down. A sync one is consumed in the request's thread.

    :param events: an iterable or async iterable of `ServerSentEvent`, of text, or of data that is
        sent as JSON.
    :param status: the status, 200 by default: browsers accept no other, and end on a 204.
    :param headers: more headers; they replace those that a stream of events has by default.
    :param ping: seconds of silence before a comment is sent, which keeps proxies from cutting the
        connection; None for never.
    :raises TypeError: if `events` is nothing to iterate over, or is text, bytes or a mapping.
    :raises ValueError: if `ping` is not positive.
    """

    default_mimetype: str = "text/event-stream"
    ends_at_shutdown = True

    def __init__(
        self,
        events: Events,
        status: int | str | HTTPStatus | None = None,
        headers: Mapping[str, str | Iterable[str]] | Iterable[tuple[str, str]] | None = None,
        *,
        ping: float | None = PING_SECONDS,
    ) -> None:
        if ping is not None and not 0 < ping < math.inf:
            raise ValueError(f"ping is a number of seconds, or None for no pings, not {ping!r}.")
        body = encoded(events, encode, "EventSourceResponse", "events")
        if headers is None and status is None and self._begins_as_any():
            self._begin(body, [type_header(self.default_mimetype), *_HEADERS])
        else:  # PERF: 10 us more
            complete = Headers(headers)
            for name, value in _HEADERS:
                complete.setdefault(name, value)
            super().__init__(body, status, complete)
        if ping is not None:
            self.keep_alive = ping, PING

    def iter_encoded(self) -> Iterator[bytes]:
        """Iterate over the stream as bytes; async events are made on a loop meanwhile."""
        if self.is_async and self.keep_alive is not None:
            self.response = _PingedBody(t.cast("t.Any", self.response), *self.keep_alive)
        return super().iter_encoded()


class _PingedBody(AsyncBody):
    """An async body that a thread sends, with something to send when it is silent."""

    def __init__(self, body: AsyncIterable[bytes], seconds: float, chunk: bytes) -> None:
        super().__init__(body)
        self._keep_alive = seconds, chunk

    async def produce(self) -> None:
        """Put what the iterable gives."""
        error: Exception | None = None
        self._beat = KeepAlive(super().put, *self._keep_alive)
        async with anyio.create_task_group() as group:
            group.start_soon(self._beat.run)
            try:
                await super().produce()
            except Exception as raised:  # NOTE: raised below, so that the group does not wrap it
                error = raised
            group.cancel_scope.cancel()
        if error is not None:
            try:
                raise error
            finally:
                del error  # NOTE: its traceback refers to this frame: a circle

    async def put(self, chunk: bytes) -> None:
        """Hand a chunk over."""
        await self._beat.send(chunk)
