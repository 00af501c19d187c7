"""Work outside of requests, each piece in a context of the app of its own."""

from __future__ import annotations

import inspect
import typing as t
from contextvars import Token
from functools import partial

import anyio

from .. import _current, budgets
from ..ctx import AppContext
from ..drivers import LoopDriver


class Outside:
    """A block in a new context of the app, on an event loop; gives what calls its functions.

    :param app: the app.
    :param budget: which threads plain functions run in.
    """

    #: What the teardown functions are told of, where it does not leave the block.
    error: BaseException | None = None

    _token: Token[t.Any]

    def __init__(self, app: t.Any, budget: str = budgets.HANDLERS) -> None:
        self.app = app
        self.ctx: AppContext = app.app_context()
        self.driver = LoopDriver(app)
        self.driver.budget = budget

    async def __aenter__(self) -> LoopDriver:
        self._token = _current.context.set(self.ctx)
        try:
            await self.app._begin(self.ctx, self.driver)
        except BaseException:
            self._leave()
            raise
        return self.driver

    async def __aexit__(self, kind: t.Any, error: BaseException | None, trace: t.Any) -> None:
        self.driver.shield(True)
        try:
            with anyio.CancelScope(shield=True):
                await self.app._end(self.ctx, self.driver, error or self.error)
        finally:
            self.error = None
            self._leave()

    def _leave(self) -> None:
        self.driver.close()
        _current.context.reset(self._token)


def name_of(func: t.Any) -> str:
    """Return the name of a function, whatever it is wrapped in."""
    func = _innermost(func)
    return getattr(func, "__qualname__", None) or type(func).__qualname__


def place_of(func: t.Any) -> str:
    """Return where a function is defined; empty if that is not known."""
    func = _innermost(func)
    code = getattr(func, "__code__", None) or getattr(type(func).__call__, "__code__", None)
    return "" if code is None else f" ({code.co_filename}, line {code.co_firstlineno})"


def _innermost(func: t.Any) -> t.Any:
    while isinstance(func, partial):
        func = func.func
    return inspect.unwrap(func)
