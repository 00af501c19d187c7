"""An httpx transport that calls an ASGI app instead of a server; streams both ways."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from urllib.parse import unquote

import anyio
import httpx
from starlette.types import ASGIApp, Scope

from .exchange import Exchange, check_headers
from .handshake import EXTENSION
from .lifespan import Lifespan
from .request_body import request_body
from .websocket_exchange import WebSocketExchange

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

#: Seconds that an app gets to notice that its client is gone before it is cancelled. A server would
#: wait for longer or for ever; a test that leaves a response early should not.
DISCONNECT_GRACE = 1.0


class ASGITransport(httpx.AsyncBaseTransport):
    """Carries the requests of an `httpx.AsyncClient` to an ASGI app, in the same event loop.

    - The response is there as soon as the app has started it; its chunks flow as they are read,
      and the app's `send` waits for the reader.
    - The request's body is pulled from its iterable as the app calls `receive`.
    - To close a response early is to disconnect. The app then has ended when ``aclose()`` returns.
    - ``async with`` (the client's will do) runs the app's lifespan around the requests.
    - A request made by `handshake` opens a websocket.

    :param app: the ASGI app.
    :param raise_app_exceptions: whether what the app raises comes out of the request; if not, the
        client sees what a server would show: a 500, or a broken connection.
    :param root_path: the path under which the app is mounted.
    :param client: host and port of the client.
    :param extensions: ASGI extensions to offer, name to options. The messages that the app sends
        before its response (``http.response.early_hint``, say) are then found, in their order, in
        ``response.extensions["asgi_messages"]``.
    :param lifespan: whether to run the lifespan protocol.
    :param disconnect_grace: seconds that the app gets to notice a disconnect before it is
        cancelled.
    :param state: the lifespan's state, where it is run elsewhere; each connection gets a copy.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        raise_app_exceptions: bool = True,
        root_path: str = "",
        client: tuple[str, int] = ("127.0.0.1", 123),
        extensions: Mapping[str, t.Any] | None = None,
        lifespan: bool = True,
        disconnect_grace: float = DISCONNECT_GRACE,
        state: Mapping[str, t.Any] | None = None,
    ) -> None:
        self.app = app
        self.raise_app_exceptions = raise_app_exceptions
        self.root_path = root_path
        self.client = client
        self.extensions = extensions
        self.disconnect_grace = disconnect_grace
        self._lifespan = Lifespan(app, disconnect_grace) if lifespan else None
        self._state = state if self._lifespan is None else self._lifespan.state
        self._open: set[Exchange | WebSocketExchange] = set()

    async def __aenter__(self) -> t.Self:
        if self._lifespan is not None:
            await self._lifespan.startup()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        try:
            await self.aclose()
        except Exception as error:
            if exc_value is None:
                raise
            # What went wrong first is what the reader of a test report wants to see.
            exc_value.add_note(f"Closing the client raised too: {type(error).__name__}: {error}")

    async def aclose(self) -> None:
        """Disconnect the responses that are still open, then run the lifespan's shutdown."""
        try:
            for exchange in tuple(self._open):
                await exchange.close()
                self._open.discard(exchange)
        finally:
            if self._lifespan is not None:
                await self._lifespan.shutdown()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Call the app and return its response, whose body is still to come.

        :raises httpx.LocalProtocolError: if a header of the request cannot be sent.
        """
        try:
            check_headers(request.headers.raw)
        except ValueError as error:
            raise httpx.LocalProtocolError(str(error), request=request) from error
        if EXTENSION in request.extensions:
            return await self._open_websocket(request)
        content = request_body(t.cast("httpx.AsyncByteStream", request.stream))
        scope = {**self._scope(request, "http", "2.3"), "method": request.method}
        if self.extensions is not None:
            scope["extensions"] = dict(self.extensions)
        exchange = Exchange(self.app, scope, content, self.disconnect_grace)
        self._open.add(exchange)
        body = _ResponseStream(self, exchange, request)
        try:
            with _read_timeout(request):
                started = await exchange.response_started()
        except BaseException:
            await body.abort()
            raise
        if not started or exchange.status is None:
            await body.aclose()  # raises what stopped the app, if it is to be seen
            return httpx.Response(500, text="Internal Server Error")
        return httpx.Response(
            exchange.status,
            headers=exchange.headers,
            stream=body,
            extensions={"http_version": b"HTTP/1.1", "asgi_messages": exchange.asides},
        )

    async def _open_websocket(self, request: httpx.Request) -> httpx.Response:
        subprotocols, offered = request.extensions[EXTENSION]
        scope = {
            **self._scope(request, "websocket", "2.4"),
            "subprotocols": subprotocols,
            "extensions": offered | dict(self.extensions or {}),
        }
        exchange = WebSocketExchange(
            self.app, scope, self.disconnect_grace, self.raise_app_exceptions
        )
        self._open.add(exchange)
        stream = _WebSocketStream(self, exchange)
        try:
            with _read_timeout(request):
                await exchange.answered()
            _check_subprotocol(exchange.subprotocol, subprotocols, request)
        except BaseException:
            await stream.abort()
            raise
        if exchange.status == 101:
            kept: dict[str, t.Any] = {"http_version": b"HTTP/1.1", EXTENSION: exchange}
            return httpx.Response(101, headers=exchange.headers, stream=stream, extensions=kept)
        await stream.aclose()  # raises what stopped the app, if it is to be seen
        if exchange.status is None or exchange.state != "refused":
            return httpx.Response(500, text="Internal Server Error")
        return httpx.Response(exchange.status, headers=exchange.headers, content=exchange.body)

    def forget(self, exchange: Exchange | WebSocketExchange) -> None:
        """Stop keeping track of an exchange that was closed."""
        self._open.discard(exchange)

    def _scope(self, request: httpx.Request, kind: str, spec_version: str) -> Scope:
        url = request.url
        raw_path, _, query = url.raw_path.partition(b"?")
        scope: Scope = {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": spec_version},
            "http_version": "1.1",
            "server": (url.host, url.port or _DEFAULT_PORTS.get(url.scheme, 80)),
            "client": self.client,
            "scheme": url.scheme,
            "root_path": self.root_path,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "path": self.root_path + unquote(raw_path.decode("ascii")),
            "raw_path": self.root_path.encode("ascii") + raw_path,
            "query_string": query,
        }
        if self._state is not None:
            scope["state"] = dict(self._state)
        return scope


class _WebSocketStream(httpx.AsyncByteStream):
    """What httpx closes at the end of a websocket: no body comes with it."""

    def __init__(self, transport: ASGITransport, exchange: WebSocketExchange) -> None:
        self._transport, self._exchange = transport, exchange

    async def aclose(self) -> None:
        await self.abort()
        self._exchange.report()

    async def abort(self) -> None:
        """Close, without telling how the app took it."""
        try:
            await self._exchange.close()
        finally:
            self._transport.forget(self._exchange)


class _ResponseStream(httpx.AsyncByteStream, AsyncIterator[bytes]):
    """The body of a response, as httpx reads it."""

    def __init__(
        self, transport: ASGITransport, exchange: Exchange, request: httpx.Request
    ) -> None:
        self._transport = transport
        self._exchange = exchange
        self._request = request
        self._reported = False

    # An iterator rather than a generator: there is nothing to close if it is left halfway.
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        with _read_timeout(self._request):
            chunk = await self._exchange.read()
        if chunk is None:
            self._report()
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        await self.abort()
        self._report()

    async def abort(self) -> None:
        """Close, without telling how the app took it."""
        try:
            await self._exchange.close()
        finally:
            self._transport.forget(self._exchange)

    def _report(self) -> None:
        error = None if self._reported else self._exchange.failure()
        self._reported = True
        try:
            if error is not None:
                self._raise(error)
        finally:
            del error  # or it would hold this frame, which holds it

    def _raise(self, error: BaseException) -> None:
        exchange = self._exchange
        foreign = exchange.client_failed or not isinstance(error, Exception)
        if foreign or self._transport.raise_app_exceptions:
            raise error
        if exchange.status is not None and not exchange.complete and not exchange.gone:
            raise httpx.RemoteProtocolError(
                "The app ended before its response was complete; a server closes the connection.",
                request=self._request,
            )


def _check_subprotocol(chosen: str | None, offered: Sequence[str], request: httpx.Request) -> None:
    """Fail the connection if the client cannot speak what the app chose (RFC 6455 section 4.1)."""
    if chosen is not None and chosen not in offered:
        raise httpx.RemoteProtocolError(
            f"The app chose the subprotocol {chosen!r} out of {offered}. A client that did not"
            " offer it fails the connection.",
            request=request,
        )


@contextmanager
def _read_timeout(request: httpx.Request) -> Iterator[None]:
    """Bound a wait for the app by the client's read timeout, as a wait for a server would be."""
    seconds = request.extensions.get("timeout", {}).get("read")
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError as error:
        raise httpx.ReadTimeout(
            f"The app sent nothing for {seconds} seconds.", request=request
        ) from error
