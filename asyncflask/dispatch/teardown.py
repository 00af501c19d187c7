"""The end of a context: teardown functions, signals, and what the request opened."""

from __future__ import annotations

import typing as t
from functools import partial

from ..ctx import AppContext
from ..drivers import Driver, ThreadDriver
from ..signals import appcontext_popped, appcontext_tearing_down
from .steps import notify, step

#: The parts of an end: what to call and await for each, and its arguments.
Parts = t.Iterator[tuple[t.Any, ...]]

#: To be awaited. PERF: what makes one and does no more need be none itself: 1 us a request.
End = t.Coroutine[t.Any, t.Any, None]


def end(ctx: AppContext, driver: Driver, error: BaseException | None) -> End:
    """Run the teardown functions, all of them, and close what the request opened.

    :raises BaseException: what one of them raised; several come in a group.
    """
    return _all(_parts(ctx, driver, error))


def _parts(ctx: AppContext, driver: Driver, error: BaseException | None) -> Parts:
    if ctx.has_request:
        yield step(ctx, "do_teardown_request", teardown_request), ctx, driver, error
        if ctx.request.is_open:
            yield driver.call, ctx.request.close
    if ctx._shared is None:
        yield step(ctx, "do_teardown_appcontext", teardown_appcontext), ctx, driver, error
        if appcontext_popped.receivers:
            yield notify, appcontext_popped, ctx, driver


def has_end(ctx: AppContext) -> bool:
    """Whether the end of a request has anything to do."""
    app, kind = ctx.app, ctx.kind
    return bool(
        getattr(app, kind.teardown)
        or app.teardown_appcontext_funcs
        or app._overridden
        or kind.tearing_down.receivers
        or appcontext_tearing_down.receivers
        or appcontext_popped.receivers
        or ctx.request.is_open
    )


async def finish(ctx: AppContext, driver: Driver, error: BaseException | None) -> None:
    """`end` for a handled request: an error that the app wants ignored is not passed on.

    Nothing interrupts what runs in a thread meanwhile.
    """
    if not has_end(ctx):
        return
    if error is not None and ctx.app.should_ignore_error(error):
        error = None
    before = driver.shield(True)
    try:
        await _all(_parts(ctx, driver, error))
    finally:
        driver.shield(before)


def teardown_request(ctx: AppContext, driver: Driver, error: BaseException | None) -> End:
    """Run the functions registered with `teardown_request`."""
    return _all(_parts_of_request(ctx, driver, error))


def _parts_of_request(ctx: AppContext, driver: Driver, error: BaseException | None) -> Parts:
    kind = ctx.kind
    registered = getattr(ctx.app, kind.teardown)
    if registered:
        for name in (*ctx.request.blueprints, None):
            for func in reversed(registered.get(name, ())):
                yield driver.call, func, error
    if kind.tearing_down.receivers:
        yield partial(notify, exc=error), kind.tearing_down, ctx, driver


def teardown_appcontext(ctx: AppContext, driver: Driver, error: BaseException | None) -> End:
    """Run the functions registered with `teardown_appcontext`."""
    return _all(_parts_of_appcontext(ctx, driver, error))


def _parts_of_appcontext(ctx: AppContext, driver: Driver, error: BaseException | None) -> Parts:
    for func in reversed(ctx.app.teardown_appcontext_funcs):
        yield driver.call, func, error
    if appcontext_tearing_down.receivers:
        yield partial(notify, exc=error), appcontext_tearing_down, ctx, driver


async def call_all(
    functions: t.Iterable[t.Callable[..., t.Any]], thread: ThreadDriver | None
) -> None:
    """Call the teardown functions of a request that went well, as the last of all that it does.

    Nothing interrupts those that run in a thread. On a loop, no thread is at work for it any more.

    :param functions: plain ones, to be called in this thread; or coroutine functions.
    :param thread: the driver of the plain ones; None for coroutine functions.
    :raises BaseException: what one of them raised; several come in a group.
    """
    if thread is not None:
        thread.shield(True)
    failed: list[BaseException] = []
    for func in functions:
        try:
            ended = func(None)
            if thread is None:
                await ended
            elif ended is not None:
                thread.settled(ended)
        except BaseException as error:
            failed.append(error)
    if failed:
        raise_collected(failed)


async def _all(parts: t.Iterable[tuple[t.Any, ...]]) -> None:
    """Await all parts, whatever they raise.

    :raises BaseException: what one of them raised; several come in a group.
    """
    failed: list[BaseException] = []
    for part, *args in parts:
        try:
            await part(*args)
        except BaseException as error:
            failed.append(error)
    raise_collected(failed)


def raise_collected(
    failed: list[BaseException], message: str = "Several teardown functions failed."
) -> None:
    """Raise what the callbacks raised: one as it is, several as a group."""
    if len(failed) == 1:
        raise failed[0]
    if failed:
        raise BaseExceptionGroup(message, failed)
