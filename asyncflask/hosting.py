"""The server's side of an ASGI app's lifespan (ASGI lifespan protocol 2.0).

======== ============================== ========= ====================================
phase    message from the app           new phase
======== ============================== ========= ====================================
starting ``lifespan.startup.complete``  serving
starting ``lifespan.startup.failed``    failed
stopping ``lifespan.shutdown.complete`` stopped
stopping ``lifespan.shutdown.failed``   failed
======== ============================== ========= ====================================

Whoever hosts the app runs `Hosting.run` in a task, and meanwhile `startup` and `shutdown`.
"""

from __future__ import annotations

import typing as t

import anyio

Message = t.MutableMapping[str, t.Any]

_PHASES = {
    ("starting", "lifespan.startup.complete"): "serving",
    ("starting", "lifespan.startup.failed"): "failed",
    ("stopping", "lifespan.shutdown.complete"): "stopped",
    ("stopping", "lifespan.shutdown.failed"): "failed",
}


class LifespanError(RuntimeError):
    """Raised when an app fails to start or to shut down; carries what the app said of it."""


class Hosting:
    """One app's lifespan.

    :param app: the ASGI app.
    :param what: what to call it in messages.
    :param state: what the app finds as the lifespan's state; None if there is none to be had.
    :param grace: seconds that the app gets to return after its last word.
    """

    def __init__(self, app: t.Any, what: str, state: dict[str, t.Any] | None, grace: float) -> None:
        self.app, self.what, self.state, self.grace = app, what, state, grace
        #: What the app raised.
        self.error: Exception | None = None
        #: Set when the app has returned or raised.
        self.ended = anyio.Event()
        self._phase = "starting"
        self._message = ""
        self._taken = 0  # messages that the app has received
        self._foreign = False  # it answered as if this were no lifespan at all
        self._settled = anyio.Event()  # the phase is no longer "starting", or no longer "stopping"
        self._stopping = anyio.Event()

    @property
    def began(self) -> bool:
        """Whether the app has taken the word to start, and not for a request."""
        return self._taken > 0 and not self._foreign

    @property
    def serving(self) -> bool:
        """Whether the app has started, and has not been told to shut down."""
        return self._phase == "serving"

    async def run(self) -> None:
        """Run the app, from its start to its end."""
        scope: Message = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
        }
        if self.state is not None:
            scope["state"] = self.state
        try:
            await self.app(scope, self._receive, self._send)
        except Exception as error:
            self.error = error
        finally:
            self.ended.set()
            self._settled.set()

    async def startup(self) -> bool:
        """Wait until the app can take requests; False if it knows nothing of lifespans.

        :raises LifespanError: if it says that it failed to start.
        """
        await self._settled.wait()
        if self._phase == "failed":
            await self._last_words()
            raise self.failure("startup")
        return self.serving

    async def shutdown(self) -> None:
        """Tell the app that it is over, and wait until it says that it is done.

        :raises LifespanError: if it says that it failed, or has raised since it started.
        """
        if self.serving and not self.ended.is_set():
            self._phase, self._settled = "stopping", anyio.Event()
            self._stopping.set()
            await self._settled.wait()
            await self._last_words()
        if self._phase == "failed" or (self._phase != "starting" and self.error is not None):
            raise self.failure("shutdown")

    async def _last_words(self) -> None:
        """Wait until the app has returned, or raised what it failed with."""
        with anyio.move_on_after(self.grace):
            await self.ended.wait()

    def failure(self, stage: str) -> LifespanError:
        """Return the error that says why the app failed."""
        error, reason = self.error, self._message.strip()
        if not reason and error is not None:
            reason = f"{type(error).__name__}: {error}"
        failure = LifespanError(f"{self.what}: {stage} failed: {reason or 'no reason was given'}")
        failure.__cause__ = error
        return failure

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
        if step not in _PHASES:
            self._foreign = not message["type"].startswith("lifespan.")
            raise RuntimeError(
                f"{self.what} sent {message['type']!r} while its lifespan was {self._phase!r}."
                f" Expected here: {[kind for phase, kind in _PHASES if phase == self._phase]}."
            )
        self._phase = _PHASES[step]
        if self._phase == "failed":
            self._message = message.get("message", "")
        self._settled.set()
