"""The lifespan of an app in one server process: what is entered at start-up, left at shutdown.

It is a list of async context managers, entered in order and left in reverse: the worker threads,
the app's hooks, its background tasks, then the lifespan of each mounted ASGI app. The apps run in
tasks of one group, which belongs to the server's call of the app: when that is cancelled, so are
they, and nothing outlives it.
"""

from __future__ import annotations

import typing as t
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import anyio
from anyio.abc import TaskGroup

from ..hosting import Hosting, LifespanError
from ..mounts import STATES, Mount
from .hooks import Hooks

Message = t.MutableMapping[str, t.Any]
Receive = t.Callable[[], t.Awaitable[Message]]
Send = t.Callable[[Message], t.Awaitable[None]]

#: Seconds that a mounted app gets to return after its last word. Most return at once; one that
#: listens on for more is cancelled then.
GRACE = 1.0


async def serve(app: t.Any, scope: Message, receive: Receive, send: Send) -> None:
    """Start up and shut down as the server says.

    :raises Exception: what made either fail, after the server has been told of it.
    """
    stage = "startup"
    error: Exception | SystemExit | None = None
    async with anyio.create_task_group() as group:
        try:
            async with AsyncExitStack() as entered:
                entered.enter_context(app._shutdown.serving())
                app._was_started = True
                app._import_templating()
                await receive()
                for part in _parts(app, scope, group):
                    await entered.enter_async_context(part)
                await send({"type": "lifespan.startup.complete"})
                stage = "shutdown"
                await receive()
                app._shutdown.begin()
        except (Exception, SystemExit) as raised:  # NOTE: raised below: no group wraps it
            error = raised
        group.cancel_scope.cancel()
    # The last word to the server, which may end the process when it has heard it.
    if error is None:
        await send({"type": "lifespan.shutdown.complete"})
    else:
        if not isinstance(error, LifespanError):  # which has no traceback that would tell more
            app.logger.error(f"The app's {stage} failed.", exc_info=error)
        await send({"type": f"lifespan.{stage}.failed", "message": _told(error)})
        raise error


def _told(error: BaseException) -> str:
    """Return what failed, first things first: every part is left, whichever failed before."""
    paragraphs = []
    seen: BaseException | None = error
    while seen is not None:
        paragraphs.append("\n".join(_lines(seen)))
        seen = seen.__context__ if isinstance(seen.__context__, LifespanError) else None
    return "\n".join(reversed(paragraphs))


def _lines(error: BaseException) -> t.Iterator[str]:
    kind = "" if isinstance(error, LifespanError) else f"{type(error).__name__}: "
    yield f"{kind}{error}"
    yield from getattr(error, "__notes__", ())
    for one in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _lines(one)


def _parts(
    app: t.Any, scope: Message, group: TaskGroup
) -> t.Iterator[AbstractAsyncContextManager[t.Any]]:
    """Yield what the app's lifespan consists of, in the order of starting."""
    yield _threads(app)
    yield app._background.open()
    yield Hooks(app, scope.get("state"))
    yield app._background.serving()
    if app._mounts is not None:
        yield from _mounted(app, scope.get("state"), group)


def _mounted(
    app: t.Any, state: dict[str, t.Any] | None, group: TaskGroup
) -> t.Iterator[AbstractAsyncContextManager[t.Any]]:
    """Yield the lifespans of mounted apps, one for each app, and note their states in ours.

    :param state: the lifespan's state; None if the server has none.
    """
    states: dict[str, t.Any] = {}
    if state is not None:
        state[STATES] = states
    known: dict[int, t.Any] = {}
    for mount in app._mounts:
        if "asgi" not in mount.protocols:
            continue
        if id(mount.app) not in known:
            known[id(mount.app)] = None if state is None else _without_states(state)
            yield _Mounted(app, mount, known[id(mount.app)], group)
        states[mount.prefix] = known[id(mount.app)]


def _without_states(state: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {key: value for key, value in state.items() if key != STATES}


@asynccontextmanager
async def _threads(app: t.Any) -> t.AsyncIterator[None]:
    """End the worker threads in the end, however it comes."""
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await app._budgets.close()


class _Mounted:
    """The lifespan of a mounted app, in a task of the group."""

    def __init__(
        self, host: t.Any, mount: Mount, state: dict[str, t.Any] | None, group: TaskGroup
    ) -> None:
        self._host, self._group = host, group
        self._hosting = Hosting(mount.app, f"The app mounted at {mount.prefix!r}", state, GRACE)

    async def _run(self) -> None:
        hosting = self._hosting
        await hosting.run()
        if hosting.serving and hosting.error is not None:  # nobody asks before the shutdown
            self._host.logger.error(
                f"{hosting.what}: its lifespan ended while it was serving.", exc_info=hosting.error
            )

    async def __aenter__(self) -> None:
        hosting = self._hosting
        self._group.start_soon(self._run)
        supported = await hosting.startup()
        if not supported and hosting.began and hosting.error is not None:
            self._host.logger.warning(
                f"{hosting.what} raised when it was told to start, and is taken for one that knows"
                " no lifespan. One that does says so, with 'lifespan.startup.failed'.",
                exc_info=hosting.error,
            )

    async def __aexit__(self, kind: t.Any, error: BaseException | None, trace: t.Any) -> None:
        if error is not None and not isinstance(error, Exception):
            return  # it is cancelled with the group
        try:
            await self._hosting.shutdown()
        except LifespanError as failure:
            failure.__context__ = error  # the exit stack chains what is raised only sometimes
            raise
