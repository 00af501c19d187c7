"""Streams that the app's shutdown ends: in order, and only those that have no end of their own."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator, Iterator

import anyio
import anyio.lowlevel
import pytest

from asyncflask import EventSourceResponse, Flask, Response
from asyncflask.asgi.ends import StreamEnd

from ..scopes import scope

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)


class Served:
    """An app and one request of it, whose client stays."""

    def __init__(self) -> None:
        self.app = Flask("app")
        self.log: list[str] = []
        self.sent: list[dict[str, t.Any]] = []
        self.left = anyio.Event()
        self.received = 0

    async def receive(self) -> dict[str, t.Any]:
        self.received += 1
        if self.received == 1:
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, t.Any]) -> None:
        self.sent.append(message)
        await anyio.lowlevel.checkpoint()

    async def ask(self, path: str) -> None:
        await self.app(scope(path), self.receive, self.send)
        self.log.append("answered")

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def is_complete(self) -> bool:
        return not self.sent[-1].get("more_body", False)

    async def until_sent(self, chunk: bytes) -> None:
        with anyio.fail_after(10):
            while chunk not in self.body:
                await anyio.lowlevel.checkpoint()


def add_streams(served: Served) -> None:
    async def events() -> AsyncIterator[str]:
        try:
            yield "hello"
            await anyio.sleep_forever()
        finally:
            served.log.append("closed")

    def sync_events() -> Iterator[str]:
        try:
            yield "hello"
            served.app.async_to_sync(anyio.sleep_forever)()
        finally:
            served.log.append("closed")

    @served.app.get("/async")
    async def view() -> Response:
        return EventSourceResponse(events(), ping=None)

    @served.app.get("/ping")
    async def pinged() -> Response:
        return EventSourceResponse(events(), ping=0.001)

    @served.app.get("/sync")
    def sync_view() -> Response:
        return EventSourceResponse(sync_events(), ping=None)

    @served.app.get("/mixed")
    async def mixed_view() -> Response:
        return EventSourceResponse(sync_events(), ping=None)

    @served.app.get("/own")
    async def own_view() -> Response:
        response = Response(events())
        response.ends_at_shutdown = True
        return response

    @served.app.teardown_request
    def teardown(error: BaseException | None) -> None:
        served.log.append(f"torn down: {error}")


@pytest.mark.parametrize("path", ["/async", "/ping", "/sync", "/mixed", "/own"])
async def test_it_ends_as_if_by_itself(path: str) -> None:
    served = Served()
    add_streams(served)
    with served.app._shutdown.serving():
        async with anyio.create_task_group() as group:
            group.start_soon(served.ask, path)
            await served.until_sent(b"hello")
            assert not served.is_complete
            served.app._shutdown.begin()
    assert served.is_complete
    assert [message.get("more_body") for message in served.sent].count(False) == 1
    assert served.log == ["closed", "torn down: None", "answered"]
    await served.app._budgets.close()


async def test_one_that_begins_while_the_app_shuts_down_is_empty() -> None:
    served = Served()
    add_streams(served)
    with served.app._shutdown.serving():
        served.app._shutdown.begin()
        await served.ask("/async")
        await anyio.lowlevel.checkpoint()  # nothing was left to be cancelled here
    assert (served.body, served.is_complete) == (b"", True)
    await served.app._budgets.close()


async def test_a_body_with_an_end_comes_to_it() -> None:
    served = Served()
    go = anyio.Event()

    async def numbers() -> AsyncIterator[str]:
        yield "one,"
        await go.wait()
        yield "two"

    @served.app.get("/")
    async def view() -> AsyncIterator[str]:
        return numbers()

    with served.app._shutdown.serving():
        async with anyio.create_task_group() as group:
            group.start_soon(served.ask, "/")
            await served.until_sent(b"one")
            served.app._shutdown.begin()
            await anyio.wait_all_tasks_blocked()
            assert not served.is_complete
            go.set()
    assert (served.body, served.is_complete) == (b"one,two", True)


@pytest.mark.parametrize("order", ["stop leave", "leave stop"])
async def test_a_client_that_leaves_meanwhile_gets_nothing(order: str) -> None:
    served = Served()
    add_streams(served)
    with served.app._shutdown.serving():
        async with anyio.create_task_group() as group:
            group.start_soon(served.ask, "/async")
            await served.until_sent(b"hello")
            for step in order.split():
                (served.left.set if step == "leave" else served.app._shutdown.begin)()
    assert served.log == ["closed", "torn down: None", "answered"]
    assert [message.get("more_body") for message in served.sent].count(False) <= 1
    await served.app._budgets.close()


async def test_an_error_at_the_end_is_raised() -> None:
    served = Served()

    async def events() -> AsyncIterator[str]:
        try:
            yield "hello"
            await anyio.sleep_forever()
        finally:
            raise ValueError("cleaning up")

    @served.app.get("/")
    async def view() -> Response:
        return EventSourceResponse(events())

    raised: list[BaseException] = []

    async def ask() -> None:
        try:
            await served.ask("/")
        except ValueError as error:
            raised.append(error)

    with served.app._shutdown.serving():
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await served.until_sent(b"hello")
            served.app._shutdown.begin()
    assert [str(error) for error in raised] == ["cleaning up"]
    assert not served.is_complete


@pytest.mark.parametrize("pieces", [0, 1, 3])
async def test_a_body_that_begins_the_shutdown_itself_is_ended_where_it_waits(pieces: int) -> None:
    served = Served()

    async def events() -> AsyncIterator[str]:
        for number in range(pieces):
            yield str(number)
        served.app.shutdown_event.set()
        try:
            await anyio.sleep_forever()
        finally:
            served.log.append("closed")
        yield "never"

    @served.app.get("/")
    async def view() -> Response:
        return EventSourceResponse(events(), ping=None)

    with served.app._shutdown.serving(), anyio.fail_after(10):
        await served.ask("/")
    assert served.log == ["closed", "answered"]
    assert served.body == b"".join(b"data: %d\n\n" % number for number in range(pieces))
    assert served.is_complete


async def test_what_is_ending_already_is_not_interrupted_again() -> None:
    app = Flask("app")
    done: list[str] = []
    end = StreamEnd(app, endless=True)

    async def stream() -> None:
        with end:
            end.begin()
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.wait_all_tasks_blocked()
                done.append("cleaned up")

    with app._shutdown.serving():
        async with anyio.create_task_group() as group:
            group.start_soon(stream)
            await anyio.wait_all_tasks_blocked()
            end.leave()
            await anyio.lowlevel.checkpoint()
            app._shutdown.begin()
    assert done == ["cleaned up"]
    assert (end.gone, end.stopped) == (True, False)


async def test_a_client_that_leaves_behind_the_end_disturbs_no_closing() -> None:
    served, closed = Served(), list[str]()

    class Events:
        async def __aiter__(self) -> AsyncIterator[str]:
            yield "last"

        async def aclose(self) -> None:
            served.left.set()
            await anyio.wait_all_tasks_blocked()  # the client is seen to leave in here
            closed.append("closed")

    @served.app.get("/")
    async def view() -> EventSourceResponse:
        return EventSourceResponse(Events())

    await served.ask("/")
    assert served.is_complete
    assert closed == ["closed"]
