"""What the server tells of a request, for two listeners: one reads the body, one waits for the end.

A client that leaves is known only by a message behind the body. So whoever streams a response to it
has to look past a body that nobody may ever read, without taking it away from who does.
"""

from __future__ import annotations

import typing as t
from collections import deque

import anyio
from anyio.lowlevel import checkpoint

from .isolation import Begun

Message = t.MutableMapping[str, t.Any]
Receive = t.Callable[[], t.Awaitable[Message]]

#: Seconds between two looks past a body that nobody reads; doubled with each, so that what has to
#: be kept of it is a dozen messages after an hour, and a client is missed for no longer than it was
#: there.
FIRST_PAUSE = 0.05

#: Messages that are kept so that a look past them tells whether the client is there. Servers put at
#: most 64 KiB into one: a view that looks, and reads nothing, holds the client back after 1 MiB.
MOST_EARLY = 16


#: Seconds that a turn of the loop may take, where a message is there but comes only then.
A_TURN = 0.005


class Turn:
    """A lock that who comes first gets at once.

    PERF: 0.5 us for a message, 5 with `anyio.Lock`, which has to know who holds it.
    """

    _held = False
    _free: anyio.Event | None = None

    def locked(self) -> bool:
        """Whether it is held."""
        return self._held

    async def __aenter__(self) -> None:
        while self._held:
            self._free = self._free or anyio.Event()
            await self._free.wait()
        self._held = True

    async def __aexit__(self, *error: object) -> None:
        self._held = False
        if self._free is not None:
            self._free.set()
            self._free = None


class Arrivals:
    """The messages of one request; called as the server's ``receive`` is, by who reads the body.

    :param receive: the connection's ``receive``.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._lock = Turn()
        #: What was received before the body's reader asked for it.
        self._early: deque[Message] = deque()

    #: What the server said when the client had left. It need not say it twice.
    _last: Message | None = None

    #: A call of ``receive`` that has begun, and waits.
    _begun: t.Awaitable[Message] | None = None

    def go_on(self, begun: t.Awaitable[Message]) -> None:
        """Take over a call of ``receive`` that has begun before anybody else could ask."""
        self._begun = begun

    def put_back(self, message: Message) -> None:
        """Take over a message that was received before anybody else could ask."""
        if message["type"] == "http.disconnect":
            self._last = message
        else:
            self._early.append(message)

    async def __call__(self) -> Message:
        """Return the next message, in the order in which they came."""
        if not self._early:  # NOTE: else at once: who waits for the end keeps the lock meanwhile
            async with self._lock:
                if not self._early:
                    return await self._next()
        return self._early.popleft()

    async def departure(self) -> None:
        """Return when the client has left."""
        pause = FIRST_PAUSE
        while True:
            async with self._lock:
                message = await self._next()
                if message is self._last:
                    return
                self._early.append(message)
            if message.get("more_body", False):
                await anyio.sleep(pause)
                pause = pause * 2 if self._early else FIRST_PAUSE

    async def has_left(self) -> bool:
        """Return whether the client has left, as far as that is known without waiting for it.

        What has come of the body stays for who reads it. Where much of it lies there unread, what
        is behind that is not known.
        """
        await checkpoint()  # who waits for the same gets to hear what has come meanwhile
        while self._last is None and not self._lock.locked() and len(self._early) < MOST_EARLY:
            async with self._lock:
                message = await self._next_if_there()
                if message is None or message is self._last:
                    break
                self._early.append(message)
        return self._last is not None

    async def _next_if_there(self) -> Message | None:
        """Receive a message, if there is one.

        The first step is taken before the waiting is cancelled: channels would not look. Some let
        the others have a turn before they look; they get the time for it.
        """
        with anyio.CancelScope() as scope:
            begun = Begun(self._next())
            if begun.over:
                return t.cast("Message", begun.result)
            if begun.waits:
                scope.cancel()
            else:
                scope.deadline = anyio.current_time() + A_TURN
            return t.cast("Message", await begun)
        return None

    async def watch(self, left: t.Callable[[], t.Any]) -> None:
        """Call `left` when the client has left; a task beside the one that sends to it."""
        try:
            await self.departure()
        except anyio.get_cancelled_exc_class():
            return  # NOTE: nothing follows; its traceback would keep this request until a gc
        left()

    async def _next(self) -> Message:
        if self._last is not None:
            return self._last
        begun, self._begun = self._begun, None
        message = await (self._receive() if begun is None else begun)
        if message["type"] == "http.disconnect":
            self._last = message
        return message
