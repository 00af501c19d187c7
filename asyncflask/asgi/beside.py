"""What runs beside a body that is being sent: it begins when the event loop first turns."""

from __future__ import annotations

import typing as t
from contextvars import copy_context

from ..exceptions import LoopCancelled
from ..loops import Loop

Func = t.Callable[[], t.Coroutine[t.Any, t.Any, t.Any]]


class Beside:
    """A block with tasks beside it, which are cancelled at its end, and not waited for.

    Nothing can happen to a connection before the loop has turned, so that a body which is sent
    without a wait needs nobody beside it. PERF: a stream of 100 pieces costs 50 us less than with
    a task group, one that never waits 90 us less.

    :param loop: the event loop.
    :param funcs: what is run, each in a task of its own.
    :param failed: called when one of them raised an error, which leaving the block raises, too.
    """

    _error: BaseException | None = None
    _open = True

    def __init__(self, loop: Loop, funcs: t.Sequence[Func], failed: t.Callable[[], t.Any]) -> None:
        self._loop, self._funcs, self._failed = loop, funcs, failed
        self._cancels: list[t.Callable[[], t.Any]] = []

    def __enter__(self) -> t.Self:
        self._context = copy_context()
        self._loop.call_in_next_turn(self._begin)
        return self

    def _begin(self) -> None:
        for func in self._funcs:
            self.run(func)

    def run(self, func: Func) -> None:
        """Run one more; called after the others have begun, and before the end of the block."""
        self._cancels.append(self._loop.spawn(func, self._context.copy(), self._note))

    def _note(self, result: t.Any, error: BaseException | None) -> None:
        if error is not None and self._open and not isinstance(error, LoopCancelled):
            self._error = self._error or error
            self._failed()

    def __exit__(self, kind: t.Any, error: BaseException | None, trace: t.Any) -> None:
        cancels, self._cancels, self._funcs, self._open = self._cancels, [], (), False
        for cancel in cancels:
            cancel()
        raised, self._error = self._error, None
        if raised is not None and error is None:
            try:
                raise raised
            finally:
                del raised  # NOTE: its traceback refers to this frame: a circle
