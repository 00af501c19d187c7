"""A block of code beside which others watch for what is to end it early."""

from __future__ import annotations

import typing as t
from types import TracebackType

import anyio

from .loops import Interrupt


class Watched:
    """An ``async with`` block that tasks beside it can end; they end with it.

    What the block raises comes out as it is, never in a group.
    """

    #: Whether the block was ended early; the code behind it goes on.
    ended = False

    async def __aenter__(self) -> t.Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._interrupt = Interrupt().__enter__()
        return self

    def beside(self, func: t.Callable[..., t.Coroutine[t.Any, t.Any, t.Any]], *args: t.Any) -> None:
        """Run a coroutine function as long as the block runs."""
        self._group.start_soon(func, *args)

    def end(self) -> None:
        """End the block: what it awaits is cancelled, once."""
        self._interrupt.trigger()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        swallowed = self._interrupt.__exit__(kind, error, trace)
        self.ended = swallowed and error is not None
        if error is not None and not self.ended and not isinstance(error, Exception):
            return await self._group.__aexit__(kind, error, trace)
        self._group.cancel_scope.cancel()
        await self._group.__aexit__(None, None, None)
        return self.ended
