"""What is asked for, of every framework alike, and how its answers are judged.

Only the standard library is needed: the workers import this in the environments of the peers.
"""

from __future__ import annotations

import json
import typing as t
from collections.abc import Callable
from functools import cache

from .apps import shared

#: What makes the app for a workload: a function of `benchmarks.apps.NAME`, with an argument or
#: without, or the example blog.
MAIN, HOOKS, BLOG = "main", "hooks", "blog"

#: Boundary of the multipart body.
BOUNDARY = "an-upload-of-the-benchmark"

#: Messages that go back and forth over one WebSocket in process: so many that its beginning and
#: its end do not count.
MESSAGES = 500


class Workload(t.NamedTuple):
    """A request, and what its answer must be."""

    name: str
    title: str
    path: str
    check: Callable[[bytes], bool]  # of the answer's body
    app: str = MAIN
    body: Callable[[], bytes] | None = None  # of a POST
    headers: tuple[tuple[str, str], ...] = ()
    status: int = 200
    cookie: bool = False  # come again with the cookie that the first answer sets
    websocket: bool = False
    lasts: bool = False  # so that a framework looks out for who leaves meanwhile
    at_once: int = 1  # requests under way in process
    connections: int = 32  # over a server
    only: tuple[str, ...] = ()  # the frameworks that are asked; none: all

    @property
    def method(self) -> str:
        """The request's method."""
        return "POST" if self.body else "GET"

    @property
    def family(self) -> str:
        """The app's name without what it is given: apps of one family are measured together."""
        return self.app.partition(":")[0]

    def asks(self, framework: str) -> bool:
        """Return whether it is for a framework."""
        return not self.only or framework in self.only


def same(text: str) -> Callable[[bytes], bool]:
    """Return what checks that a body is this one."""
    return lambda body: body == text.encode()


def same_data(data: Callable[[], t.Any]) -> Callable[[bytes], bool]:
    """Return what checks that a body is this data as JSON; blanks do not count."""
    return lambda body: bool(json.loads(body) == data())


def table(count: int) -> Callable[[bytes], bool]:
    """Return what checks that a body is the page with so many rows, escaped where that is due."""

    def check(body: bytes) -> bool:
        cells = "</td><td>".join
        expected = [
            cells((str(row["id"]), row["name"].replace("<", "&lt;").replace(">", "&gt;"), price))
            for row in shared.ROWS[:count]
            for price in (f"{row['price']:.2f}",)
        ]
        lines = body.decode().splitlines()
        found = [line.strip() for line in lines if "<td>" in line]
        return found == [f"<tr><td>{each}</td></tr>" for each in expected]

    return check


def events(body: bytes) -> bool:
    """Check that a body is the events; how lines end and what else an event says is free."""
    said = [line for line in body.decode().splitlines() if line.startswith("data:")]
    return said == [f"data: {number}" for number in range(shared.EVENTS)]


def part_of_file(body: bytes) -> bool:
    """Check that a body is the range that was asked for."""
    return body == _file()[1000:2000]


@cache
def _file() -> bytes:
    return (shared.static() / shared.FILE).read_bytes()


@cache
def big_data() -> list[dict[str, t.Any]]:
    """Return what makes about 1 MB of JSON."""
    return [
        {
            "id": number,
            "name": f"Item {number}",
            "price": number * 1.25,
            "tags": ["new", "sold out"],
        }
        for number in range(12_700)
    ]


@cache
def big_json() -> bytes:
    """Return it as JSON."""
    return json.dumps(big_data()).encode()


def form() -> bytes:
    """Return a form of ten fields, urlencoded."""
    return "&".join(f"{name}=value+{name}" for name in shared.FIELDS).encode()


@cache
def upload() -> bytes:
    """Return a multipart form with one file."""
    head = (
        f"--{BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="file"; filename="big.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    data = _file() * (shared.UPLOAD_SIZE // shared.FILE_SIZE)
    return head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


def routes(count: int, only: tuple[str, ...] = ()) -> Workload:
    """Return the request for one route of so many: the one in their middle."""
    path = f"/r{count // 2}/42/x"
    return Workload(
        f"routes-{count}", f"{count:,} routes", path, same("42"), f"routes:{count}", only=only
    )


def content(kind: str) -> tuple[tuple[str, str], ...]:
    """Return the header that says what a body is."""
    return (("content-type", kind),)


def spec(workload: Workload, framework: str) -> str:
    """Return what makes the app for a workload, as `benchmarks.entry` takes it."""
    if workload.app == BLOG and framework != BARE:
        return "blog:create_app"
    return f"benchmarks.apps.{framework}:{workload.app}"


OURS = ("asyncflask",)
BARE = "bare"
BLOGS = ("asyncflask", "flask", BARE)

ALL = (
    Workload("str", "str", "/str", same(shared.TEXT)),
    Workload("json", "JSON", "/json", same_data(lambda: shared.DATA)),
    Workload("path", "`<int:id>`", "/user/42", same("42")),
    routes(10, OURS),
    routes(1000),
    routes(10_000, OURS),
    Workload("sync", "sync view", "/sync", same(shared.TEXT)),
    Workload("sync-32", "sync view, 32 in flight", "/sync", same(shared.TEXT), at_once=32),
    Workload("session", "session, read and written", "/session", same("2"), cookie=True),
    Workload("hooks", "four hooks", "/hooks", same(shared.TEXT), HOOKS),
    Workload("template", "template, 50 rows", "/template", table(50)),
    Workload("template-async", "async template, 50 rows", "/template-async", table(50)),
    Workload(
        "form",
        "form, 10 fields",
        "/form",
        same(",".join(f"value {name}" for name in shared.FIELDS)),
        body=form,
        headers=content("application/x-www-form-urlencoded"),
    ),
    Workload(
        "big-json",
        "1 MB of JSON, in and out",
        "/big-json",
        same_data(big_data),
        body=big_json,
        headers=content("application/json"),
        connections=4,
    ),
    Workload(
        "upload",
        "upload of 10 MB",
        "/upload",
        same(str(shared.UPLOAD_SIZE)),
        body=upload,
        headers=content(f"multipart/form-data; boundary={BOUNDARY}"),
        connections=4,
    ),
    Workload(
        "static",
        "static file of 1 MB",
        f"/static/{shared.FILE}",
        lambda body: body == _file(),
        lasts=True,
        connections=8,
    ),
    Workload(
        "range",
        "1,000 bytes of that file",
        f"/static/{shared.FILE}",
        part_of_file,
        headers=(("range", "bytes=1000-1999"),),
        status=206,
        lasts=True,
    ),
    Workload(
        "stream",
        "stream of 100 x 1 KiB",
        "/stream",
        lambda body: body == shared.CHUNK * shared.CHUNKS,
        lasts=True,
        connections=8,
    ),
    Workload("sse", "100 server-sent events", "/sse", events, lasts=True, connections=8),
    Workload("websocket", "WebSocket echo, a message", "/ws", same(shared.TEXT), websocket=True),
    Workload("db", "SQLite, 10 rows, template", "/db", table(10)),
    Workload(
        "blog",
        "the example blog's index page",
        "/",
        lambda body: b"(199)</a>" in body,  # the newest post's title
        BLOG,
        only=BLOGS,
    ),
)

BY_NAME = {each.name: each for each in ALL}
