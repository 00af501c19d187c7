"""What a body has given is sent while it waits: both waits in one task, and neither ends the other.

On asyncio only: on trio, nothing is held that could be sent then.
"""

from __future__ import annotations

import asyncio
import contextvars
import typing as t
from collections.abc import AsyncGenerator, AsyncIterator

import anyio
import pytest

from asyncflask import Flask
from asyncflask.asgi import outgoing
from asyncflask.asgi.ends import StreamEnd
from asyncflask.asgi.outgoing import Outgoing
from asyncflask.asgi.putting import Putting


@pytest.fixture(autouse=True)
def slow_machines_are_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "SLICE", 1000.0)


class SlowServer:
    """Takes a message when it is told to go on."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.asked, self.go = asyncio.Event(), asyncio.Event()
        self.error: Exception | None = None
        self.left = False

    async def send(self, message: t.Any) -> None:
        if message["body"] == b"bc":  # what is held when the body waits
            self.asked.set()
            try:
                await self.go.wait()
            finally:
                self.left = True
            if self.error is not None:
                raise self.error
        self.bodies.append(message["body"])


def sender(server: SlowServer) -> tuple[Outgoing, StreamEnd]:
    made = Outgoing(contextvars.copy_context(), server.send)
    return made, StreamEnd(Flask("putting"), endless=False)


async def serve(server: SlowServer, body: AsyncGenerator[str, None]) -> None:
    sent, end = sender(server)
    try:
        await sent.send(body, end)
    finally:
        sent.end()
        await body.aclose()


async def test_a_body_that_is_ready_first_waits_for_what_was_sent_before() -> None:
    server, ready = SlowServer(), asyncio.Event()

    async def body() -> AsyncGenerator[str, None]:
        yield "a"
        yield "b"
        yield "c"
        await ready.wait()
        yield "d"

    task = asyncio.create_task(serve(server, body()))
    await server.asked.wait()
    ready.set()
    await asyncio.sleep(0)
    assert server.bodies == [b"a"]
    server.go.set()
    await task
    assert server.bodies == [b"a", b"bc", b"d"]


@pytest.mark.parametrize("way", ["asyncio", "anyio"])
async def test_a_timeout_of_the_bodys_own_is_its_own(way: str) -> None:
    """It ends the body's wait, and not the sending that goes on meanwhile."""
    server, log = SlowServer(), list[str]()

    async def body() -> AsyncGenerator[str, None]:
        yield "a"
        yield "b"
        yield "c"
        if way == "anyio":
            with anyio.move_on_after(0.001):
                await anyio.sleep_forever()
        else:
            try:
                async with asyncio.timeout(0.001):
                    await asyncio.Event().wait()
            except TimeoutError:
                pass
        log.append("timed out")
        server.go.set()
        yield "d"

    await asyncio.wait_for(serve(server, body()), 5)
    assert log == ["timed out"]
    assert server.bodies == [b"a", b"bc", b"d"]


async def test_a_task_that_the_body_waits_for_is_cancelled_with_it() -> None:
    server, log = SlowServer(), list[str]()

    async def beside() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log.append("beside")
            raise

    async def body() -> AsyncGenerator[str, None]:
        try:
            yield "a"
            yield "b"
            yield "c"
            await asyncio.create_task(beside())
        finally:
            log.append("closed")

    task = asyncio.create_task(serve(server, body()))
    await server.asked.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["beside", "closed"]
    assert server.left
    assert server.bodies == [b"a"]


async def test_what_the_body_waited_for_may_be_there_when_it_is_cancelled() -> None:
    server, ready, log = SlowServer(), asyncio.Event(), list[str]()

    async def body() -> AsyncGenerator[str, None]:
        yield "a"
        yield "b"
        yield "c"
        try:
            await ready.wait()
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    task = asyncio.create_task(serve(server, body()))
    await server.asked.wait()
    ready.set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["cancelled"]


@pytest.mark.parametrize("swallows", [False, True])
@pytest.mark.parametrize("at_once", [False, True])
async def test_a_body_ends_when_what_it_gave_cannot_be_sent(swallows: bool, at_once: bool) -> None:
    server, log = SlowServer(), list[str]()
    server.error = OSError("gone")
    if at_once:
        server.go.set()

    async def body() -> AsyncGenerator[str, None]:
        yield "a"
        yield "b"
        yield "c"
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log.append("cancelled")
            if not swallows:
                raise
        yield "never sent"

    task = asyncio.create_task(serve(server, body()))
    await server.asked.wait()
    server.go.set()
    with pytest.raises(OSError, match="gone"):
        await task
    assert log == ["cancelled"]
    assert server.bodies == [b"a"]


async def test_turns_and_results_of_what_is_sent() -> None:
    server = SlowServer()
    log: list[str] = []

    async def send(message: t.Any) -> None:
        await asyncio.sleep(0)
        done = asyncio.get_running_loop().create_future()
        done.set_exception(LookupError("known"))
        try:
            await done
        except LookupError:
            log.append("its error is its own")
        server.bodies.append(message["body"])

    async def body() -> AsyncIterator[str]:
        for letter in "abc":
            yield letter
        await asyncio.sleep(0.001)
        yield "d"

    sent = Outgoing(contextvars.copy_context(), send)
    await sent.send(body(), StreamEnd(Flask("putting"), endless=False))
    assert b"".join(server.bodies) == b"abcd"
    assert len(log) == len(server.bodies)


async def begun(coroutine: t.Coroutine[t.Any, t.Any, None]) -> Putting:
    return Putting(coroutine, coroutine.send(None))


async def test_the_rest_ends_with_who_awaits_it() -> None:
    log: list[str] = []

    async def waiting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            log.append("ended")

    async def rest() -> None:
        await (await begun(waiting())).rest()

    task = asyncio.create_task(rest())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["ended"]


async def test_a_task_that_is_dropped_closes_it() -> None:
    async def waiting() -> None:
        await asyncio.Event().wait()

    putting = await begun(waiting())
    steps = putting.meanwhile()
    next(steps)
    steps.close()
    assert not putting.over
    putting.close()
    assert putting.over
