"""The app's lifespan, as a server drives it; `hosting` has the protocol.

An app that ends while it is starting, without a word, does not support the protocol, which is
fine; unless it took the ``lifespan.startup`` message and then raised, which is a failed startup
of an app that forgot to say so.
"""

from __future__ import annotations

import typing as t

from starlette.types import ASGIApp

from ..hosting import Hosting
from ..hosting import LifespanError as LifespanError
from .tasks import DetachedTask


class Lifespan:
    """One lifespan of an app: startup and shutdown in one task.

    :param app: the ASGI app.
    :param grace: seconds that the app gets to return after it said that it is done.
    """

    def __init__(self, app: ASGIApp, grace: float) -> None:
        self.state: dict[str, t.Any] = {}
        self._app = app
        self._grace = grace
        self._hosting: Hosting
        self._task: DetachedTask | None = None

    async def startup(self) -> None:
        """Run the app up to the point where it can take requests.

        :raises LifespanError: if the app says that its startup failed, or raises in it.
        """
        self._hosting = hosting = Hosting(self._app, "The app", self.state, self._grace)
        self._task = task = DetachedTask(hosting.run, "lifespan")
        try:
            if await hosting.startup():
                return
        except BaseException:
            await task.stop()
            raise
        self._task = None
        await task.stop(self._grace)
        _raise_interruption(task)
        if hosting.began and hosting.error is not None:
            raise hosting.failure("startup")

    async def shutdown(self) -> None:
        """Tell the app that it is over and wait until it is done.

        :raises LifespanError: if the app says that its shutdown failed, or raised since startup.
        """
        task, self._task = self._task, None
        if task is None:
            return
        try:
            await self._hosting.shutdown()
        finally:
            await task.stop()
        _raise_interruption(task)


def _raise_interruption(task: DetachedTask) -> None:
    """Raise what is nobody's failure: KeyboardInterrupt and its like."""
    if task.error is not None and not isinstance(task.error, Exception):
        raise task.error
