"""Calls that make a thread wait, by name: on an event loop, every other request waits as well."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .finding import Level


@dataclass(frozen=True)
class Wait:
    """A kind of call.

    :param level: how bad it is where it is made on an event loop.
    :param instead: what to do about it: a sentence, without its full stop.
    :param calls: full names, as patterns. ``name()`` stands for what a call of ``name`` returns.
    :param why: what happens.
    """

    level: Level
    instead: str
    calls: tuple[str, ...]
    why: str = "keeps the event loop: all other requests wait for it"


def _each(owners: Iterable[str], names: str) -> tuple[str, ...]:
    return tuple(f"{owner}.{name}" for owner in owners for name in names.split())


_METHODS = "get post put patch delete head options request"
_DATABASE = "Use an async driver; or write the handler without async: it then has a worker thread"

#: The first that matches counts.
WAITS = (
    Wait("error", "Await anyio.sleep(...)", ("time.sleep",)),
    Wait(
        "error",
        "Await the coroutine itself",
        (
            *_each(["asyncio", "asyncio.runners", "anyio", "anyio._core._eventloop"], "run"),
            "asyncio.runners.Runner.run",
            "asyncio.base_events.BaseEventLoop.run_until_complete",
            "*asyncio*.*_event_loop().run_until_complete",
        ),
        "fails with a RuntimeError, since an event loop is running there already",
    ),
    Wait(
        "error",
        "Drop it: nobody sits at the server's terminal",
        ("builtins.input", "getpass.getpass", "getpass.unix_getpass"),
    ),
    Wait(
        "error",
        "Await the same call of an httpx.AsyncClient",
        (
            "requests.api.*",
            *_each(["requests", "requests.sessions.Session", "requests.Session()"], _METHODS),
            *_each(["httpx", "httpx.Client", "httpx.Client()"], f"{_METHODS} stream"),
            "requests.sessions.Session.send",
            "httpx.Client.send",
            *_each(["urllib.request"], "urlopen urlretrieve"),
            *_each(["urllib3", "urllib3.poolmanager.PoolManager"], "request"),
            *_each(["http.client.HTTPConnection"], "connect request getresponse"),
        ),
    ),
    Wait(
        "error",
        "Hand it to a thread with await anyio.to_thread.run_sync(...)",
        (*_each(["smtplib"], "SMTP SMTP_SSL"), "flask_mail.*.send", "flask_mail.*.send_message"),
    ),
    Wait(
        "error",
        "Await anyio.run_process(...)",
        (
            *_each(["subprocess"], "run call check_call check_output getoutput getstatusoutput"),
            *_each(["subprocess.Popen"], "wait communicate"),
            *_each(["os", "posix", "nt"], "system popen wait waitpid"),
        ),
    ),
    Wait(
        "error",
        "Use anyio's sockets, such as anyio.connect_tcp(...)",
        (
            *_each(["socket", "_socket"], "create_connection getaddrinfo gethostbyname"),
            *_each(
                ["socket.socket", "_socket.socket", "socket.create_connection()"],
                "accept connect recv recv_into recvfrom sendall",
            ),
        ),
    ),
    Wait(
        "error",
        "Await asyncio.wrap_future(...), or wait in a thread: await anyio.to_thread.run_sync(...)",
        (
            *_each(["concurrent.futures._base.Future"], "result exception"),
            *_each(["concurrent.futures._base"], "wait as_completed"),
            *_each(["threading.Thread", "multiprocessing.process.BaseProcess"], "join"),
            *_each(["threading.Event", "threading.Condition", "threading.Barrier"], "wait"),
        ),
    ),
    Wait(
        "warning",
        _DATABASE,
        (
            *_each(
                ["sqlite3", "sqlite3.dbapi2", "_sqlite3", "psycopg2", "psycopg", "pymysql"],
                "connect",
            ),
            "psycopg.connection.Connection.connect",
            *_each(["pymysql.connections", "MySQLdb"], "Connection Connect connect"),
            "pymongo.synchronous.collection.Collection.*",
            "redis.client.Redis.*",
        ),
    ),
    Wait(
        "warning",
        _DATABASE,
        (
            *_each(
                [
                    "flask_sqlalchemy.extension.SQLAlchemy.session",
                    "sqlalchemy.orm.session.Session",
                    "sqlalchemy.orm.scoping.scoped_session",
                ],
                "commit execute flush get get_one merge query refresh rollback scalar scalars",
            ),
            *_each(["flask_sqlalchemy.extension.SQLAlchemy"], "*_or_404 paginate"),
            "flask_sqlalchemy.model.Model.query.*",
            *_each(["sqlalchemy.engine.base.Engine"], "begin connect"),
        ),
    ),
    Wait(
        "note",
        "Where the file may be large, use anyio.Path or anyio.open_file()",
        (
            *_each(["builtins.open()", "io.open()", "_io.open()"], "read* write*"),
            *_each(["pathlib*.Path"], "read_* write_*"),
        ),
        "keeps the event loop for as long as the disk takes",
    ),
)


def wait_of(names: Iterable[str]) -> Wait | None:
    """Return the kind of a call that is known under these names, if it makes a thread wait."""
    known = [*names]
    for wait in WAITS:
        if any(fnmatchcase(name, pattern) for name in known for pattern in wait.calls):
            return wait
    return None
