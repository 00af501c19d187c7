"""Taking no more than so much in so much time."""

from __future__ import annotations

from time import monotonic

import anyio


class Pace:
    """Lets so many messages a second through, a second's worth of them at once.

    :param rate: messages a second.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._from = monotonic() - 1.0  # when the bucket was empty, or would have been

    async def wait(self) -> None:
        """Wait until it is the next message's turn."""
        now = monotonic()
        self._from = max(self._from, now - 1.0) + 1 / self._rate
        if self._from > now:
            await anyio.sleep(self._from - now)
