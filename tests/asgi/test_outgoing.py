"""A streamed body on its way: in order, in its context, and without keeping the loop to itself."""

from __future__ import annotations

import contextvars
import sys
import typing as t
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asyncflask import Flask
from asyncflask.asgi import outgoing
from asyncflask.asgi.ends import StreamEnd
from asyncflask.asgi.outgoing import Outgoing
from asyncflask.encoders import AsyncEncoded

pytestmark = pytest.mark.anyio

var: contextvars.ContextVar[str] = contextvars.ContextVar("outgoing", default="outer")


@pytest.fixture(autouse=True)
def slow_machines_are_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "SLICE", 1000.0)


class Server:
    """Takes the messages; waits with each if told to."""

    def __init__(self, waits: bool = False) -> None:
        self.bodies: list[bytes] = []
        self.contexts: list[str] = []
        self.busy = False
        self._waits = waits

    async def send(self, message: t.Any) -> None:
        assert not self.busy, "two messages at the same time"
        self.busy = True
        if self._waits:
            await checkpoint()
        self.contexts.append(var.get())
        self.bodies.append(message["body"])
        self.busy = False


def sender(server: Server, **options: t.Any) -> tuple[Outgoing, StreamEnd]:
    """Return what sends to a server, and an end that does not come."""
    made = Outgoing(contextvars.copy_context(), server.send, **options)
    return made, StreamEnd(Flask("outgoing"), endless=False)


async def numbers(count: int) -> AsyncIterator[str]:
    for number in range(count):
        yield str(number)


@pytest.mark.parametrize("waits", [False, True])
async def test_all_of_it_in_order_and_its_end_in_the_servers_context(waits: bool) -> None:
    server = Server(waits)
    sent, end = sender(server)
    var.set("handler")
    await sent.send(numbers(3), end)
    assert b"".join(server.bodies) == b"012"
    assert server.contexts == ["handler"] * (len(server.bodies) - 1) + ["outer"]
    assert end.complete


async def test_what_comes_without_a_wait_travels_together(anyio_backend_name: str) -> None:
    server = Server()
    sent, end = sender(server)
    await sent.send(numbers(5), end)
    one_by_one = [b"0", b"1", b"2", b"3", b"4", b""]
    assert server.bodies == ([b"0", b"1234"] if anyio_backend_name == "asyncio" else one_by_one)


async def test_nothing_is_held_while_the_body_waits() -> None:
    server = Server()
    sent, end = sender(server)

    async def pieces() -> AsyncIterator[str]:
        for number in range(0, 9, 3):
            yield f"{number}"
            yield f"{number + 1}"
            yield f"{number + 2}"
            await checkpoint()
            assert b"".join(server.bodies).endswith(b"%d" % (number + 2))

    await sent.send(pieces(), end)
    assert b"".join(server.bodies) == b"012345678"


async def test_no_more_is_held_than_servers_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "HOLD_BYTES", 3)
    server = Server()
    sent, end = sender(server)
    await sent.send(numbers(9), end)
    assert b"".join(server.bodies) == b"012345678"
    assert max(map(len, server.bodies)) <= 3


async def test_a_piece_that_was_sent_is_gone_before_the_next() -> None:
    class Forgetful(Server):
        async def send(self, message: t.Any) -> None:
            self.bodies.append(b"")

    counts: list[int] = []

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(4):
            piece = b"%d" % number * outgoing.HOLD_BYTES
            yield piece
            counts.append(sys.getrefcount(piece))

    sent, end = sender(Forgetful())
    await sent.send(pieces(), end)
    assert counts == [2] * 4  # its name in the generator, and what counts it


async def test_a_large_piece_is_not_copied() -> None:
    large = b"x" * outgoing.HOLD_BYTES

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        yield b"small"
        yield large
        yield b"last"

    server = Server()
    sent, end = sender(server)
    await sent.send(pieces(), end)
    assert b"".join(server.bodies) == b"firstsmall" + large + b"last"
    assert any(body is large for body in server.bodies)


