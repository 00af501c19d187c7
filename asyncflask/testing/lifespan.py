"""The app's lifespan, as a server drives it (ASGI lifespan protocol 2.0).

======== ============================== ========= ====================================
state    message from the app           new state
======== ============================== ========= ====================================
starting ``lifespan.startup.complete``  serving
starting ``lifespan.startup.failed``    failed
stopping ``lifespan.shutdown.complete`` stopped
stopping ``lifespan.shutdown.failed``   failed
======== ============================== ========= ====================================

An app that ends while it is starting, without a word, does not support the protocol, which is
fine; unless it took the ``lifespan.startup`` message and then raised, which is a failed startup
of an app that forgot to say so.
"""

from __future__ import annotations

import typing as t

import anyio
from starlette.types import ASGIApp, Message

from .tasks import DetachedTask

_STEPS = {
    ("starting", "lifespan.startup.complete"): "serving",
    ("starting", "lifespan.startup.failed"): "failed",
    ("stopping", "lifespan.shutdown.complete"): "stopped",
    ("stopping", "lifespan.shutdown.failed"): "failed",
}


class LifespanError(RuntimeError):
    """Raised when the app fails to start or to shut down; carries the app's own message."""


class Lifespan:
    """One lifespan of an app: startup and shutdown in one task.

    :param app: the ASGI app.
    :param grace: seconds that the app gets to return after it said that it is done.
    """

    def __init__(self, app: ASGIApp, grace: float) -> None:
        self.state: dict[str, t.Any] = {}
        self._app = app
        self._grace = grace
        self._phase = "starting"
        self._message = ""
        self._taken = 0  # messages that the app has received
        self._foreign = False  # it answered as if this were no lifespan at all
        self._settled: anyio.Event  # the phase is no longer "starting", or no longer "stopping"
        self._stopping: anyio.Event
        self._task: DetachedTask | None = None

    async def startup(self) -> None:
        """Run the app up to the point where it can take requests.

        :raises LifespanError: if the app says that its startup failed, or raises in it.
        """
        self._settled, self._stopping = anyio.Event(), anyio.Event()
        self._task = task = DetachedTask(self._run, "lifespan")
        try:
            await self._settled.wait()
        except BaseException:
            await task.stop()
            raise
        if self._phase == "serving":
            return
        await task.stop(self._grace)
        self._task = None
        if self._phase == "failed" or (task.error and self._taken and not self._foreign):
            raise _error("startup", self._message, task.error)

    async def shutdown(self) -> None:
        """Tell the app that it is over and wait until it is done.

        :raises LifespanError: if the app says that its shutdown failed, or raised since startup.
        """
        task, self._task = self._task, None
        if task is None:
            return
        if self._phase == "serving" and not task.ended:
            self._phase = "stopping"
            self._settled = anyio.Event()
            self._stopping.set()
            try:
                await self._settled.wait()
            except BaseException:
                await task.stop()
                raise
        await task.stop(self._grace)
        if self._phase == "failed" or task.error:
            raise _error("shutdown", self._message, task.error)

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        finally:
            self._settled.set()

    async def _receive(self) -> Message:
        self._taken += 1
        if self._taken == 1:
            return {"type": "lifespan.startup"}
        if self._taken > 2:
            await anyio.sleep_forever()
        await self._stopping.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        step = (self._phase, message["type"])
        if step not in _STEPS:
            self._foreign = not message["type"].startswith("lifespan.")
            raise RuntimeError(
                f"The app sent {message['type']!r} while its lifespan was {self._phase!r}. Expected"
                f" here: {[kind for phase, kind in _STEPS if phase == self._phase]}."
            )
        self._phase = _STEPS[step]
        if self._phase == "failed":
            self._message = message.get("message", "")
        self._settled.set()


def _error(stage: str, message: str, cause: BaseException | None) -> BaseException:
    if cause is not None and not isinstance(cause, Exception):
        return cause  # KeyboardInterrupt and its like are nobody's failure
    text = message or (f"{type(cause).__name__}: {cause}" if cause else "no reason was given")
    error = LifespanError(f"The app's {stage} failed: {text}")
    error.__cause__ = cause
    return error
