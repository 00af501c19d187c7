"""The life of an app in a server process: its state, its shutdown, and its background tasks."""

from __future__ import annotations

import typing as t
from collections.abc import Callable
from functools import partial

from . import typing as ft
from .app_globals import State
from .background import Background
from .dispatch.outside import name_of
from .sansio.app import App
from .sansio.scaffold import setupmethod
from .shutdown import Shutdown
from .tasks import BackgroundTask, Restart, current_name

F = t.TypeVar("F", bound=Callable[[], t.Any])

_POLICIES = ("never", "on-error", "always")


class Lifecycle(App):
    """An app that is started, served and shut down."""

    #: What the app has at hand: set it in `before_serving`, or yield it in `while_serving`.
    state: State

    #: Whether an ASGI server, or who plays one, has started the app in this process.
    _was_started = False

    def _begin_life(self, lifespan: ft.LifespanCallable | None) -> None:
        if not (lifespan is None or callable(lifespan)):
            raise TypeError(
                "Flask(lifespan=...) needs a function that takes the app and returns an async"
                f" context manager, not {type(lifespan).__name__}."
            )
        self.state = State()
        self._lifespan = lifespan
        self._shutdown = Shutdown()
        self._background = Background(self)

    @property
    def shutdown_event(self) -> Shutdown:
        """Set when the app begins to shut down: ``await app.shutdown_event.wait()``.

        Also in sync code: ``app.shutdown_event.is_set()``.
        """
        return self._shutdown

    def add_background_task(
        self, func: Callable[..., t.Any], /, *args: t.Any, **kwargs: t.Any
    ) -> None:
        """Run a function, ``def`` or ``async def``, without waiting for it.

        ::

            @app.post("/orders")
            async def order():
                ...
                app.add_background_task(send_confirmation, order.id)
                return {"order": order.id}, 202

        It runs in a context of the app of its own: there is `current_app` and a new `g`, and no
        request. A plain function runs in a thread. What it raises is logged, and sent as the
        signal `got_background_exception`. When the app shuts down, it gets
        `BACKGROUND_TASK_SHUTDOWN_TIMEOUT` to finish. May be called in async and sync code; outside
        of requests, hooks and tasks it is run when the app is started.

        :param args: handed to the function, as are `kwargs`.
        :raises QueueFull: (503) if there are `BACKGROUND_TASK_LIMIT` tasks already.
        """
        self._background.add(partial(func, *args, **kwargs) if args or kwargs else func)

    @t.overload
    def background_task(self, func: F, /) -> F: ...

    @t.overload
    def background_task(
        self, *, name: str | None = None, restart: Restart = "on-error"
    ) -> Callable[[F], F]: ...

    @setupmethod
    def background_task(
        self, func: F | None = None, *, name: str | None = None, restart: Restart = "on-error"
    ) -> t.Any:
        """Run a function, ``def`` or ``async def``, for as long as the app is served.

        ::

            @app.background_task(name="poller", restart="always")
            async def poll():
                async for job in queue:
                    await work_on(job)

        It is started in each server process after the `before_serving` functions, in a context of
        the app of its own, and cancelled when the app has served its last request.

        :param name: what the log and `background_tasks` call it; by default the function's name.
        :param restart: when it is run again after it has ended: ``"on-error"``, ``"always"``, or
            ``"never"``. After a failure it pauses, longer with each further one, from
            `BACKGROUND_RESTART_DELAY` up to `BACKGROUND_RESTART_MAX_DELAY` seconds.
        :raises ValueError: if `restart` is none of these.
        """
        if restart not in _POLICIES:
            raise ValueError(f"restart={restart!r} is not known; it is one of {_POLICIES}.")

        def register(func: F) -> F:
            self._background.lasting.append((func, name or name_of(func), restart))
            return func

        return register if func is None else register(func)

    @property
    def background_tasks(self) -> tuple[BackgroundTask, ...]:
        """The background tasks that have not ended, the oldest first: for a health view."""
        return self._background.tasks()

    async def handle_background_exception(self, error: BaseException) -> None:
        """Log what a background task has raised; override it, also as ``def``, to do more.

        It runs in the task's context, before the teardown functions.

        :param error: the very exception.
        """
        self.logger.error(f"Exception in the background task {current_name()!r}", exc_info=error)

    def _note_first_request(self) -> None:
        """End the setup; say so if there are hooks that have not run, as under a WSGI server."""
        self._got_first_request = True
        hooks = self.before_serving_funcs or self.while_serving_gens or self._lifespan
        if not self._was_started and (hooks or self._background.lasting):
            self.logger.warning(
                "The app has been asked before it was started: its before_serving and while_serving"
                " hooks, its lifespan and its lasting background tasks have not run. They need a"
                " server that drives the ASGI lifespan, or 'async with app.async_client()' in a"
                " test; WSGI has none."
            )