async def test_a_buffer_may_be_written_to_again() -> None:
    async def pieces() -> AsyncIterator[bytearray | memoryview]:
        buffer = bytearray(1)
        for number in b"abcd":
            buffer[0] = number
            yield buffer
            yield memoryview(buffer)

    server = Server()
    sent, end = sender(server)
    await sent.send(pieces(), end)
    assert b"".join(server.bodies) == b"aabbccdd"


async def test_what_is_no_piece_is_refused() -> None:
    async def pieces() -> AsyncGenerator[t.Any, None]:
        yield 5

    sent, end = sender(Server())
    async with aclosing(pieces()) as body:
        with pytest.raises(TypeError, match="bytes-like"):
            await sent.send(body, end)


async def test_empty_pieces_are_left_out() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"", b"x", b""):
            yield piece

    server = Server()
    sent, end = sender(server)
    await sent.send(pieces(), end)
    assert server.bodies == [b"x", b""]


@pytest.mark.parametrize("waits", [False, True])
async def test_others_get_their_turn(waits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "SLICE", -1.0)
    server = Server(waits)
    sent, end = sender(server)
    seen: list[int] = []

    async def other() -> None:
        while len(server.bodies) < 50:
            seen.append(len(server.bodies))
            await checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        await sent.send(numbers(50), end)
    assert len(set(seen)) > 10


class Turns(list[str]):
    """The turns that a body has others take."""

    def __init__(self, sent: Outgoing) -> None:
        sent.loop.turn = self.turn

    async def turn(self) -> None:
        self.append("turn")


async def test_a_body_gives_others_their_turn_when_its_slice_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outgoing, "SLICE", 1000.0)
    sent, end = sender(Server())
    turns = Turns(sent)
    await sent.send(numbers(100), end)
    assert turns == []


async def test_pieces_that_are_work_go_one_by_one_and_others_get_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outgoing, "SLICE", -1.0)  # every piece takes longer
    server = Server()
    sent, end = sender(server)
    turns = Turns(sent)
    await sent.send(numbers(5), end)
    assert server.bodies == [b"0", b"1", b"2", b"3", b"4", b""]
    assert len(turns) == 5


async def test_a_body_without_a_wait_begins_nothing() -> None:
    begun: list[str] = []
    sent, end = sender(Server(), begin=lambda: begun.append("begun"))
    await sent.send(numbers(5), end)
    assert begun == []


async def test_a_wait_of_the_server_is_one() -> None:
    begun: list[str] = []
    sent, end = sender(server := Server(), begin=lambda: begun.append("begun"))
    accept = server.send

    async def send(message: t.Any) -> None:
        event = anyio.Event()
        sent.loop.call_in_next_turn(event.set)
        await event.wait()
        await accept(message)

    sent._send = send
    await sent.send(numbers(5), end)
    assert begun == ["begun"]


@pytest.mark.parametrize("lasts", [False, True])
async def test_turns_are_no_wait_before_there_are_some(
    lasts: bool, monkeypatch: pytest.MonkeyPatch, anyio_backend_name: str
) -> None:
    """On trio everything is begun at once, so that it is all the same there."""
    monkeypatch.setattr(outgoing, "SLICE", -1.0)
    begun: list[str] = []
    sent, end = sender(Server(), begin=lambda: begun.append("begun"))
    await sent.send(numbers(outgoing.TURNS_ALONE + lasts), end)
    assert begun == ["begun"] * (lasts or anyio_backend_name == "trio")


@pytest.mark.parametrize("waits", [False, True])
async def test_an_error_of_the_body_is_raised_behind_what_it_gave(waits: bool) -> None:
    async def failing() -> AsyncIterator[str]:
        yield "one,"
        yield "two,"
        yield "three"
        if waits:
            await checkpoint()
        raise LookupError("behind")

    server = Server()
    sent, end = sender(server)
    with pytest.raises(LookupError, match="behind"):
        await sent.send(failing(), end)
    assert b"".join(server.bodies) == b"one,two,three"
    assert not end.complete


async def test_nothing_is_sent_once_the_client_has_left() -> None:
    server = Server()
    sent, end = sender(server)

    async def leaving() -> AsyncGenerator[str, None]:
        yield "before"
        end.leave()
        yield "after"

    async with aclosing(leaving()) as body:
        await sent.send(body, end)
    assert server.bodies == [b"before"]
    assert not end.complete


