"""A WSGI application inside ASGI: what it may do, and what is made of it (PEP 3333)."""

from __future__ import annotations

import asyncio
import sys
import threading
import typing as t
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial

import anyio
import anyio.to_thread
import pytest

from asyncflask import portal
from asyncflask.exceptions import LoopCancelled, PipeClosed
from asyncflask.wsgi.bridge import HOP_BY_HOP, TRANSITIONS, Event, State

from .conversation import Conversation, ask, hosting, until

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)

#: Seconds for what another thread does at once.
SOON = 5.0

Start = t.Any
Application = Callable[[dict[str, t.Any], Start], Iterable[bytes]]

PLAIN = [("Content-Type", "text/plain")]


class Own(Exception):
    """An exception that nothing knows."""


def caught() -> t.Any:
    """Return what `sys.exc_info` gives where an error is handled."""
    try:
        raise Own
    except Own:
        return sys.exc_info()


class Body:
    """An iterable that counts how often it is closed.

    :param chunks: what it gives.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks, self.begun, self.closed = chunks, 0, 0
        self.threads: set[int] = set()

    def __iter__(self) -> Iterator[bytes]:
        self.begun += 1
        for chunk in self.chunks:
            self.threads.add(threading.get_ident())
            yield chunk

    def close(self) -> None:
        self.closed += 1
        self.threads.add(threading.get_ident())


def answering(
    *chunks: bytes, status: str = "200 OK", headers: t.Any = PLAIN, length: int | None = None
) -> tuple[Application, Body]:
    """Return an application that answers with chunks, and what they come from."""
    made = Body(chunks)
    own = [*headers, *([] if length is None else [("Content-Length", str(length))])]

    def application(environ: dict[str, t.Any], start: Start) -> Iterable[bytes]:
        start(status, own)
        return made

    return application, made


# The states


class Player:
    """An application that is brought to a state, where it does something.

    :param state: the state.
    :param event: what it does there.
    """

    def __init__(self, state: State, event: Event) -> None:
        self.state, self.event = state, event
        self.raised: BaseException | None = None
        self.write: t.Any = None

    def __call__(self, environ: dict[str, t.Any], start: Start) -> Iterable[bytes]:
        self.start = start
        if self.state != "unset":
            self.write = start("200 OK", PLAIN)
        if self.state == "sent":
            self.write(b"sent")
        if self.state != "done":
            self.act()
        return self

    def __iter__(self) -> Iterator[bytes]:
        if (self.state, self.event) == ("unset", "body"):  # there is no `write` to call yet
            yield b"early"

    def close(self) -> None:
        if self.state == "done":
            self.act()

    def act(self) -> None:
        acts: dict[Event, Callable[[], object]] = {
            "start": lambda: self.start("201 Created", PLAIN),
            "restart": lambda: self.start("500 Oops", PLAIN, caught()),
            "body": lambda: self.write and self.write(b"more"),
            "end": bool,  # comes by itself
        }
        try:
            acts[self.event]()
        except BaseException as error:
            self.raised = error


ALL = [(state, event) for state in TRANSITIONS for event in t.get_args(Event)]


@pytest.mark.parametrize(("state", "event"), ALL)
async def test_table(state: State, event: Event, caplog: pytest.LogCaptureFixture) -> None:
    player = Player(state, event)
    got = await ask(player)
    legal = event in TRANSITIONS[state]
    if state == "unset" and event in ("body", "end"):
        assert (got.status, legal) == (500, False)
        assert "WSGI application" in caplog.text
    elif event == "restart" and state in ("sent", "done"):
        assert isinstance(player.raised, Own)
    elif event == "end":
        assert (got.ended, player.raised) == (True, None)
    elif legal:
        assert player.raised is None
    else:
        assert isinstance(player.raised, RuntimeError)
        assert "PEP 3333" in str(player.raised)
        assert got.status == 200


async def test_error_replaces_what_was_not_sent() -> None:
    def application(environ: dict[str, t.Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Length", "5"), ("X-First", "1")])
        start("503 Sorry", [("X-Second", "2")], caught())
        return [b"ab", b"c"]

    got = await ask(application)
    assert (got.status, got.headers, got.body) == (503, [(b"x-second", b"2")], b"abc")


async def test_error_after_the_headers_cuts_the_response() -> None:
    def application(environ: dict[str, t.Any], start: Start) -> Iterable[bytes]:
        start("200 OK", PLAIN)(b"begun")
        start("500 Oops", PLAIN, caught())
        return [b"never"]

    got = Conversation()
    with pytest.raises(Own):
        await ask(application, by=got)
    assert (got.status, got.body, got.ended) == (200, b"begun", False)


async def test_no_error_is_no_reason_to_replace() -> None:
    """What `sys.exc_info` gives where nothing is handled is no error."""

    def application(environ: dict[str, t.Any], start: Start) -> Iterable[bytes]:
        start("200 OK", PLAIN, (None, None, None))
        with pytest.raises(RuntimeError, match="a second time"):
            start("201 Created", PLAIN, (None, None, None))
        return []

    assert (await ask(application)).status == 200


async def test_status_may_come_with_the_first_step() -> None:
    def application(environ: dict[str, t.Any], start: Start) -> Iterable[bytes]:
        yield b""
        start("202 Later", PLAIN)
        yield b"a"

    got = await ask(application)
    assert (got.status, got.body) == (202, b"a")


# Status and headers


@pytest.mark.parametrize("status", ["200 OK", "200", "299 Ünïcode", "599 ", "404 Not\tFound"])
async def test_status_is_sent(status: str) -> None:
    application, _ = answering(b"a", status=status)
    assert (await ask(application)).status == int(status[:3])


@pytest.mark.parametrize(
    "status", ["", "OK", "20 OK", "2000 OK", "099 Low", "100 Continue", "600 High", "200OK"]
)
async def test_status_is_refused(status: str) -> None:
    application, _ = answering(b"a", status=status)
    assert (await ask(application)).status == 500


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\0", "\x7f"])
async def test_nothing_breaks_out_of_status_and_headers(
    end: str, caplog: pytest.LogCaptureFixture
) -> None:
    split = f"a{end}Set-Cookie: stolen=1"
    for refused in (
        {"status": f"200 {split}"},
        {"headers": [("X-Own", split)]},
        {"headers": [(f"X-Own: {split}", "1")]},
    ):
        application, _ = answering(b"a", **t.cast("t.Any", refused))
        got = await ask(application)
        assert got.status == 500
        assert b"set-cookie" not in dict(got.headers)
    assert "ValueError" in caplog.text


@pytest.mark.parametrize("name", ["", "a b", "a:", "ü", "(a)"])
async def test_header_name_is_refused(name: str) -> None:
    application, _ = answering(b"a", headers=[(name, "1")])
    assert (await ask(application)).status == 500


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
async def test_what_is_between_server_and_client_is_dropped(name: bytes) -> None:
    own = [(name.decode().title(), "chunked"), ("X-Kept", "1")]
    application, _ = answering(b"a", b"b", headers=own)
    got = await ask(application)
    assert (got.headers, got.body) == ([(b"x-kept", b"1")], b"ab")


async def test_repeated_headers_are_kept_apart() -> None:
    cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", " b=2 ")]
    application, _ = answering(b"", headers=cookies, length=0)
    wanted = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"content-length", b"0")]
    assert (await ask(application)).headers == wanted


async def test_refused_headers_leave_the_state_alone() -> None:
    """An application may notice, and answer otherwise."""

    def application(environ: dict[str, t.Any], start: Start) -> Iterable[bytes]:
        for status, headers in (("no", PLAIN), ("200 OK", [("X", "\n")]), ("200 OK", [(1, 2)])):
            with pytest.raises((ValueError, TypeError)):
                start(status, headers)
        start("203 At last", PLAIN)
        return [b"a"]

    assert (await ask(application)).status == 203


@pytest.mark.parametrize("length", ["", "x", "-1", "1.5", "+1", "1, 1", "٣"])
async def test_length_is_refused(length: str) -> None:
    application, _ = answering(b"a", headers=[("Content-Length", length)])
    assert (await ask(application)).status == 500


async def test_second_length_is_refused() -> None:
    application, _ = answering(b"a", headers=[("Content-Length", "1")], length=1)
    assert (await ask(application)).status == 500


# Whole and streamed


@pytest.mark.parametrize("length", [None, 5])
async def test_one_chunk_is_sent_whole(length: int | None) -> None:
    def application(environ: dict[str, t.Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [] if length is None else [("Content-Length", "5")])
        return [b"whole"]

    got = await ask(application)
    assert [*map(len, got.sent)] == [3, 2]
    assert got.headers == [(b"content-length", b"5")]
    assert (got.body, got.ended) == (b"whole", True)


async def test_first_chunk_of_the_whole_length_is_sent_whole() -> None:
    application, made = answering(b"", b"whole", b"", length=5)
    got = await ask(application)
    assert (len(got.sent), got.body, made.closed) == (2, b"whole", 1)


@pytest.mark.parametrize("chunks", [(), (b"",), (b"", b"")])
async def test_nothing_has_a_length(chunks: tuple[bytes, ...]) -> None:
    application, _ = answering(*chunks, headers=[])
    got = await ask(application)
    assert (got.headers, got.body, got.ended) == ([(b"content-length", b"0")], b"", True)


async def test_several_chunks_are_streamed() -> None:
    application, made = answering(b"a", b"", b"b" * 100_000, b"c")
    got = await ask(application)
    assert got.headers == [(b"content-type", b"text/plain")]
    assert (got.body, got.ended, made.closed) == (b"a" + b"b" * 100_000 + b"c", True, 1)


async def test_chunk_is_sent_before_the_next_is_made() -> None:
    arrived = threading.Event()

    def application(environ: dict[str, t.Any], start: Start) -> Iterator[bytes]:
        start("200 OK", PLAIN)
        yield b"first"
        yield b"sent" if arrived.wait(SOON) else b"kept back"

    got = Conversation()
    got.on_chunk = lambda chunk: arrived.set()
    assert (await ask(application, by=got)).body == b"firstsent"


async def test_written_chunk_is_sent_before_the_application_returns() -> None:
    arrived = threading.Event()

    def application(environ: dict[str, t.Any], start: Start) -> Iterable[bytes]:
        write = start("200 OK", PLAIN)
        write(b"")
        write(b"first")
        write(b"sent" if arrived.wait(SOON) else b"kept back")
        return [b"last"]

    got = Conversation()
    got.on_chunk = lambda chunk: arrived.set()
    assert (await ask(application, by=got)).body == b"firstsentlast"
    assert got.ended


async def test_many_small_chunks_are_sent_as_few() -> None:
    """What is made while the loop is busy with something else goes out as one piece."""
    made = threading.Event()

    def application(environ: dict[str, t.Any], start: Start) -> Iterator[bytes]:
        start("200 OK", PLAIN)
        yield b"a"
        for _ in range(999):
            yield b"a"
        made.set()

    got = Conversation()
    got.on_chunk = lambda chunk: t.cast("None", made.wait(SOON))
    await ask(application, by=got)
    assert got.body == b"a" * 1000
    assert len(got.sent) <= 4


async def test_application_waits_for_the_client() -> None:
    """What is made, while the client does not read, is what the pipe holds and one chunk more."""
    made: list[int] = []

    def application(environ: dict[str, t.Any], start: Start) -> Iterator[bytes]:
        start("200 OK", PLAIN)
        for number in range(100):
            made.append(number)
            yield b"x" * 32_768

    got = Conversation()
    ahead: list[int] = []

    def look(chunk: bytes) -> None:
        if not ahead:
            taken = len(chunk) // 32_768
            until(lambda: len(made) >= taken + 3 and host.sync_metrics.held == 1)  # which waits
            ahead.append(len(made) - taken)

    got.on_chunk = look
    async with hosting() as host:
        await got.ask(host, application)
    assert ahead == [3]
    assert len(got.body) == 100 * 32_768


@pytest.mark.parametrize("chunk", ["text", bytearray(b"a"), 1])
async def test_only_bytes_are_sent(chunk: t.Any, caplog: pytest.LogCaptureFixture) -> None:
    application, made = answering(chunk)
    assert (await ask(application)).status == 500
    assert (made.closed, "only bytes" in caplog.text) == (1, True)


# Content-Length


async def test_too_much_in_one_chunk_is_cut() -> None:
    application, made = answering(b"12345", length=3)
    got = Conversation()
    with pytest.raises(RuntimeError, match="more bytes than its Content-Length"):
        await ask(application, by=got)
    assert (got.body, got.ended, made.closed) == (b"123", True, 1)


async def test_too_much_in_several_chunks_is_cut() -> None:
    application, made = answering(b"1", b"2345", b"67", length=3)
    got = Conversation()
    with pytest.raises(RuntimeError, match="more bytes than its Content-Length"):
        await ask(application, by=got)
    assert (got.body, got.ended, made.closed) == (b"123", True, 1)


async def test_too_much_after_a_whole_is_told() -> None:
    application, made = answering(b"123", b"4", length=3)
    got = Conversation()
    with pytest.raises(RuntimeError, match="more bytes than its Content-Length"):
        await ask(application, by=got)
    assert (got.body, got.ended, made.closed) == (b"123", True, 1)


async def test_too_much_written_is_cut() -> None:
    raised: list[Exception] = []

    def application(environ: dict[str, t.Any], start: Start) -> Iterable[bytes]:
        write = start("200 OK", [("Content-Length", "3")])
        write(b"12")
        for chunk in (b"345", b"6"):
            try:
                write(chunk)
            except RuntimeError as error:
                raised.append(error)
        return []

    got = await ask(application)
    assert (got.body, got.ended, len(raised)) == (b"123", True, 2)


@pytest.mark.parametrize("chunks", [(), (b"",)])
async def test_nothing_where_something_was_promised(
    chunks: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    application, _ = answering(*chunks, length=5)
    assert (await ask(application)).status == 500
    assert "5 bytes less" in caplog.text


async def test_only_chunk_too_short(caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: dict[str, t.Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Length", "5")])
        return [b"123"]

    assert (await ask(application)).status == 500
    assert "2 bytes less" in caplog.text


async def test_too_little_has_no_end() -> None:
    application, made = answering(b"1", b"2", length=3)
    got = Conversation()
    with pytest.raises(RuntimeError, match="1 bytes less"):
        await ask(application, by=got)
    assert (got.body, got.ended, made.closed) == (b"12", False, 1)


# No body


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "204 None"), ("GET", "304 Not Modified")]
)
async def test_body_that_nobody_wants_is_not_made(method: str, status: str) -> None:
    application, made = answering(b"12345", status=status, length=5)
    got = await ask(application, method=method)
    assert (got.body, got.ended, made.begun, made.closed) == (b"", True, 0, 1)
    assert ((b"content-length", b"5") in got.headers) == (method == "HEAD")


async def test_head_of_what_is_written() -> None:
    def application(environ: dict[str, t.Any], start: Start) -> Iterable[bytes]:
        write = start("200 OK", [("Content-Length", "5")])
        write(b"12345")
        write(b"")
        return [b""]

    got = await ask(application, method="HEAD")
    assert (got.headers, got.body, got.ended) == ([(b"content-length", b"5")], b"", True)


async def test_head_of_a_generator() -> None:
    steps: list[str] = []

    def application(environ: dict[str, t.Any], start: Start) -> Iterator[bytes]:
        try:
            start("200 OK", PLAIN)
            steps.append("first")
            yield b"1"
            steps.append("second")
            yield b"2"
        finally:
            steps.append("closed")

    got = await ask(application, method="HEAD")
    assert (got.status, got.body, steps) == (200, b"", ["first", "closed"])


# Errors, and closing


@pytest.mark.parametrize("where", ["call", "first step", "later step", "close"])
async def test_error(where: str, caplog: pytest.LogCaptureFixture) -> None:
    closed: list[str] = []

    class Failing:
        def __iter__(self) -> Iterator[bytes]:
            if where == "first step":
                raise Own
            yield b"1"
            if where == "later step":
                raise Own
            yield b"2"

        def close(self) -> None:
            closed.append(where)
            if where == "close":
                raise Own

    def application(environ: dict[str, t.Any], start: Start) -> Iterable[bytes]:
        start("200 OK", PLAIN)
        if where == "call":
            raise Own
        return Failing()

    got = Conversation()
    if where in ("call", "first step"):
        await ask(application, by=got)
        assert (got.status, got.ended) == (500, True)
        assert "Exception on / [GET]" in caplog.text
    else:
        with pytest.raises(Own):
            await ask(application, by=got)
        assert (got.body, got.ended) == ((b"1", False) if where == "later step" else (b"12", True))
    assert closed == ([] if where == "call" else [where])


async def test_errors_propagate_where_they_are_asked_for() -> None:
    got = Conversation()
    async with hosting() as host:
        host.testing = True
        with pytest.raises(Own):
            await got.ask(host, fail)
    assert got.sent == []


def fail(environ: dict[str, t.Any], start: Start) -> t.NoReturn:
    raise Own


@pytest.mark.parametrize("kind", [StopIteration, GeneratorExit, KeyboardInterrupt, SystemExit])
async def test_what_is_no_error_passes_no_loop(kind: type[BaseException]) -> None:
    """StopIteration would end a coroutine in silence."""

    def application(environ: dict[str, t.Any], start: Start) -> t.NoReturn:
        raise kind

    if kind in (StopIteration, GeneratorExit):
        assert (await ask(application)).status == 500
    else:
        with pytest.raises(kind):
            await ask(application)


async def test_all_happens_in_one_thread() -> None:
    application, made = answering(b"1", b"2")
    threads: list[int] = []

    def around(environ: dict[str, t.Any], start: Start) -> Iterable[bytes]:
        threads.append(threading.get_ident())
        return application(environ, start)

    await ask(around)
    assert made.threads == {*threads} != {threading.get_ident()}


# Clients that leave


async def test_client_that_leaves_ends_an_endless_body() -> None:
    application, made = answering(b"x", b"x")
    made.chunks = iter(lambda: b"x" * 10_000, b"")
    got = Conversation()
    got.on_chunk = got.leave
    await ask(application, by=got)
    assert (made.closed, got.ended) == (1, False)


async def test_client_that_leaves_ends_endless_writing() -> None:
    raised: list[Exception] = []

    def application(environ: dict[str, t.Any], start: Start) -> Iterable[bytes]:
        write = start("200 OK", PLAIN)
        try:
            while True:
                write(b"x" * 10_000)
        except PipeClosed as error:
            raised.append(error)
            with suppress(BrokenPipeError):  # as under other servers
                write(b"again")
            raise

    got = Conversation()
    got.on_chunk = got.leave
    await ask(application, by=got)
    assert len(raised) == 1
    assert not got.ended


async def test_client_that_leaves_after_a_whole_is_nothing() -> None:
    application, made = answering(b"whole", length=5)
    got = Conversation()
    got.on_chunk = got.leave
    await ask(application, by=got)
    assert (made.closed, got.ended) == (1, True)


async def test_send_that_fails_ends_the_application() -> None:
    """As servers report that the client is gone (ASGI spec 2.4), or for any other reason."""
    application, made = answering(b"x", b"x")
    made.chunks = iter(lambda: b"x" * 10_000, b"")
    got = Conversation()

    def refuse(chunk: bytes) -> None:
        raise OSError("gone")

    got.on_chunk = refuse
    with pytest.raises(OSError, match="gone"):
        await ask(application, by=got)
    assert made.closed == 1


async def test_client_that_leaves_ends_waiting_for_the_loop() -> None:
    """A body that waits for async code does not wait for it in vain."""
    steps: list[str] = []

    def application(environ: dict[str, t.Any], start: Start) -> Iterator[bytes]:
        start("200 OK", PLAIN)
        try:
            yield b"begun"
            portal.call_async(anyio.sleep_forever)
        except LoopCancelled:
            steps.append("cancelled")
            raise
        finally:
            steps.append("closed")

    got = Conversation()
    got.on_chunk = got.leave
    await ask(application, by=got)
    assert (steps, got.ended) == (["cancelled", "closed"], False)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # on trio, nobody else can cancel it
async def test_what_the_loop_cancels_is_an_error() -> None:
    async def cancelled() -> None:
        t.cast("t.Any", asyncio.current_task()).cancel()
        await anyio.sleep(1)

    def application(environ: dict[str, t.Any], start: Start) -> Iterable[bytes]:
        portal.call_async(cancelled)
        return []

    assert (await ask(application)).status == 500


async def test_cancelled_request_waits_for_its_thread() -> None:
    """As at a shutdown: the application is ended where it next writes, and closed."""
    begun, gate = threading.Event(), threading.Event()
    closed: list[bool] = []

    def application(environ: dict[str, t.Any], start: Start) -> Iterator[bytes]:
        begun.set()
        gate.wait(SOON)
        start("200 OK", PLAIN)
        try:
            yield from iter(lambda: b"x" * 10_000, b"")
        finally:
            closed.append(gate.is_set())

    got = Conversation()
    async with anyio.create_task_group() as group:
        group.start_soon(partial(ask, application, by=got))
        await anyio.to_thread.run_sync(begun.wait, SOON)
        group.cancel_scope.cancel()
        gate.set()
    assert closed == [True]
    assert not got.ended
