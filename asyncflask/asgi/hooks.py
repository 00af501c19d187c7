"""The app's own part of its lifespan, on the event loop that serves it.

In order: the context manager that `Flask` was given as ``lifespan``, the `while_serving` generators
up to their ``yield``, the `before_serving` functions. In the end the reverse: the `after_serving`
functions, the last one first, the rest of the generators, the context manager. All of them run in
the task that drives the lifespan, so that task groups may be held open meanwhile; and in a context
of the app, one for the start and one for the end.

Whatever was entered is left, whoever fails. The `after_serving` functions run if the start got as
far as the last `before_serving` function.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Coroutine, Mapping

import anyio

from ..dispatch.outside import Outside, name_of, place_of
from ..dispatch.teardown import raise_collected
from ..drivers import LoopDriver
from ..loops import is_being_cancelled

T = t.TypeVar("T")
#: Leaves what was entered; given the error that ends the lifespan early, if any.
Leave = Callable[[LoopDriver, BaseException | None], Coroutine[t.Any, t.Any, None]]

_END: t.Any = object()


class Hooks:
    """What the app does when it is started and when it is shut down; an async context manager.

    :param app: the app.
    :param state: the lifespan's state; None if the server has none.
    """

    def __init__(self, app: t.Any, state: dict[str, t.Any] | None) -> None:
        self._app, self._state = app, state
        self._entered: list[Leave] = []

    async def __aenter__(self) -> None:
        app = self._app
        try:
            if app._lifespan or app.while_serving_gens or app.before_serving_funcs:
                async with Outside(app) as driver:
                    await self._start(driver)
        except BaseException as error:
            for another in await self._leave_all(error):
                self._log(another)
            raise
        self._entered.extend(_after(func) for func in app.after_serving_funcs)

    async def __aexit__(self, kind: t.Any, error: BaseException | None, trace: t.Any) -> None:
        failed = await self._leave_all(error)
        cancelled = [one for one in failed if isinstance(one, anyio.get_cancelled_exc_class())]
        for another in failed if cancelled else ():
            self._log(another)
        raise_collected(cancelled[:1] or failed, "Several hooks failed when the app was shut down.")

    async def _leave_all(self, error: BaseException | None) -> list[BaseException]:
        """Leave what was entered; return what that has raised, `error` left out."""
        failed: list[BaseException] = []
        if self._entered:
            try:
                async with Outside(self._app) as driver:
                    while self._entered:
                        try:
                            await self._entered.pop()(driver, error)
                        except BaseException as raised:
                            failed.append(raised)
            except BaseException as raised:  # a teardown function did
                failed.append(raised)
        return [one for one in failed if one is not error]

    def _log(self, error: BaseException) -> None:
        if isinstance(error, Exception):
            self._app.logger.error("A hook failed when the app was shut down.", exc_info=error)

    async def _start(self, driver: LoopDriver) -> None:
        app = self._app
        if app._lifespan is not None:
            await _told("lifespan", app._lifespan, self._enter_lifespan())
        for func in app.while_serving_gens:
            await _told("while_serving", func, self._enter_generator(driver, func))
        for func in app.before_serving_funcs:
            await _told("before_serving", func, _called(driver, func))

    async def _enter_lifespan(self) -> None:
        manager = self._app._lifespan(self._app)
        if not hasattr(manager, "__aenter__"):
            raise TypeError(
                "Flask(lifespan=...) needs a function that takes the app and returns an async"
                f" context manager, not {type(manager).__name__}. Put @asynccontextmanager above an"
                " 'async def' with one 'yield'."
            )
        self._keep(await manager.__aenter__())

        async def leave(driver: LoopDriver, error: BaseException | None) -> None:
            trace = None if error is None else error.__traceback__
            await manager.__aexit__(None if error is None else type(error), error, trace)

        self._entered.append(_leaving("lifespan", self._app._lifespan, leave))

    async def _enter_generator(self, driver: LoopDriver, func: t.Any) -> None:
        steps = _Steps(await driver.call(func))
        value = await steps.next(driver)
        if value is _END:
            raise RuntimeError("It has ended without a 'yield', where the app is to be served.")

        async def leave(driver: LoopDriver, error: BaseException | None) -> None:
            if await steps.next(driver) is not _END:
                await steps.close(driver)
                raise RuntimeError("It has a second 'yield'. Only one has a meaning.")

        self._entered.append(_leaving("while_serving", func, leave))
        self._keep(value)

    def _keep(self, value: t.Any) -> None:
        """Put what was yielded where requests find it."""
        if value is None:
            return
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise TypeError(
                f"It has yielded {value!r}. What is yielded becomes the state of the app and of its"
                " requests: a mapping from names to values, or None."
            )
        vars(self._app.state).update(value)
        if self._state is not None:
            self._state.update(value)


async def _called(driver: LoopDriver, func: t.Any) -> None:
    await driver.call(func)


class _Steps:
    """A generator of either kind, taken step by step."""

    def __init__(self, generator: t.Any) -> None:
        self._generator = generator
        self._is_async = hasattr(generator, "__anext__")
        if not (self._is_async or hasattr(generator, "__next__")):
            hint = ""
            if hasattr(generator, "__aenter__") or hasattr(generator, "__enter__"):
                hint = " Leave out the decorator that makes a context manager of it."
            raise TypeError(
                f"It has returned {type(generator).__name__}, where a generator is needed: a"
                f" function with one 'yield'.{hint}"
            )

    async def next(self, driver: LoopDriver) -> t.Any:
        if self._is_async:
            return await anext(self._generator, _END)
        return await driver.call(next, self._generator, _END)

    async def close(self, driver: LoopDriver) -> None:
        if self._is_async:
            await self._generator.aclose()
        else:
            await driver.call(self._generator.close)


def _after(func: t.Any) -> Leave:
    async def leave(driver: LoopDriver, error: BaseException | None) -> None:
        await driver.call(func)

    return _leaving("after_serving", func, leave)


def _leaving(kind: str, func: t.Any, leave: Leave) -> Leave:
    """Return what leaves a part, and says which one it was that failed."""

    async def told(driver: LoopDriver, error: BaseException | None) -> None:
        await _told(kind, func, leave(driver, error))

    return told


async def _told(kind: str, func: t.Any, step: Coroutine[t.Any, t.Any, T]) -> T:
    """Await a step of a hook; note on what it raises which hook it was."""
    try:
        return await step
    except anyio.get_cancelled_exc_class() as cancelled:
        if is_being_cancelled():
            raise
        error = RuntimeError("It was cancelled, and not by who ends the app.")
        error.add_note(_note(kind, func))
        raise error from cancelled
    except BaseException as error:
        if _note(kind, func) not in getattr(error, "__notes__", ()):
            error.add_note(_note(kind, func))
        raise


def _note(kind: str, func: t.Any) -> str:
    return f"Raised by the {kind} hook {name_of(func)}{place_of(func)}."
