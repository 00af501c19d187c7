"""How much is done in one turn of the event loop, so that others have theirs."""

from __future__ import annotations

import typing as t
from collections import deque

from .loops import Loop


class Turnstile:
    """Lets so many calls through in one turn of the loop, and the others in the next turns.

    To be used on the loop. The calls keep their order.

    :param loop: the loop.
    :param most: how many.
    """

    def __init__(self, loop: Loop, most: int) -> None:
        self._loop, self._most = loop, most
        self._passed = 0  # in this turn
        self._waiting: deque[tuple[t.Callable[..., t.Any], tuple[t.Any, ...]]] = deque()

    def call(self, func: t.Callable[..., t.Any], *args: t.Any) -> None:
        """Call ``func(*args)``, now or in a turn to come."""
        if self._passed == self._most:
            self._waiting.append((func, args))
            return
        if not self._passed:
            self._loop.call_in_next_turn(self._begin_turn)
        self._passed += 1
        func(*args)

    def _begin_turn(self) -> None:
        self._passed = 0
        for _ in range(min(self._most, len(self._waiting))):
            func, args = self._waiting.popleft()
            self.call(func, *args)
