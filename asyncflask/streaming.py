"""A response sent from within a view: `streaming_response`, an ``async with`` block.

States, and what is done in each:

======= ======================== ============================ ==================
state   entering the block       `send`                       leaving the block
======= ======================== ============================ ==================
new     hooks, session, start    illegal
open    illegal                  sends a piece                sends the end
left    illegal                  raises `ClientDisconnected`  raises it too
closed  illegal                  illegal
======= ======================== ============================ ==================
"""

from __future__ import annotations

import typing as t
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from types import TracebackType

from anyio.lowlevel import checkpoint
from werkzeug.exceptions import ClientDisconnected

from . import _current, workers
from .ctx import AppContext
from .dispatch import pipeline
from .dispatch.steps import step
from .drivers import LoopDriver
from .watching import Watched
from .wrappers import Response
from .wrappers.response import encode
from .wrappers.trailers import announce, trailers_message
from .wrappers.wire import wire_start

State = t.Literal["new", "open", "left", "closed"]


class streaming_response:
    """A response whose body is sent piece by piece, by the view itself.

    It composes with whatever else is an ``async with``, where a generator would have to be left in
    the middle of it::

        @app.get("/proxy")
        async def proxy():
            async with httpx.AsyncClient() as client, client.stream("GET", URL) as upstream:
                async with streaming_response(upstream.status_code, mimetype="text/csv") as out:
                    async for chunk in upstream.aiter_raw():
                        await out.send(chunk)
            return out

    Status and headers are sent on entering, after the `after_request` functions have had their say
    and the session is saved: once, and in the order in which they always are. What the block raises
    cuts the body, as in a generator: no error handler can answer any more. The teardown functions
    run when the view has returned.

    When the client leaves, what the block awaits is cancelled, and `ClientDisconnected` comes out
    of the block; it needs no handling. With ``timeout=`` on the route, its time ends on entering.

    :param status: the status, 200 by default.
    :param headers: the headers.
    :param mimetype: the content type without parameters; text types get a charset.
    :param content_type: the whole content type.
    :param trailers: see `Response.trailers`.
    """

    #: The response as it is sent: what the hooks have made of it, once the block is entered.
    response: Response

    def __init__(
        self,
        status: int | str | HTTPStatus | None = None,
        headers: Mapping[str, str | Iterable[str]] | Iterable[tuple[str, str]] | None = None,
        mimetype: str | None = None,
        content_type: str | None = None,
        *,
        trailers: Mapping[str, str] | Callable[[], t.Any] | None = None,
    ) -> None:
        self._head = {
            "status": status,
            "headers": headers,
            "mimetype": mimetype,
            "content_type": content_type,
        }
        self._trailers = trailers
        self._state: State = "new"

    async def __aenter__(self) -> t.Self:
        """Send status and headers.

        :raises RuntimeError: if no request is being handled here, if its response has begun
            already, or if an after-request function put another body in the place of this one.
        """
        ctx = _requested()
        if self._state != "new" or ctx.answered is not None or _has_begun(ctx):
            raise RuntimeError(
                "streaming_response() begins the response to a request, and this one's has begun"
                " already. A view sends one response; make the object anew for each request."
            )
        driver = LoopDriver(ctx.app, ctx._lane)
        made = t.cast("Response", ctx.app.response_class(**self._head))
        made.response, made.trailers = _Body(), self._trailers  # type: ignore[assignment]
        self.response = await step(ctx, "finalize_request", pipeline.finalize)(ctx, driver, made)
        if not isinstance(self.response.response, _Body):
            raise RuntimeError(
                "An after_request function replaced the body of a streaming_response(), which the"
                " view sends itself. Have it leave this response alone, or return an async"
                " generator from the view, which can be wrapped."
            )
        self._ctx, self._channel = ctx, _channel(ctx, driver)
        await self._channel.start(self.response)
        self._state, ctx.answered, ctx.allows_plain = "open", self.response, False
        self.response.asgi_app = _nothing_more
        self._block = await Watched().__aenter__()
        body = ctx.request.asgi_body
        if body is not None:
            self._block.beside(body.watch, self._leave)
        return self

    async def send(self, chunk: str | bytes) -> None:
        """Send a piece of the body; waits while the client does not read what was sent before.

        :param chunk: bytes, or text, which is sent as UTF-8. Nothing is sent of it to HEAD.
        :raises ClientDisconnected: if the client has left.
        :raises RuntimeError: outside of the block.
        """
        if self._state in ("new", "closed"):
            raise RuntimeError(
                "send() was called outside of the `async with streaming_response() as out` block:"
                " the response has not begun, or is complete. Send from within the block."
            )
        data = encode(chunk)
        if data and self._state == "open":
            try:
                await self._channel.send(data)
            except OSError:
                self._state = "left"
        # A server's `send` need not wait for anything; others must get their turn.
        await checkpoint()
        if self._state == "left":
            raise ClientDisconnected(_LEFT)

    def _leave(self) -> None:
        self._state = "left"
        self._block.end()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        """Send the end of the body, unless it has failed.

        :raises ClientDisconnected: if the client left, and the block was ended for that.
        """
        try:
            swallowed = await self._block.__aexit__(kind, error, trace)
        finally:
            self._ctx.client_left = self._state == "left"
            complete = error is None and self._state == "open"
            self._state = "closed"
        if self._block.ended:
            raise ClientDisconnected(_LEFT)
        if complete:
            await self._channel.end(self.response)
        return swallowed


