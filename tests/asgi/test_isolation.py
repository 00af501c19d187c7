"""The server's calls run in the server's context variables, step by step."""

from __future__ import annotations

import asyncio
import contextvars
import typing as t

import anyio
import anyio.lowlevel
import pytest
from anyio import wait_all_tasks_blocked

from asyncflask.asgi.isolation import OVER, InContext, Rest, put_into

var: contextvars.ContextVar[str] = contextvars.ContextVar("isolated", default="outer")

pytestmark = pytest.mark.anyio


def entry() -> contextvars.Context:
    return contextvars.copy_context()


async def test_every_step_sees_the_entrys_variables() -> None:
    seen: list[str] = []

    async def call(value: str) -> str:
        seen.append(var.get())
        await anyio.lowlevel.checkpoint()
        seen.append(var.get())
        return value

    wrapped = InContext(call, entry())
    var.set("handler")
    assert await wrapped("result") == "result"
    assert seen == ["outer", "outer"]
    assert var.get() == "handler"


async def test_errors_and_awaited_values_pass_through() -> None:
    async def call(fail: bool) -> list[int]:
        if fail:
            raise LookupError
        return [1]

    wrapped = InContext(call, entry())
    assert await wrapped(False) == [1]
    with pytest.raises(LookupError):
        await wrapped(True)


async def test_two_calls_may_wait_side_by_side() -> None:
    gates = {"a": anyio.Event(), "b": anyio.Event()}
    order: list[str] = []

    async def call(name: str) -> None:
        await gates[name].wait()
        order.append(name)

    wrapped = InContext(call, entry())

    async def task(name: str) -> None:
        await wrapped(name)

    async with anyio.create_task_group() as group:
        group.start_soon(task, "a")
        group.start_soon(task, "b")
        await wait_all_tasks_blocked()
        gates["b"].set()
        await wait_all_tasks_blocked()
        gates["a"].set()
    assert order == ["b", "a"]


async def test_cancellation_reaches_the_call() -> None:
    ended: list[str] = []

    async def call() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(var.get())

    wrapped = InContext(call, entry())
    var.set("handler")
    with anyio.move_on_after(0.01):
        await wrapped()
    assert ended == ["outer"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_tasks_started_by_the_call_take_the_entrys_variables() -> None:
    tasks: list[asyncio.Task[t.Any]] = []

    async def look() -> str:
        return var.get()

    async def send() -> None:
        tasks.append(asyncio.create_task(look()))

    wrapped = InContext(send, entry())
    var.set("handler")
    await wrapped()
    assert await tasks[0] == "outer"


class Awaitable:
    """What can be awaited, and is neither a coroutine nor a generator."""

    def __init__(self, waits: bool) -> None:
        self._waits = waits

    def __await__(self) -> t.Generator[t.Any, t.Any, str]:
        if self._waits:
            yield from anyio.lowlevel.checkpoint().__await__()
        return var.get()


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("is_coroutine", [False, True])
async def test_the_first_step_says_whether_it_was_all(is_coroutine: bool, waits: bool) -> None:
    async def call() -> str:
        return await Awaitable(waits)

    got: list[str] = []
    context = entry()
    var.set("handler")
    steps = put_into(got, call if is_coroutine else lambda: Awaitable(waits))
    waits_for = context.run(next, steps, OVER)
    assert (waits_for is OVER, got) == (not waits, [] if waits else ["outer"])
    if waits:
        assert await Rest(context, steps, waits_for) == "outer"
    assert got == ["outer"]


async def test_an_error_of_the_first_step_is_raised() -> None:
    async def call() -> t.Any:
        raise LookupError

    got: list[t.Any] = []
    with pytest.raises(LookupError):
        entry().run(next, put_into(got, call), OVER)
    assert got == []
