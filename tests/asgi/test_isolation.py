"""The server's calls run in the server's context variables, step by step."""

from __future__ import annotations

import asyncio
import contextvars
import typing as t

import anyio
import anyio.lowlevel
import pytest
from anyio import wait_all_tasks_blocked

from asyncflask.asgi.isolation import InContext, starter

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


# One call after another


async def test_each_call_runs_in_the_context() -> None:
    seen: list[tuple[str, str]] = []

    async def call(value: str) -> None:
        if value == "waits":
            await anyio.lowlevel.checkpoint()
        seen.append((value, var.get()))

    start = starter(entry(), call)
    var.set("handler")
    assert start("at once") is None
    rest = start("waits")
    assert rest is not None
    await rest
    assert start("again") is None
    assert seen == [("at once", "outer"), ("waits", "outer"), ("again", "outer")]


@pytest.mark.parametrize("waits", [False, True])
async def test_a_call_that_failed_is_not_the_last(waits: bool) -> None:
    done: list[int] = []

    async def call(value: int) -> None:
        if waits:
            await anyio.lowlevel.checkpoint()
        if value == 1:
            raise LookupError(value)
        done.append(value)

    start = starter(entry(), call)

    async def finish(value: int) -> None:
        rest = start(value)
        if rest is not None:
            await rest

    await finish(0)
    with pytest.raises(LookupError):
        await finish(1)
    await finish(2)
    assert done == [0, 2]


async def test_a_call_that_was_cancelled_is_not_the_last() -> None:
    done: list[str] = []

    async def call(value: str) -> None:
        if value == "long":
            await anyio.sleep_forever()
        done.append(value)

    start = starter(entry(), call)
    with anyio.move_on_after(0.001) as scope:
        rest = start("long")
        assert rest is not None
        await rest
    assert scope.cancelled_caught
    assert start("short") is None
    assert done == ["short"]


async def test_any_function_will_do_whose_result_can_be_awaited() -> None:
    seen: list[str] = []

    class Sent:
        def __await__(self) -> t.Generator[t.Any, t.Any, None]:
            seen.append(var.get())
            yield from anyio.lowlevel.checkpoint().__await__()

    def call(value: str) -> Sent:
        seen.append(value)
        return Sent()

    start = starter(entry(), call)
    var.set("handler")
    for value in ("one", "two"):
        rest = start(value)
        assert rest is not None
        await rest
    assert seen == ["one", "outer", "two", "outer"]
