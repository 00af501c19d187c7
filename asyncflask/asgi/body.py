"""The body of a request that came through ASGI.

States: nothing is known to be there (no ``Content-Length``, no ``Transfer-Encoding``) -> *open*:
messages may follow -> *complete*, or *cut off* when the client left before that.

Who reads, and where:

- Ahead, on the loop, before a handler runs: `read_ahead`, up to a bound that its caller chooses.
  Where it is then is for `held` to say.
- Ahead, before sync code has a coroutine run on the loop: `read_for_loop`, which both use.
- On demand, in a lane's thread: the `reader` fetches the next message through the portal. One
  message at a time, so the client is held back by the server's flow control.
- On demand, on the loop, for a view with ``stream_body=True``: ``async for chunk in
  request.stream``.
"""

from __future__ import annotations

import typing as t
from asyncio import _get_running_loop
from contextvars import Context

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.routing import Rule

from .. import _current, workers
from ..bodies import CHUNK_BYTES, TOO_LONG_TO_BUFFER, Body
from ..budgets import FILES
from ..loops import Interrupt
from .arrivals import Arrivals, Message, Receive
from .isolation import OVER, Begun, InContext, Rest, called_in, put_into

Send = t.Callable[[Message], t.Awaitable[None]]

#: Bytes of a body that are read on the loop before a thread is taken, so that a slow client with
#: a small form occupies none. One read of uvicorn's gives at most as much.
SMALL_BYTES = 65_536


class RequestBody(Body):
    """A request's body over ASGI's messages, made by `body_of`.

    PERF: most requests have none, so that making one sets one attribute and opens nothing.
    """

    declared: int | None = 0
    complete = True

    #: Seconds for which the client may be silent in the middle of it; None for ever.
    timeout: float | None = None

    if t.TYPE_CHECKING:

        def __init__(self) -> None: ...

    else:  # PERF: a call takes 280 instructions less than `object.__new__`, 900 than a constructor
        __init__ = object.__init__

    #: The connection's scope, ``receive`` and ``send``, and its context variables.
    _connection: tuple[t.Any, Receive, Send | None, Context]

    _arrivals: Arrivals | None = None

    @property
    def arrivals(self) -> Arrivals:
        """The connection's messages: for this body, and for who waits for the client to leave."""
        if self._arrivals is None:
            _, receive, _, context = self._connection
            self._arrivals = Arrivals(InContext(receive, context))
        return self._arrivals

    async def has_left(self) -> bool:
        """Return whether the client has left, as far as that is known."""
        return await self.arrivals.has_left()

    async def watch(self, left: t.Callable[[], t.Any]) -> None:
        """Call `left` when the client has left."""
        await self.arrivals.watch(left)

    async def send(self, message: Message) -> None:
        """Send a message."""
        _, _, send, context = self._connection
        await called_in(context, t.cast("Send", send), message)

    async def send_links(self, links: list[bytes]) -> bool:
        """Send links ahead of the response, if that has not begun; return whether they were."""
        if self.answered or self._connection[2] is None:
            return False
        await self.send({"type": "http.response.early_hint", "links": links})
        return True

    async def read_small(self, limit: int | None = None) -> None:
        """Read a body that is declared to be small, so that a slow client occupies no thread.

        :param limit: bytes beyond which it will be refused, so that reading it is in vain.
        """
        bound = SMALL_BYTES if limit is None else min(limit, SMALL_BYTES)
        if self.declared and self.declared <= bound and not self.is_at_hand():
            await self.read_ahead(SMALL_BYTES)

    def is_at_hand(self) -> bool:
        """Receive a short body that is there already; return whether it was, and all of it.

        Nobody has asked for the connection's messages before: if it was not, who does goes on with
        what has begun here.
        PERF: 12 us less for a body that came with its headers, as short ones do: nobody else can
        want to hear what there is nothing to wait for, and no timer is needed.
        """
        # NOTE: on trio, what ends the waiting has to be entered before it begins.
        if self._arrivals is not None or _get_running_loop() is None:
            return False
        _, receive, _, context = self._connection
        got: list[Message] = []
        steps = put_into(got, receive)
        waits_for = context.run(next, steps, OVER)
        if waits_for is not OVER:
            self.arrivals.go_on(Rest(context, steps, waits_for))
            return False
        message = got[0]
        chunk = message.get("body", b"")
        if (
            message["type"] == "http.disconnect"
            or message.get("more_body")
            or len(chunk) > CHUNK_BYTES
        ):
            self.arrivals.put_back(message)
            return False
        self._rest, self.complete = chunk, True
        return True

    async def next_chunk(self) -> bytes:
        """Receive one message and return its bytes; once the body is complete, nothing."""
        if self.complete:
            return b""
        message = await self._next_message()
        if message is None:
            self.timed_out = self.complete = True
            return b""
        if message["type"] == "http.disconnect":
            self.cut_off = self.complete = True
            return b""
        self.complete = not message.get("more_body", False)
        return t.cast("bytes", message.get("body", b""))

    async def _next_message(self) -> Message | None:
        """Receive one message; None if there is none for too long."""
        if self.timeout is None:
            return await self.arrivals()
        with Interrupt() as interrupt:  # PERF: a cancel scope takes 3 us more, for each message
            begun = Begun(self.arrivals())
            if begun.over:
                return t.cast("Message", begun.result)
            interrupt.trigger_after(self.timeout)
            return t.cast("Message", await begun)
        return None

    def next_chunk_here(self) -> bytes:
        """Receive one message, in a lane's thread, which is not at work meanwhile.

        :raises RequestEntityTooLarge: (413) on the event loop, which must not wait.
        """
        lane = workers.current()
        if lane is None:
            raise RequestEntityTooLarge(TOO_LONG_TO_BUFFER)
        lane.pool.hold(1)  # the client's pace is not to keep others from their turn
        try:
            return t.cast("bytes", lane.call_async(self.next_chunk))
        finally:
            lane.pool.hold(-1)

    async def in_thread(self, func: t.Callable[[list[bytes]], None], chunks: list[bytes]) -> None:
        """Call a function that writes to a disk, in the app's budget for files."""
        ctx = _current.app_context()
        if ctx is None:
            await super().in_thread(func, chunks)
        else:
            await workers.Lane(ctx.app._pool(FILES)).start(func, chunks).outcome()

    def release(self) -> None:
        """Let go of what is held, also in memory: errors that refer to the request may live on."""
        if self._has_reader:
            super().release()
        if self._rest or self._held is not None:
            self._let_go()