async def test_nothing_is_sent_after_the_shutdown_but_the_end() -> None:
    server = Server()
    sent, end = sender(server)
    end.stop()
    await sent.send(numbers(3), end)
    assert server.bodies == []
    await sent.finish()
    assert server.bodies == [b""]


@pytest.mark.parametrize("waits", [False, True])
async def test_pings_and_pieces_never_meet(waits: bool) -> None:
    server = Server(waits)
    sent, end = sender(server, keep_alive=(1e-6, b"ping"))

    async def slow() -> AsyncIterator[str]:
        for number in range(20):
            await checkpoint()
            yield str(number)
        while b"ping" not in server.bodies:
            await checkpoint()

    assert sent.beat is not None
    async with anyio.create_task_group() as group:
        group.start_soon(sent.beat.run)
        await sent.send(slow(), end)
        group.cancel_scope.cancel()
    pieces = [body for body in server.bodies if body != b"ping"]
    assert b"".join(pieces) == b"".join(b"%d" % number for number in range(20))


async def test_items_are_encoded_on_the_way_and_closed_once() -> None:
    closed: list[str] = []

    async def items() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append("closed")

    made = AsyncEncoded(items(), lambda item: b"<%d>" % item)
    server = Server()
    sent, end = sender(server)
    await sent.send(made, end)
    await made.aclose()
    await made.aclose()
    assert b"".join(server.bodies) == b"<1><2>"
    assert closed == ["closed"]


async def test_nothing_comes_of_items_that_were_closed() -> None:
    made = AsyncEncoded(numbers(3), str.encode)
    await made.aclose()
    server = Server()
    sent, end = sender(server)
    await sent.send(made, end)
    assert server.bodies == [b""]


class Clock:
    """Stands for a loop's timers, and for what runs beside the body."""

    def __init__(self, sent: Outgoing) -> None:
        self.timers: list[tuple[float, t.Callable[..., t.Any], tuple[t.Any, ...]]] = []
        self.cancelled = 0
        self.contexts: list[str] = []
        self.started: list[t.Any] = []
        sent.loop.is_asyncio = True
        sent.loop.call_later = self.call_later

    def call_later(self, seconds: float, func: t.Callable[..., t.Any], *args: t.Any) -> Clock:
        self.timers.append((seconds, func, args))
        self.contexts.append(var.get())
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    def strike(self) -> None:
        _, func, args = self.timers.pop()
        func(*args)


async def turned(sent: Outgoing) -> None:
    """Return when the loop has turned."""
    event = anyio.Event()
    sent.loop.call_in_next_turn(event.set)
    await event.wait()


async def test_a_stream_that_is_never_silent_costs_no_task() -> None:
    sent, end = sender(Server(), keep_alive=(1000.0, b"ping"))
    clock = Clock(sent)
    var.set("handler")
    assert sent.beat is not None
    await sent.beat.send({"body": b"first"})
    sent.break_silence(clock.started.append)
    await turned(sent)
    assert 0 < clock.timers[0][0] <= 1000
    await sent.beat.send({"body": b"second"})
    clock.strike()  # too early by now: it is set anew
    assert (len(clock.timers), clock.started, clock.cancelled) == (1, [], 0)
    assert clock.contexts == ["outer"] * 2
    await sent.send(numbers(2), end)
    assert (clock.started, clock.cancelled) == ([], 1)
    clock.strike()  # NOTE: trio does not cancel what was woken already
    assert (clock.timers, clock.started) == ([], [])


async def test_silence_is_broken_by_a_task() -> None:
    sent, _ = sender(Server(), keep_alive=(0.000_001, b"ping"))
    clock = Clock(sent)
    assert sent.beat is not None
    sent.break_silence(clock.started.append)
    await turned(sent)
    assert (clock.timers, clock.started) == ([], [sent.beat.run])
    sent.end()
    assert clock.cancelled == 0


async def test_without_pings_nothing_watches_for_silence() -> None:
    sent, _ = sender(Server())
    clock = Clock(sent)
    sent.break_silence(clock.started.append)
    await turned(sent)
    assert (clock.timers, clock.started) == ([], [])
