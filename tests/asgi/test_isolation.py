"""The server's calls run in the server's context variables, step by step."""

from __future__ import annotations

import asyncio
import contextvars
import typing as t

import anyio
import anyio.lowlevel
import pytest
from anyio import wait_all_tasks_blocked

from asyncflask.asgi.isolation import InContext

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