def body_of(
    connection: tuple[t.Any, Receive, Send | None, Context],
    declared: int | None,
    timeout: float | None = None,
) -> RequestBody:
    """Return the body of a request.

    PERF: 0.2 us less for what is looked at, and found in the object itself.

    :param connection: the connection's scope, ``receive`` and ``send`` (for what is sent ahead of
        the response), and the context variables to call them with (see `isolation`).
    :param declared: its length in bytes (see `declared_length`).
    :param timeout: seconds for which the client may be silent in the middle of it.
    """
    body = RequestBody()
    body._connection = connection
    if declared != 0:
        body.declared, body.complete, body.timeout = declared, False, timeout
        body._arrivals = body._held = None
        body._has_reader = body.timed_out = False
        body._taken = 0
    return body


def declared_length(notable: t.Mapping[bytes, list[bytes]]) -> int | None:
    """Return how long a body will be; None if only its end tells (RFC 9112 section 6.3).

    :param notable: the values of the headers that say so, by name.
    """
    if b"transfer-encoding" in notable:
        return None
    if b"content-length" not in notable:
        return 0
    length = notable[b"content-length"][-1]
    return int(length) if length.isdigit() else None


def read_for_loop(
    body: Body | None, rule: Rule | None, config: t.Mapping[str, t.Any]
) -> t.Coroutine[t.Any, t.Any, None] | None:
    """Read a request's body ahead, as far as an async handler may use it without `await`.

    Nothing is read for a route with ``stream_body=True``, nor of a body that is declared to be
    longer than the limit: what reads it gets 413.

    :param body: the request's body, if the server's interface has bodies.
    :param rule: the rule that the request matches, if any.
    :param config: the app's.
    :return: what is left to be awaited, if anything.
    """
    if body is None or body.complete or getattr(rule, "stream_body", False):
        return None
    limit = config["MAX_CONTENT_LENGTH"]
    bound = config["MAX_BUFFERED_BODY"] if limit is None else limit
    if (body.declared or 0) > bound or body.is_at_hand():
        return None
    return body.read_ahead(bound, config["BODY_MEMORY"])
