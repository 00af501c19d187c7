"""The two drivers: how handlers of either kind are called, on the loop and in a thread."""

from __future__ import annotations

import functools
import sys
import threading
import typing as t
from collections.abc import AsyncIterator

import pytest

from asyncflask import Flask
from asyncflask.drivers import (
    LoopDriver,
    ThreadDriver,
    drive,
    is_async,
    is_awaitable,
    stays_on_loop,
)


async def coroutine(value: int = 1) -> int:
    return value


def plain(value: int = 1) -> int:
    return value


async def generator() -> AsyncIterator[int]:
    yield 1


class Handler:
    async def __call__(self) -> int:
        return 1

    async def method(self) -> int:
        return 1

    def other(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("func", "expected"),
    [
        (coroutine, True),
        (plain, False),
        (functools.partial(coroutine, 2), True),
        (functools.partial(plain, 2), False),
        (functools.partial(Handler()), True),
        (Handler(), True),
        (Handler().method, True),
        (Handler().other, False),
        (Handler, False),
        (len, False),
        (lambda: coroutine(), False),
        (generator, False),
    ],
)
def test_what_counts_as_async(func: t.Any, expected: bool) -> None:
    assert is_async(func) is expected


@pytest.mark.skipif(sys.version_info < (3, 12), reason="markcoroutinefunction is new in 3.12")
def test_a_marked_function_counts_as_async() -> None:
    import inspect

    mark = getattr(inspect, "markcoroutinefunction")  # noqa: B009
    assert is_async(mark(lambda: coroutine()))


def test_an_async_generator_function_needs_no_thread() -> None:
    assert stays_on_loop(generator)
    assert not stays_on_loop(plain)


def test_what_is_awaited() -> None:
    made = coroutine()
    assert is_awaitable(made)
    made.close()
    assert not is_awaitable("text")
    assert not is_awaitable(number for number in range(3))


def thread() -> int:
    return threading.get_ident()


async def thread_of_loop() -> int:
    return threading.get_ident()


def test_the_thread_driver_calls_here_and_sends_coroutines_to_a_loop() -> None:
    driver = ThreadDriver(Flask("a"))
    assert drive(driver.call(plain, 5)) == 5
    assert drive(driver.call(coroutine, 6)) == 6
    assert drive(driver.call(lambda: coroutine(7))) == 7
    assert drive(driver.call(thread)) == thread()
    assert drive(driver.call(thread_of_loop)) != thread()


def test_driving_what_waits_for_a_loop_is_refused() -> None:
    class Suspend:
        def __await__(self) -> t.Generator[None, None, None]:
            yield

    async def wait() -> None:
        await Suspend()

    with pytest.raises(RuntimeError, match="async_to_sync"):
        drive(wait())


async def test_the_loop_driver_awaits_here_and_sends_plain_functions_to_one_thread() -> None:
    app = Flask("a")
    driver = LoopDriver(app)
    assert await driver.call(coroutine, 5) == 5
    assert driver.lane is None
    assert await driver.call(plain, 6) == 6
    assert await driver.call(lambda: coroutine(7)) == 7
    assert await driver.call(thread_of_loop) == thread()
    assert await driver.call(thread) == await driver.call(thread) != thread()
    driver.close()
    await app._budgets.close()


async def test_a_handler_finds_the_error_that_it_handles() -> None:
    app = Flask("a")
    error = LookupError("x")

    def sync_handler() -> t.Any:
        return sys.exc_info()[1]

    async def async_handler() -> t.Any:
        return sys.exc_info()[1]

    loop_driver, thread_driver = LoopDriver(app), ThreadDriver(app)
    try:
        raise error
    except LookupError:
        assert await loop_driver.call_handling(error, sync_handler) is error
        assert await loop_driver.call_handling(error, async_handler) is error
        assert drive(thread_driver.call_handling(error, sync_handler)) is error
    loop_driver.close()
    await app._budgets.close()


def test_an_app_that_has_its_own_way_with_functions_is_asked_about_plain_ones() -> None:
    class Noting(Flask):
        def ensure_sync(self, func: t.Any) -> t.Any:
            asked.append(func)
            return super().ensure_sync(func)

    asked = list[t.Any]()
    assert drive(ThreadDriver(Noting("app")).call(plain, 3)) == 3
    assert asked == [plain]
    app = Flask("app")
    app.ensure_sync = lambda func: lambda value: -value  # type: ignore[method-assign]
    assert drive(ThreadDriver(app).call(plain, 3)) == -3


async def test_a_call_on_the_loop_is_the_handlers_own_coroutine() -> None:
    called = LoopDriver(Flask("app")).call(coroutine, 4)
    assert called.cr_code is coroutine.__code__  # type: ignore[attr-defined]
    assert await called == 4
    with pytest.raises(TypeError):
        await LoopDriver(Flask("app")).call(coroutine, 4, 5)
