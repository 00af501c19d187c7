"""Sending what a body has given while the body itself waits: two waits in one task, on asyncio.

What is thrown into the task meanwhile (a cancellation: by who leaves, by a timeout of the body's
own) is meant for the body's wait, which it would have hit if there had been nothing to send.
"""

from __future__ import annotations

import asyncio
import types
import typing as t
from functools import partial

Steps = t.Generator[t.Any, t.Any, t.Any]


class Putting:
    """A coroutine that has taken its first step, and waits.

    :param coroutine: the coroutine.
    :param waits_for: what it waits for.
    """

    def __init__(self, coroutine: t.Coroutine[t.Any, t.Any, None], waits_for: t.Any) -> None:
        self._coroutine, self._waits_for = coroutine, waits_for
        self.over = False

    def meanwhile(self) -> t.Generator[t.Any, t.Any, BaseException | None]:
        """Await it, up to where something is thrown in, which is returned and does not touch it."""
        while not self.over:
            try:
                yield from _end_of(self._waits_for)
            except GeneratorExit:
                raise
            except BaseException as error:
                return error
            self._step(None)
        return None

    @types.coroutine
    def rest(self) -> t.Generator[t.Any, t.Any, None]:
        """Await what is left of it."""
        while not self.over:
            error: BaseException | None = None
            try:
                yield from _end_of(self._waits_for)
            except BaseException as raised:
                error = raised
            try:
                self._step(error)
            finally:
                del error  # NOTE: this frame is in its traceback: a circle

    def _step(self, error: BaseException | None) -> None:
        self.over = True
        try:
            if error is None:
                self._waits_for = self._coroutine.send(None)
            else:
                self._waits_for = self._coroutine.throw(error)
        except StopIteration:
            return
        self.over = False

    def close(self) -> None:
        """Give it up."""
        self.over = True
        self._coroutine.close()


def _end_of(future: t.Any) -> t.Generator[t.Any, t.Any, None]:
    """Wait for the end of what a coroutine waits for, without ending it; None is the next turn."""
    if future is None:
        yield
        return
    future._asyncio_future_blocking = False  # the task, which looks at it, is not given it
    if future.done():
        return
    waiter = future.get_loop().create_future()
    wake = partial(_wake, waiter)
    future.add_done_callback(wake)
    try:
        yield from waiter
    finally:
        future.remove_done_callback(wake)


def _wake(waiter: t.Any, future: t.Any) -> None:
    if not waiter.done():
        waiter.set_result(None)


def cancel(waits_for: t.Any, error: BaseException) -> bool:
    """Cancel what a coroutine waits for, as the task would that was cancelled.

    :param error: what was thrown into the task. It says who did: a cancel scope knows it by that.
    :return: False if there is nothing to cancel; `error` is thrown into the coroutine then.
    """
    if waits_for is None or not isinstance(error, asyncio.CancelledError):
        return False
    return bool(waits_for.cancel(*error.args))
