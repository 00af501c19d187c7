"""What a WSGI application inside ASGI gets to see of the request: its environ and its body."""

from __future__ import annotations

import sys
import threading
import typing as t
from collections.abc import Iterable, Iterator
from contextvars import ContextVar

import pytest
from werkzeug.exceptions import ClientDisconnected

from asyncflask.asgi.body import SMALL_BYTES
from asyncflask.wsgi.bridge import FILE_BYTES

from ..scopes import Header
from .conversation import Conversation, Message, ask, body, hosting

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)

Environ = dict[str, t.Any]
Start = t.Any

BYTES: Header = (b"content-type", b"application/octet-stream")

current: ContextVar[str] = ContextVar("current")


class Seeing:
    """An application that keeps its environ and answers with what a function makes of it."""

    def __init__(self, look: t.Callable[[Environ], bytes] = lambda environ: b"seen") -> None:
        self.look = look
        self.environ: Environ = {}

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        self.environ = environ
        seen = self.look(environ)
        start("200 OK", [])
        return [seen]


async def environ_of(*headers: Header, **request: t.Any) -> Environ:
    application = Seeing()
    assert (await ask(application, body(b""), headers=headers, **request)).status == 200
    return application.environ


def length(count: int) -> Header:
    return b"content-length", b"%d" % count


# The environ


async def test_names() -> None:
    environ = await environ_of(
        (b"content-type", b"text/plain"),
        (b"content-length", b"0"),
        (b"x-own", b"\xe9"),
        method="PUT",
        query_string=b"a=%20b&c",
        http_version="2",
        scheme="https",
        server=("example.com", 8443),
        client=("192.0.2.1", 50001),
    )
    told = {
        "REQUEST_METHOD": "PUT",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "a=%20b&c",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "0",
        "SERVER_NAME": "example.com",
        "SERVER_PORT": "8443",
        "SERVER_PROTOCOL": "HTTP/2",
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_PORT": "50001",
        "HTTP_HOST": "localhost",
        "HTTP_X_OWN": "é",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input_terminated": True,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.errors": sys.stderr,
    }
    assert {name: environ[name] for name in told} == told
    assert environ["asgi.scope"]["type"] == "http"
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & {*environ}


@pytest.mark.parametrize(
    ("root_path", "path", "script_name", "path_info"),
    [
        ("", "/", "", "/"),
        ("/sub", "/sub/a/b", "/sub", "/a/b"),
        ("/sub", "/sub", "/sub", ""),
        ("/sub/", "/sub/", "/sub", "/"),
        ("/ä", "/ä/ö//b", "/Ã¤", "/Ã¶//b"),
    ],
)
async def test_path(root_path: str, path: str, script_name: str, path_info: str) -> None:
    """Bytes of UTF-8 are one character each, as WSGI has it."""
    raw = path.encode()
    environ = await environ_of(root_path=root_path, path=path, raw_path=raw, query_string=b"q")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)
    assert environ["REQUEST_URI"] == environ["RAW_URI"] == raw.decode("latin-1") + "?q"


async def test_no_client_and_a_socket_file() -> None:
    environ = await environ_of(client=None, server=("/run/app.sock", None))
    assert not {"REMOTE_ADDR", "REMOTE_PORT"} & {*environ}
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("/run/app.sock", "0")


@pytest.mark.parametrize("name", [b"x_forwarded_for", b"x-forwarded_for", b"proxy", b"Proxy", b"_"])
async def test_header_that_could_pose_as_another_is_dropped(name: bytes) -> None:
    environ = await environ_of((name, b"forged"), (b"x-forwarded-for", b"192.0.2.7"))
    assert "forged" not in environ.values()
    assert environ["HTTP_X_FORWARDED_FOR"] == "192.0.2.7"


async def test_repeated_headers_are_joined() -> None:
    many = [(b"x-many", b"%d" % number) for number in range(10_000)]
    cookies = [(b"cookie", b"a=1"), (b"cookie", b"b=2")]
    environ = await environ_of(*cookies, *many)
    assert environ["HTTP_X_MANY"] == ",".join(map(str, range(10_000)))
    assert environ["HTTP_COOKIE"] == "a=1; b=2"


@pytest.mark.parametrize(
    "headers", [[(b"host", b"other")], [length(1), length(2)], [length(0), length(0)]]
)
async def test_what_two_readers_could_read_differently_is_refused(headers: list[Header]) -> None:
    application = Seeing()
    got = await ask(application, body(b"a"), headers=headers, method="POST")
    assert (got.status, application.environ) == (400, {})
    assert b"send one" in got.body


async def test_target_that_is_no_path_is_refused() -> None:
    application = Seeing()
    assert (await ask(application, path="http://other/")).status == 400
    assert application.environ == {}


async def test_transfer_coding_overrides_the_length() -> None:
    """RFC 9112 section 6.3: who reads as much as the length says would leave the rest."""
    application = Seeing(lambda environ: environ["wsgi.input"].read())
    headers = [(b"transfer-encoding", b"chunked"), length(2)]
    got = await ask(
        application, body(b"ab", more=True), body(b"cd"), headers=headers, method="POST"
    )
    assert (got.body, "CONTENT_LENGTH" in application.environ) == (b"abcd", False)


async def test_errors_are_heard(capsys: pytest.CaptureFixture[str]) -> None:
    def complain(environ: Environ) -> bytes:
        environ["wsgi.errors"].write("complaint\n")
        environ["wsgi.errors"].flush()
        return b""

    await ask(Seeing(complain))
    assert capsys.readouterr().err == "complaint\n"


