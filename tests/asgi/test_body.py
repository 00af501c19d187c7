"""The body of a request over ASGI: who reads it where, and what is left of it afterwards."""

from __future__ import annotations

import gc
import tempfile
import threading
import typing as t
import weakref
from collections.abc import Iterator
from contextvars import ContextVar, copy_context

import anyio
import anyio.lowlevel
import pytest
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from asyncflask import Flask, request
from asyncflask.asgi.body import SMALL_BYTES, RequestBody
from asyncflask.asgi.body import body_of as made_of
from asyncflask.held import MEMORY_BYTES, Held, allowance
from asyncflask.workers import Lane

from ..scopes import scope
from .test_http import Exchange, Message, length, part

pytestmark = pytest.mark.anyio

var: ContextVar[str] = ContextVar("body", default="server")


def made(declared: int | None, receive: t.Any) -> RequestBody:
    """Return a body that comes from a `receive`."""
    return made_of(({}, receive, None, copy_context()), declared)


def body_of(*messages: Message, size: int | None = None) -> RequestBody:
    """Return a body; `size` is declared, or else the body is chunked."""
    return made(size, Exchange(*messages).receive)


@pytest.fixture
def app() -> Flask:
    return Flask("body")


@pytest.fixture
def no_gc() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


async def test_without_headers_that_speak_of_one_there_is_none() -> None:
    body = made(0, Exchange(part(b"never")).receive)
    assert (body.declared, body.complete) == (0, True)
    assert body.reader.read() == b""
    assert [chunk async for chunk in body.chunks()] == []


@pytest.mark.parametrize(
    ("declared", "limit", "is_read"),
    [
        (SMALL_BYTES, None, True),
        (SMALL_BYTES + 1, None, False),
        (10, 10, True),
        (10, 9, False),
        (None, None, False),
    ],
)
async def test_a_small_body_is_one_that_is_declared_to_be(
    declared: int | None, limit: int | None, is_read: bool
) -> None:
    body = body_of(part(b"x" * (declared or 1)), size=declared)
    await body.read_small(limit)
    assert body.complete is is_read


async def test_what_is_let_go_of_unread_is_not_taken_for_an_empty_body() -> None:
    body = body_of(part(b"a=1"))
    await body.read_ahead(10)
    kept = body.reader
    body.release()
    with pytest.raises(RuntimeError, match="after the request is over"):
        kept.read()
    with pytest.raises(RuntimeError, match="after the request is over"):
        [chunk async for chunk in body.chunks()]


async def test_what_was_read_before_has_its_end_afterwards_too() -> None:
    body = body_of(part(b"a=1"))
    await body.read_ahead(10)
    kept = body.reader
    assert kept.read() == b"a=1"
    body.release()
    body.release()
    assert kept.read() == b""


async def test_a_released_body_is_gone_without_a_collection(no_gc: None) -> None:
    body = body_of(part(b"x" * 1000))
    await body.read_ahead(10)
    assert body.reader.read(1) == b"x"
    body.release()
    seen = weakref.ref(body)
    del body
    assert seen() is None