_LEFT = "The client left before it had got the whole response."


def _requested() -> AppContext:
    ctx: AppContext | None = _current.request_context()
    scope = None if ctx is None else ctx.request.scope
    if ctx is None or (scope is not None and scope["type"] != "http"):
        raise RuntimeError(
            "streaming_response() can only be used while an HTTP request is being handled, in an"
            " `async def` view."
        )
    return ctx


def _has_begun(ctx: AppContext) -> bool:
    body = ctx.request.asgi_body
    return body is not None and body.answered


async def _nothing_more(scope: t.Any, receive: t.Any, send: t.Any) -> None:
    """Stand for the application that sends a response, where all of it was sent."""


class _Body:
    """What stands for the body while hooks look at the response: it is made as it is sent."""

    async def __aiter__(self) -> t.AsyncIterator[bytes]:
        for chunk in t.cast("tuple[bytes, ...]", ()):
            yield chunk


def _channel(ctx: AppContext, driver: LoopDriver) -> _Channel:
    """Return the way to the client.

    :raises RuntimeError: if there is none.
    """
    kind: type[_Channel] | None = None
    if ctx.start_response is not None:
        kind = _WSGI
    elif ctx.request.scope is not None:
        kind = _ASGI
    if kind is None:
        raise RuntimeError(
            "streaming_response() needs a client to send to, and this request was made up, as with"
            " test_request_context(). Use a test client."
        )
    return kind(ctx, driver)


class _Channel:
    """The way of a response to its client.

    :param ctx: the request's context.
    :param driver: what calls its handlers.
    """

    def __init__(self, ctx: AppContext, driver: LoopDriver) -> None:
        self.ctx, self.driver = ctx, driver
        self.bodiless = ctx.request.method == "HEAD"

    async def start(self, response: Response) -> None:
        """Send status and headers."""
        self.bodiless = self.bodiless or response.status_code in (204, 304)

    async def send(self, chunk: bytes) -> None:
        """Send a piece of the body.

        :raises OSError: if the client has left.
        """

    async def end(self, response: Response) -> None:
        """Send the end of the body."""


class _ASGI(_Channel):
    """The server's `send`."""

    _announced = False

    async def start(self, response: Response) -> None:
        await super().start(response)
        request = self.ctx.request
        start = wire_start(response, request)
        self._announced = not self.bodiless and announce(response, request, start)
        self._body = t.cast("t.Any", request.asgi_body)
        self._body.answered = True
        await self._body.send(start)
        # Some servers, and middleware that compresses, hold the head back until a body follows.
        await self._send(b"")

    async def _send(self, chunk: bytes, more: bool = True) -> None:
        await self._body.send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def send(self, chunk: bytes) -> None:
        if not self.bodiless:
            await self._send(chunk)

    async def end(self, response: Response) -> None:
        await self._send(b"", more=False)
        if self._announced:
            await self._body.send(await trailers_message(response, self.driver.call))


class _WSGI(_Channel):
    """The function that `start_response` returns (PEP 3333), called in the server's thread."""

    _write: t.Any = None

    async def start(self, response: Response) -> None:
        await super().start(response)
        environ = self.ctx.request.environ
        headers = response.get_wsgi_headers(environ).to_wsgi_list()
        begin = self.ctx.start_response
        self._write = await self._in_thread(begin, response.status, headers)
        if not callable(self._write):
            raise RuntimeError(
                "streaming_response() needs the `write` that start_response() returns by PEP 3333,"
                " and this WSGI server has none. Return an async generator from the view instead,"
                " or serve the app over ASGI."
            )

    async def send(self, chunk: bytes) -> None:
        if not self.bodiless:
            await self._in_thread(self._write, chunk)

    async def _in_thread(self, func: Callable[..., t.Any], *args: t.Any) -> t.Any:
        lane = t.cast("workers.Lane", workers.waiting())
        run: Callable[..., Awaitable[t.Any]] = lane.run
        return await run(func, *args)
