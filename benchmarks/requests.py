"""Requests made by hand: called as a server would call an app, with no network.

A wrong answer is quick to give, so that each call looks at the status it got.
"""

from __future__ import annotations

import asyncio
import typing as t
from collections.abc import Awaitable, Callable, Iterable, Sequence
from urllib.parse import urlencode

from . import calling

Call = Callable[[], Awaitable[None]]
Header = tuple[bytes, bytes]

BOUNDARY = b"growth"


class AnswerError(Exception):
    """Raised when an app does not answer as it should."""


def ask(
    app: t.Any,
    path: str,
    headers: Iterable[Header] = (),
    *,
    query: bytes = b"",
    chunks: Sequence[bytes] = (),
    method: str = "",
    status: int = 200,
) -> Call:
    """Return a coroutine function that makes one request.

    :param chunks: its body, one message each; without any it is a GET.
    :param method: another method than GET, or POST where there is a body.
    :param status: the status that it must be answered with.
    """
    base = calling.scope(path)
    base["method"] = method or ("POST" if chunks else "GET")
    base["query_string"] = query
    base["headers"] += headers
    if chunks:
        base["headers"].append((b"content-length", b"%d" % sum(map(len, chunks))))

    async def call() -> None:
        got: list[int] = []
        await app({**base, "headers": [*base["headers"]]}, _receiver(chunks), _sender(got))
        if got != [status]:
            raise AnswerError(f"{path} was answered with {got}, and not with {status}")

    return call


def _receiver(chunks: Sequence[bytes]) -> Callable[[], Awaitable[dict[str, t.Any]]]:
    """Return a `receive` that gives the body's messages; behind them is nothing."""
    last = len(chunks) - 1
    left = enumerate(chunks or (b"",))

    async def receive() -> dict[str, t.Any]:
        for number, chunk in left:
            return {"type": "http.request", "body": chunk, "more_body": number < last}
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nothing follows")

    return receive


def _sender(got: list[int]) -> Callable[[t.Any], Awaitable[None]]:
    """Return a `send` that notes the status and drops the rest."""

    async def send(message: t.Any) -> None:
        if message["type"] == "http.response.start":
            got.append(message["status"])

    return send


def socket(app: t.Any, path: str, messages: Sequence[dict[str, t.Any]]) -> Call:
    """Return a coroutine function that opens a websocket, sends messages and is gone."""
    base = calling.scope(path)
    del base["method"]
    base |= {"type": "websocket", "scheme": "ws", "subprotocols": [], "extensions": {}}

    async def call() -> None:
        left = iter(messages)
        begun, back = False, 0

        async def receive() -> dict[str, t.Any]:
            nonlocal begun
            if not begun:
                begun = True
                return {"type": "websocket.connect"}
            for message in left:
                await asyncio.sleep(0)  # a server's queue, in which a message lies
                return {"type": "websocket.receive", **message}
            return {"type": "websocket.disconnect", "code": 1000, "reason": ""}

        async def send(message: t.Any) -> None:
            nonlocal back
            back += message["type"] == "websocket.send"

        await app({**base, "headers": [*base["headers"]]}, receive, send)
        if back != len(messages):
            raise AnswerError(f"{path} sent {back} messages back, and not {len(messages)}")

    return call


def wsgi(app: t.Any, environ: Callable[[], dict[str, t.Any]], status: str = "200 OK") -> Call:
    """Return a coroutine function that makes one request over WSGI."""

    async def call() -> None:
        got: list[str] = []
        body = app(environ(), lambda status, *_: got.append(status))
        b"".join(body)
        if hasattr(body, "close"):
            body.close()
        if got != [status]:
            raise AnswerError(f"a WSGI request was answered with {got}, and not with {status}")

    return call


def at_once(call: Call, count: int) -> Call:
    """Return a coroutine function that makes a request so many times at once."""

    async def many() -> None:
        await asyncio.gather(*(call() for _ in range(count)))

    return many


def urlencoded(count: int) -> tuple[list[Header], bytes]:
    """Return the headers and the body of a form with so many fields."""
    fields = {f"field{number}": f"value {number}" for number in range(count)}
    return [(b"content-type", b"application/x-www-form-urlencoded")], urlencode(fields).encode()


def multipart(parts: Iterable[tuple[bytes, bytes]]) -> tuple[list[Header], bytes]:
    """Return the headers and the body of a multipart form.

    :param parts: of each part what its ``Content-Disposition`` says behind the name, and its
        content.
    """
    pieces = [
        b'--%s\r\nContent-Disposition: form-data; name="f%d"%s\r\n\r\n%s\r\n'
        % (BOUNDARY, number, more, content)
        for number, (more, content) in enumerate(parts)
    ]
    kind = b"multipart/form-data; boundary=" + BOUNDARY
    return [(b"content-type", kind)], b"".join(pieces) + b"--%s--\r\n" % BOUNDARY


def split(body: bytes, size: int) -> list[bytes]:
    """Return a body in pieces of so many bytes, as a server delivers it."""
    return [body[at : at + size] for at in range(0, len(body), size)]