@pytest.mark.parametrize("size", [None, 10, 200_000])
async def test_file_wrapper(size: int | None, tmp_path: t.Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(250)) * 1000)
    sizes: list[int] = []
    file = path.open("rb")

    def application(environ: Environ, start: Start) -> Iterable[bytes]:
        start("200 OK", [])
        wrapped = environ["wsgi.file_wrapper"](file, *([] if size is None else [size]))
        sizes.append(wrapped.buffer_size)
        return t.cast("Iterable[bytes]", wrapped)

    got = await ask(application)
    assert got.body == bytes(range(250)) * 1000
    assert (sizes, file.closed) == ([max(size or 0, FILE_BYTES)], True)


async def test_context_is_the_callers_and_stays_it() -> None:
    seen: list[str] = []

    def application(environ: Environ, start: Start) -> Iterator[bytes]:
        start("200 OK", [])
        seen.append(current.get("nobody's"))
        current.set("the application's")
        yield b"a"
        seen.append(current.get())
        yield b"b"

    current.set("the caller's")
    got = Conversation(body(b""))
    got.on_chunk = lambda chunk: seen.append("sent in " + current.get())
    await ask(application, by=got)
    assert {*seen} == {"the caller's", "the application's", "sent in the caller's"}
    assert current.get() == "the caller's"


# The body


def parts(content: bytes, size: int) -> list[Message]:
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return [*(body(piece, more=True) for piece in pieces), body(b"")]


LINES = b"".join(b"%d\n" % number for number in range(40_000))


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(
    "read",
    [
        lambda file: file.read(),
        lambda file: b"".join(iter(lambda: file.read(977), b"")),
        lambda file: b"".join(iter(file.readline, b"")),
        lambda file: b"".join(file.readlines()),
        lambda file: b"".join(file),
    ],
    ids=["all", "pieces", "lines", "list of lines", "iterator"],
)
async def test_body_is_read(read: t.Callable[[t.Any], bytes], declared: bool) -> None:
    application = Seeing(lambda environ: read(environ["wsgi.input"]))
    framing = length(len(LINES)) if declared else (b"transfer-encoding", b"chunked")
    messages = parts(LINES, 10_000)
    got = await ask(application, *messages, headers=[BYTES, framing], method="POST")
    assert got.body == LINES


async def test_no_body_is_at_its_end() -> None:
    application = Seeing(lambda environ: b"[%s]" % environ["wsgi.input"].read())
    assert (await ask(application)).body == b"[]"


async def test_body_is_fetched_as_it_is_read() -> None:
    """Who reads a part leaves the rest with the server, whose flow control holds the client."""
    total = 100 * SMALL_BYTES
    got = Conversation(*parts(b"x" * total, SMALL_BYTES))
    application = Seeing(lambda environ: environ["wsgi.input"].read(3 * SMALL_BYTES))
    await ask(application, by=got, headers=[BYTES, length(total)], method="POST")
    assert got.body == b"x" * 3 * SMALL_BYTES
    assert got.received <= 4


async def test_body_that_is_not_read_is_not_fetched() -> None:
    got = Conversation(*parts(b"x" * 1_000_000, SMALL_BYTES))
    await ask(Seeing(), by=got, headers=[BYTES, length(1_000_000)], method="POST")
    assert (got.status, got.received) == (200, 0)


async def test_small_body_is_there_before_a_thread_is_taken() -> None:
    got = Conversation(body(b"a", more=True), body(b"b"))
    application = Seeing(lambda environ: b"%d" % got.received)
    await ask(application, by=got, headers=[BYTES, length(2)], method="POST")
    assert got.body == b"2"


@pytest.mark.parametrize("declared", [10, 1_000_000])
async def test_cut_body_is_never_whole(declared: int, caplog: pytest.LogCaptureFixture) -> None:
    raised: list[Exception] = []

    def application(environ: Environ, start: Start) -> Iterable[bytes]:
        for _ in range(2):
            try:
                environ["wsgi.input"].read()
            except ClientDisconnected as error:
                raised.append(error)
        raise raised[0]

    got = Conversation(body(b"x" * 9, more=True))
    got.leave()
    await ask(application, by=got, headers=[BYTES, length(declared)], method="POST")
    assert (len(raised), got.status) == (2, 400)
    assert caplog.records == []  # it is the client's doing: nobody has to look into it


async def test_what_is_read_is_sent_back_meanwhile() -> None:
    """The response streams while the body does; and a client that leaves then is noticed."""
    closed = threading.Event()

    def application(environ: Environ, start: Start) -> Iterator[bytes]:
        start("200 OK", [])
        try:
            yield from iter(lambda: environ["wsgi.input"].read(SMALL_BYTES), b"")
            yield from iter(lambda: b"endless", b"")
        finally:
            closed.set()

    got = Conversation(*parts(b"x" * 10 * SMALL_BYTES, SMALL_BYTES))
    got.on_chunk = lambda chunk: got.leave() if b"endless" in chunk else None
    await ask(application, by=got, headers=[BYTES, length(10 * SMALL_BYTES)], method="POST")
    assert got.body.startswith(b"x" * 10 * SMALL_BYTES + b"endless")
    assert closed.is_set()


# The app that lends its threads


async def test_more_than_the_queue_takes_is_refused() -> None:
    application, got = Seeing(), Conversation(body(b""))
    async with hosting() as host:
        host.config["SYNC_QUEUE_LIMIT"] = 0
        await got.ask(host, application)
    assert (got.status, application.environ) == (503, {})
    assert b"retry-after" in dict(got.headers)