async def test_what_is_held_on_disk_was_written_by_a_thread_of_the_app(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers: list[str] = []
    make = tempfile.TemporaryFile

    def noting(*args: t.Any, **kwargs: t.Any) -> t.Any:
        writers.append(threading.current_thread().name)
        return make(*args, **kwargs)

    monkeypatch.setattr(tempfile, "TemporaryFile", noting)
    app.config["BODY_MEMORY"] = 0

    @app.post("/")
    async def view() -> str:
        return str(len(request.get_data()))

    size = MEMORY_BYTES + 1
    exchange = Exchange(part(b"x" * size))
    await app(scope(method="POST", headers=length(size)), exchange.receive, exchange.send)
    await app._budgets.close()
    assert exchange.body == str(size).encode()
    assert writers == ["asyncflask-worker"]


async def test_what_bodies_take_in_memory_is_given_back(app: Flask) -> None:
    """Also where the view fails, and where the client leaves."""
    seen: list[int] = []

    @app.post("/")
    async def view() -> str:
        seen.append(allowance.taken)
        request.get_data()
        return ""

    @app.post("/failing")
    async def failing() -> str:
        seen.append(allowance.taken)
        raise KeyError

    size = MEMORY_BYTES + 1000
    whole = [part(b"x" * 1000, more=True), part(b"x" * MEMORY_BYTES)]
    cut_off = [whole[0], part(b"x" * MEMORY_BYTES, more=True), {"type": "http.disconnect"}]
    for path, messages in (("/", whole), ("/failing", whole), ("/", cut_off)):
        exchange = Exchange(*messages)
        await app(scope(path, "POST", headers=length(size)), exchange.receive, exchange.send)
        assert allowance.taken == 0
    assert seen == [1000] * 3


async def test_where_others_take_the_memory_a_body_goes_to_disk(app: Flask) -> None:
    app.config["BODY_MEMORY"] = 500
    files: list[bool] = []

    @app.post("/")
    async def view() -> str:
        held = t.cast("t.Any", request)._body.held_whole()
        files.append(held.file is not None)
        return str(len(request.get_data()))

    size = MEMORY_BYTES + 400
    for taken in (0, 101, 100):
        assert allowance.take(taken, 500)
        exchange = Exchange(part(b"x" * 400, more=True), part(b"x" * MEMORY_BYTES))
        await app(scope("/", "POST", headers=length(size)), exchange.receive, exchange.send)
        assert (exchange.body, allowance.taken) == (str(size).encode(), taken)
        allowance.give_back(taken)
    await app._budgets.close()
    assert files == [False, True, False]


async def test_a_body_on_its_way_to_disk_takes_no_others_along(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config["BODY_MEMORY"] = 500
    files: list[bool] = []
    writes, goes_on = threading.Event(), threading.Event()
    write = Held.write

    def slowly(held: Held, pieces: t.Iterable[bytes]) -> None:
        writes.set()
        assert goes_on.wait(20)
        write(held, pieces)

    @app.post("/")
    async def view() -> str:
        held = t.cast("t.Any", request)._body.held_whole()
        files.append(held.file is not None)
        return str(len(request.get_data()))

    async def send(*more: int) -> None:
        pieces = [b"x" * MEMORY_BYTES, *(b"x" * each for each in more)]
        size = sum(map(len, pieces))
        parts = [part(piece, more=piece is not pieces[-1]) for piece in pieces]
        exchange = Exchange(*parts)
        await app(scope("/", "POST", headers=length(size)), exchange.receive, exchange.send)
        assert exchange.body == str(size).encode()

    monkeypatch.setattr(Held, "write", slowly)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send, 400, 401, 402)
        assert await anyio.to_thread.run_sync(writes.wait, 20)
        await send(450)
        assert (files, allowance.taken) == ([False], 400)
        goes_on.set()
    await app._budgets.close()
    assert (files, allowance.taken) == ([False, True], 0)


async def test_a_long_piece_is_not_copied() -> None:
    long = b"x" * 300_000
    body = body_of(part(long, more=True), part(b"y"))
    await body.read_ahead(1_000_000)
    assert (body.take_piece() is long, body.take_piece(), body.take_piece()) == (True, b"y", b"")


async def test_a_thread_that_waits_for_its_client_is_not_at_work(app: Flask) -> None:
    app.config["SYNC_WORKERS"] = 1
    arrive = anyio.Event()

    async def receive() -> Message:
        await arrive.wait()
        return part(b"late")

    body = made(None, receive)
    pool = app._pool()
    read: list[bytes] = []

    async def read_it() -> None:
        read.append(await Lane(pool).run(body.reader.read))

    async with anyio.create_task_group() as group:
        group.start_soon(read_it)
        while not pool.metrics.held:
            await anyio.lowlevel.checkpoint()
        assert await Lane(pool).run(int) == 0  # by another thread, though one is all there may be
        arrive.set()
    assert read == [b"late"]
    assert pool.metrics.held == 0
    await app._budgets.close()


async def test_a_body_that_is_there_at_once_needs_no_file() -> None:
    body = body_of(part(b"a=1&b=2"))
    await body.read_ahead(10)
    assert body._held is None
    assert (body.reader.read(3), body.reader.read(), body.reader.read()) == (b"a=1", b"&b=2", b"")
    body.release()
    assert not body.lost


async def test_what_follows_later_is_read_behind_it() -> None:
    body = body_of(part(b"abc", more=True), part(b"de", more=True), part(b"f"))
    await body.read_ahead(2)
    assert (body.complete, body.take(2)) == (False, b"ab")
    await body.read_ahead(2)  # more than that is held already
    assert not body.complete
    await body.read_ahead(100)
    assert (body.complete, body.read_all()) == (True, b"cdef")


async def test_a_body_that_is_there_at_once_counts_against_the_limit(app: Flask) -> None:
    seen: list[str] = []

    @app.post("/")
    async def view() -> str:
        request.max_content_length = 2
        with pytest.raises(RequestEntityTooLarge):
            dict(request.form)
        request.max_content_length = None
        seen.append(type(request.stream).__name__)
        return "refused"

    form = (b"content-type", b"application/x-www-form-urlencoded")
    exchange = Exchange(part(b"a=1"))
    sent = scope(method="POST", headers=[form, (b"transfer-encoding", b"chunked")])
    await app(sent, exchange.receive, exchange.send)
    assert (exchange.body, seen) == (b"refused", ["BodyReader"])


class Receiver:
    """A server's ``receive`` that waits for something before each message, or not.

    :param waits: what it waits for.
    :param messages: what it gives.
    """

    def __init__(self, waits: t.Callable[[], t.Awaitable[None]], *messages: Message) -> None:
        self.waits, self.messages, self.calls = waits, [*messages], 0
        self.seen: list[str] = []

    async def receive(self) -> Message:
        self.calls += 1
        self.seen.append(var.get())
        await self.waits()
        self.seen.append(var.get())
        return self.messages.pop(0)


async def at_once() -> None:
    """Wait for nothing."""


async def a_turn() -> None:
    """Wait for the next turn of the loop, in a scope that ends there."""
    with anyio.fail_after(10):
        await anyio.lowlevel.checkpoint()


class Awaitable:
    """What `Receiver.receive` gives, made by a class."""

    def __init__(self, call: t.Coroutine[t.Any, t.Any, Message]) -> None:
        self.call = call

    def __await__(self) -> t.Generator[t.Any, t.Any, Message]:
        return self.call.__await__()


GONE: Message = {"type": "http.disconnect"}

#: The messages of a body, by what becomes of it.
BODIES: dict[str, tuple[list[Message], bytes | None]] = {
    "whole": ([part(b"abcde")], b"abcde"),
    "shorter than declared": ([part(b"abc")], b"abc"),
    "longer than declared": ([part(b"abcdefg")], b"abcdefg"),
    "nothing": ([part(b"")], b""),
    "without a body": ([{"type": "http.request"}], b""),
    "in pieces": ([part(b"ab", more=True), part(b"cde")], b"abcde"),
    "with an empty piece": ([part(b"", more=True), part(b"abcde", more=True), part(b"")], b"abcde"),
    "long": ([part(b"x" * 100_000)], b"x" * 100_000),
    "gone at once": ([GONE], None),
    "gone behind a piece": ([part(b"ab", more=True), GONE], None),
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("waits", [at_once, a_turn])
@pytest.mark.parametrize("seconds", [None, 10.0])
@pytest.mark.parametrize("by_class", [False, True])
async def test_it_is_the_same_whether_it_is_there_or_comes(
    name: str, waits: t.Callable[[], t.Awaitable[None]], seconds: float | None, by_class: bool
) -> None:
    messages, whole = BODIES[name]
    receiver = Receiver(waits, *messages)

    def receive() -> t.Any:
        return Awaitable(receiver.receive()) if by_class else receiver.receive()

    body = made(5, receive)
    body.timeout = seconds
    token = var.set("handler")
    await body.read_small()
    var.reset(token)
    assert (body.complete, receiver.messages, receiver.calls) == (True, [], len(messages))
    assert receiver.seen == ["server"] * 2 * len(messages)
    if whole is not None:
        assert (body.reader.read(), body.cut_off) == (whole, False)
        return
    with pytest.raises(ClientDisconnected):
        body.reader.read()
    assert await body.has_left()
    assert receiver.calls == len(messages)


@pytest.mark.parametrize("waits", [at_once, a_turn])
async def test_what_the_server_raises_is_raised(waits: t.Callable[[], t.Awaitable[None]]) -> None:
    async def failing() -> None:
        await waits()
        raise LookupError

    body = made(5, Receiver(failing).receive)
    with pytest.raises(LookupError):
        await body.read_small()


async def test_who_asks_behind_a_body_that_was_there_hears_of_the_end() -> None:
    receiver = Receiver(at_once, part(b"abcde"), GONE)
    body = made(5, receiver.receive)
    await body.read_small()
    assert receiver.calls == 1
    left = anyio.Event()
    await body.watch(left.set)
    assert (left.is_set(), await body.has_left(), body.reader.read()) == (True, True, b"abcde")


async def test_one_that_waits_for_the_body_can_be_cancelled() -> None:
    ended: list[str] = []

    async def waiting() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("waiting")

    body = made(5, Receiver(waiting).receive)
    body.timeout = 10.0
    async with anyio.create_task_group() as group:
        group.start_soon(body.read_small)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert (ended, body.complete) == (["waiting"], False)


@pytest.mark.parametrize("limit", [None, 3, 5])
async def test_all_is_read_as_far_as_the_limit_goes(limit: int | None) -> None:
    short, declared = body_of(part(b"abc", more=True), part(b"de")), body_of(part(b"abcde"), size=5)
    for body in (short, declared):
        await body.read_ahead(100)
        if limit == 3:
            with pytest.raises(RequestEntityTooLarge):
                body.read_all(limit)
        else:
            assert body.read_all(limit) == b"abcde"
        assert body.limit == limit


@pytest.mark.parametrize("size", [0, 5, None])
async def test_what_it_is_made_with_is_what_its_class_says(size: int | None) -> None:
    """But for what is known of it: it is only found sooner."""
    body = made_of(({}, Exchange(part(b"abcde")).receive, None, copy_context()), size, 7.5)
    own = vars(body)
    known = {"_connection", "declared", "complete", "timeout"}
    assert {name: own[name] for name in own if name not in known} == {
        name: getattr(RequestBody, name) for name in own if name not in known
    }
    assert (body.declared, body.complete) == (size, size == 0)
    assert body.timeout == (None if size == 0 else 7.5)
    await body.read_ahead(100)
    assert body.read_all() == (b"" if size == 0 else b"abcde")
