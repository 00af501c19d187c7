"""Websockets in tests: one client in two faces, for ``async def`` tests and for plain ones."""

from __future__ import annotations

import json
import typing as t
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from types import TracebackType

import anyio
import httpx

from .. import portal, workers
from ..exceptions import WebSocketDisconnect
from ..json.provider import JSONProvider
from .handshake import EXTENSION, WebSocketRefused
from .websocket_exchange import Data, WebSocketExchange, check_closing

#: Codes with which a connection ends as planned (RFC 6455 section 7.4.1).
_PLANNED = (1000, 1001, 1005)

Opening = Callable[[], Awaitable[httpx.Response]]


class AsyncWebSocket(AsyncIterator[Data]):
    """A websocket to the app, open within an ``async with`` block; made by ``client.websocket()``.

    ::

        async with client.websocket("/echo") as ws:
            await ws.send("hello")
            assert await ws.receive() == "hello"

    The end of the block closes the websocket with 1000, if it is open, and waits for the app's end.
    What the app raises comes out of `receive`, or there.

    :param opening: makes the handshake's request.
    :param json_module: what reads and writes JSON.
    :param timeout: seconds that `receive` waits for a message; None for as long as it takes.
    """

    def __init__(
        self, opening: Opening, json_module: t.Any = json, timeout: float | None = None
    ) -> None:
        self._opening = opening
        self._json = json_module
        self._timeout = timeout
        self._response: httpx.Response | None = None

    async def __aenter__(self) -> t.Self:
        """Open the websocket.

        :raises WebSocketRefused: if the app does not accept it.
        """
        if self._response is not None:
            raise RuntimeError("A websocket is opened once. Make another with client.websocket().")
        self._response = response = await self._opening()
        if response.status_code != 101:
            await response.aread()
            raise WebSocketRefused(response)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exchange.leave(1000)
        try:
            await self.response.aclose()
        except Exception as error:
            # That the websocket was closed says less than why.
            if exc_value is None or isinstance(exc_value, WebSocketDisconnect):
                raise
            exc_value.add_note(f"The app raised too: {type(error).__name__}: {error}")

    @property
    def response(self) -> httpx.Response:
        """The answer to the handshake: its status is 101, its headers are those of the acceptance.

        :raises RuntimeError: if the websocket was not opened.
        """
        if self._response is None:
            raise RuntimeError(
                "The websocket is not open. Use it in a block: 'async with client.websocket(...) as"
                " ws:', or 'with' in a test that is no coroutine."
            )
        return self._response

    @property
    def _exchange(self) -> WebSocketExchange:
        return t.cast("WebSocketExchange", self.response.extensions[EXTENSION])

    @property
    def response_headers(self) -> httpx.Headers:
        """The headers with which the app accepted."""
        return self.response.headers

    @property
    def accepted_subprotocol(self) -> str | None:
        """The subprotocol that the app chose, if it chose one."""
        return self._exchange.subprotocol

    @property
    def close_code(self) -> int | None:
        """The code with which the websocket was closed, by whom ever; None while it is open."""
        return self._exchange.closing and self._exchange.closing[0]

    @property
    def close_reason(self) -> str | None:
        """The reason that was given with the code; None while it is open."""
        return self._exchange.closing and self._exchange.closing[1]

    async def send(self, data: str | bytes | bytearray | memoryview) -> None:
        """Send a message: text if it is a str, else bytes.

        Waits as long as 32 messages are before it that the app has not received.

        :raises WebSocketDisconnect: if the websocket is closed.
        :raises TypeError: if it is neither.
        """
        if isinstance(data, str):
            data.encode()
        elif isinstance(data, (bytes, bytearray, memoryview)):
            data = bytes(data)
        else:
            raise TypeError(
                f"A websocket sends text (str) or bytes, not {type(data).__name__}: send_json()"
                " takes other values."
            )
        await self._exchange.put(data)

    async def send_json(self, value: t.Any) -> None:
        """Send a value as JSON, in a text message; the app's JSON provider writes it."""
        await self.send(self._json.dumps(value))

    async def receive(self, timeout: float | None = None) -> Data:  # noqa: ASYNC109
        """Return the next message: a str, or bytes.

        :param timeout: seconds to wait for it; by default the client's read timeout, which by
            default is for as long as it takes.
        :raises WebSocketDisconnect: if the websocket is closed, with the code and the reason.
        :raises TimeoutError: if there was none in time.
        """
        seconds = self._timeout if timeout is None else timeout
        with anyio.move_on_after(seconds):
            return await self._exchange.take()
        raise TimeoutError(f"The app sent nothing for {seconds:g} seconds.")

    async def receive_text(self, timeout: float | None = None) -> str:  # noqa: ASYNC109
        """`receive`, where the message has to be text.

        :raises TypeError: if it is not.
        """
        return t.cast("str", _of_type(str, await self.receive(timeout)))

    async def receive_bytes(self, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """`receive`, where the message has to be bytes.

        :raises TypeError: if it is not.
        """
        return t.cast("bytes", _of_type(bytes, await self.receive(timeout)))

    async def receive_json(self, timeout: float | None = None) -> t.Any:  # noqa: ASYNC109
        """`receive`, and return the value that the message stands for, be it text or bytes.

        :raises ValueError: if it is no JSON.
        """
        return self._json.loads(await self.receive(timeout))

    def __aiter__(self) -> AsyncIterator[Data]:
        """Iterate over the messages, until the websocket is closed as planned: 1000, 1001, 1005.

        :raises WebSocketDisconnect: if it is closed with another code.
        """
        return self

    async def __anext__(self) -> Data:
        data = await self._next()
        if data is None:
            raise StopAsyncIteration
        return data

    async def _next(self) -> Data | None:
        try:
            return await self.receive()
        except WebSocketDisconnect as end:
            if end.code not in _PLANNED:
                raise
            return None

    async def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Close the websocket. The app is told behind what was sent; it has not ended yet.

        :param code: 1000-1003, 1007-1014 or 3000-4999; None for none, as ``close()`` in a browser
            sends it: the app gets 1005.
        :param reason: at most 123 bytes.
        :raises ValueError: if either cannot be sent.
        """
        if code is not None:
            check_closing(code, reason)
        elif reason:
            raise ValueError("A close reason needs a code before it.")
        self._exchange.leave(1005 if code is None else code, reason)
        await anyio.lowlevel.checkpoint()

    async def abort(self) -> None:
        """Be gone without a word, as if the network had failed: the app gets 1006."""
        self._exchange.leave(1006)
        await anyio.lowlevel.checkpoint()


def json_of(app: t.Any) -> t.Any:
    """Return what reads and writes JSON for an app: its provider, if it has one."""
    provider = getattr(app, "json", None)
    return provider if isinstance(provider, JSONProvider) else json


def _of_type(kind: type[Data], data: Data) -> Data:
    if not isinstance(data, kind):
        raise TypeError(f"The app sent {type(data).__name__}, not {kind.__name__}: {data!r:.100}")
    return data


async def _alone(func: Callable[..., Awaitable[t.Any]], *args: t.Any) -> t.Any:
    workers.leave_lane()  # the app goes on when the test's thread does something else
    return await func(*args)


class WebSocket(Iterator[Data]):
    """An `AsyncWebSocket` for tests that are no coroutines: the same methods, without ``await``.

    ::

        with client.websocket("/echo") as ws:
            ws.send("hello")
            assert ws.receive() == "hello"

    The app runs on the process's background loop, as async views do under this client.

    :param socket: what does the work.
    """

    def __init__(self, socket: AsyncWebSocket) -> None:
        self._socket = socket

    def __enter__(self) -> t.Self:
        """Open the websocket.

        :raises WebSocketRefused: if the app does not accept it.
        """
        portal.call_async(_alone, self._socket.__aenter__)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        portal.call_async(self._socket.__aexit__, exc_type, exc_value, traceback)

    @property
    def response(self) -> httpx.Response:
        """As in `AsyncWebSocket`."""
        return self._socket.response

    @property
    def response_headers(self) -> httpx.Headers:
        """As in `AsyncWebSocket`."""
        return self._socket.response_headers

    @property
    def accepted_subprotocol(self) -> str | None:
        """As in `AsyncWebSocket`."""
        return self._socket.accepted_subprotocol

    @property
    def close_code(self) -> int | None:
        """As in `AsyncWebSocket`."""
        return self._socket.close_code

    @property
    def close_reason(self) -> str | None:
        """As in `AsyncWebSocket`."""
        return self._socket.close_reason

    def send(self, data: str | bytes | bytearray | memoryview) -> None:
        """As in `AsyncWebSocket`."""
        portal.call_async(self._socket.send, data)

    def send_json(self, value: t.Any) -> None:
        """As in `AsyncWebSocket`."""
        portal.call_async(self._socket.send_json, value)

    def receive(self, timeout: float | None = None) -> Data:
        """As in `AsyncWebSocket`."""
        return t.cast("Data", portal.call_async(self._socket.receive, timeout))

    def receive_text(self, timeout: float | None = None) -> str:
        """As in `AsyncWebSocket`."""
        return t.cast("str", portal.call_async(self._socket.receive_text, timeout))

    def receive_bytes(self, timeout: float | None = None) -> bytes:
        """As in `AsyncWebSocket`."""
        return t.cast("bytes", portal.call_async(self._socket.receive_bytes, timeout))

    def receive_json(self, timeout: float | None = None) -> t.Any:
        """As in `AsyncWebSocket`."""
        return portal.call_async(self._socket.receive_json, timeout)

    def __iter__(self) -> Iterator[Data]:
        """As in `AsyncWebSocket`."""
        return self

    def __next__(self) -> Data:
        data = portal.call_async(self._socket._next)
        if data is None:
            raise StopIteration
        return t.cast("Data", data)

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """As in `AsyncWebSocket`."""
        portal.call_async(partial(self._socket.close, code, reason))

    def abort(self) -> None:
        """As in `AsyncWebSocket`."""
        portal.call_async(self._socket.abort)
