"""Who reads a body gets all of it, also while somebody else waits for the client to leave."""

from __future__ import annotations

import typing as t

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from asyncflask.asgi import arrivals
from asyncflask.asgi.arrivals import Arrivals

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)

Message = t.MutableMapping[str, t.Any]

GONE: Message = {"type": "http.disconnect"}


class Server:
    """Gives messages as it is told to.

    :param count: how many parts of a body are there already.
    :param ended: whether the last of them is the end.
    """

    def __init__(self, count: int, *, ended: bool = False) -> None:
        self.waiting = [part(number, ended and number == count - 1) for number in range(count)]
        self.given, self.news = 0, anyio.Event()

    def say(self, message: Message) -> None:
        self.waiting.append(message)
        self.news.set()

    async def receive(self) -> Message:
        while not self.waiting:
            self.news = anyio.Event()
            await self.news.wait()
        self.given += 1
        return self.waiting.pop(0)


def part(number: int, last: bool = False) -> Message:
    return {"type": "http.request", "body": b"%d" % number, "more_body": not last}


async def test_reader_alone() -> None:
    server = Server(3)
    source = Arrivals(server.receive)
    assert [(await source())["body"] for _ in range(3)] == [b"0", b"1", b"2"]


async def test_nothing_is_taken_from_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "FIRST_PAUSE", 0)
    server = Server(100)
    server.say(GONE)
    source = Arrivals(server.receive)
    await source.departure()
    assert server.given == 101
    assert [(await source()).get("body") for _ in range(101)] == [
        *(b"%d" % number for number in range(100)),
        None,
    ]


async def test_end_of_the_body_is_passed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "FIRST_PAUSE", 3600)
    server = Server(1, ended=True)
    server.say(GONE)
    with anyio.fail_after(10):
        await Arrivals(server.receive).departure()


async def test_body_that_nobody_reads_is_left_with_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arrivals, "FIRST_PAUSE", 3600)
    server = Server(100)
    async with anyio.create_task_group() as group:
        group.start_soon(Arrivals(server.receive).departure)
        await wait_all_tasks_blocked()
        assert server.given == 1
        group.cancel_scope.cancel()


async def test_reader_that_waits_gets_what_the_other_receives() -> None:
    server = Server(0)
    source = Arrivals(server.receive)
    got: list[Message] = []

    async def read() -> None:
        while (message := await source())["type"] == "http.request":
            got.append(message)

    async with anyio.create_task_group() as group:
        group.start_soon(source.departure)
        await wait_all_tasks_blocked()
        group.start_soon(read)
        await wait_all_tasks_blocked()
        for number in range(10):
            server.say(part(number, number == 9))
            await wait_all_tasks_blocked()
        server.say(GONE)
    assert [message["body"] for message in got] == [b"%d" % number for number in range(10)]
    assert server.given == 11


async def test_departure_that_is_not_awaited_any_more_takes_nothing_along() -> None:
    server = Server(0)
    source = Arrivals(server.receive)
    async with anyio.create_task_group() as group:
        group.start_soon(source.departure)
        await wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    server.say(part(1))
    assert (await source())["body"] == b"1"


async def test_news_is_for_both_whoever_hears_it() -> None:
    """A server says once that the client has left."""
    server = Server(0)
    source = Arrivals(server.receive)
    server.say(GONE)
    with anyio.fail_after(10):
        assert [await source() for _ in range(2)] == [GONE, GONE]
        await source.departure()
        assert await source() == GONE
    assert server.given == 1


async def test_what_was_passed_over_is_read_while_somebody_waits_for_the_end() -> None:
    server = Server(2, ended=True)
    source = Arrivals(server.receive)
    async with anyio.create_task_group() as group:
        group.start_soon(source.departure)
        for _ in range(10):
            await wait_all_tasks_blocked()
            await anyio.sleep(arrivals.FIRST_PAUSE / 4)
        assert server.waiting == []  # it has all, and waits for more
        with anyio.fail_after(10):
            assert [(await source())["body"] for _ in range(2)] == [b"0", b"1"]
        group.cancel_scope.cancel()


async def test_has_left_waits_for_nothing() -> None:
    server = Server(0)
    source = Arrivals(server.receive)
    assert await source.has_left() is False
    server.say(GONE)
    assert await source.has_left() is True
    assert await source.has_left() is True
    assert server.given == 1


async def test_has_left_takes_nothing_from_the_reader() -> None:
    server = Server(3, ended=True)
    source = Arrivals(server.receive)
    assert await source.has_left() is False
    server.say(GONE)
    assert await source.has_left() is True
    assert [(await source())["body"] for _ in range(3)] == [b"0", b"1", b"2"]
    assert await source() == GONE


async def test_has_left_holds_back_a_client_whose_body_nobody_reads() -> None:
    server = Server(1000)
    server.say(GONE)
    source = Arrivals(server.receive)
    for _ in range(10):
        assert await source.has_left() is False
    assert server.given == arrivals.MOST_EARLY
    for _ in range(1000):
        await source()
    assert await source.has_left() is True


async def test_has_left_beside_a_reader_and_a_watcher() -> None:
    server = Server(0)
    source = Arrivals(server.receive)
    left = anyio.Event()
    read: list[Message] = []

    async def reader() -> None:
        read.append(await source())

    async with anyio.create_task_group() as group:
        group.start_soon(reader)
        await wait_all_tasks_blocked()
        assert await source.has_left() is False  # and the reader goes on waiting
        server.say(part(0, last=True))
        await wait_all_tasks_blocked()
        assert read == [part(0, last=True)]
        group.start_soon(source.watch, left.set)
        await wait_all_tasks_blocked()
        assert await source.has_left() is False
        server.say(GONE)
        await left.wait()
        assert await source.has_left() is True


async def test_has_left_over_a_channel_of_anyio(monkeypatch: pytest.MonkeyPatch) -> None:
    """As middleware and hypercorn have it: a message that is there may take a turn of the loop."""
    monkeypatch.setattr(arrivals, "A_TURN", 0.2)  # however busy the machine is
    send, receive = anyio.create_memory_object_stream[Message](3)
    source = Arrivals(receive.receive)
    async with send, receive:
        await send.send(part(0, last=True))
        assert await source.has_left() is False
        await send.send(GONE)
        assert await source.has_left() is True
        assert (await source())["body"] == b"0"
