"""NDJSON: a response of many JSON values, one a line, each sent as soon as it is there.

The form is that of ndjson-spec 1.0: JSON text (RFC 8259), in UTF-8, without a line's end in it, and
LF behind it. So a reader may take it line by line, and what it has read is whole.
"""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterable, Iterable, Mapping
from http import HTTPStatus

from werkzeug.datastructures import Headers

from . import json
from .encoders import encoded
from .wrappers import Response


def encode(item: t.Any) -> bytes:
    """Return an item as it is sent: the JSON that ``app.json`` makes of it, and LF.

    A provider may lay its JSON out in lines. Between JSON's tokens any white space is as good, and
    within its strings there is no line's end but an escaped one (RFC 8259 sections 2 and 7).
    """
    text = json.dumps(item)
    if "\n" in text or "\r" in text:
        text = text.replace("\r", " ").replace("\n", " ")
    return (text + "\n").encode()


class NDJSONResponse(Response):
    """A response that sends JSON values, one a line.

    ::

        @app.get("/orders.ndjson")
        async def orders():
            async def rows():
                async for order in db.orders():
                    yield order.as_dict()

            return NDJSONResponse(rows())

    The request's context lives on until the last item, and the iterable is closed when the client
    leaves. A sync one is consumed in the request's thread.

    :param items: an iterable or async iterable of what ``app.json`` can make JSON of.
    :param status: the status, 200 by default.
    :param headers: more headers. nginx is told not to collect the lines into larger pieces, unless
        they have an ``X-Accel-Buffering`` of their own.
    :raises TypeError: if `items` is nothing to iterate over, or is text, bytes or a mapping.
    """

    default_mimetype = "application/x-ndjson"

    def __init__(
        self,
        items: AsyncIterable[t.Any] | Iterable[t.Any],
        status: int | str | HTTPStatus | None = None,
        headers: Mapping[str, str | Iterable[str]] | Iterable[tuple[str, str]] | None = None,
    ) -> None:
        complete = Headers(headers)
        complete.setdefault("X-Accel-Buffering", "no")
        super().__init__(encoded(items, encode, "NDJSONResponse", "values"), status, complete)
