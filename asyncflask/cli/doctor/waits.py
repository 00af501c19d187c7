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
    :param instead: what to write there.
    :param calls: names, full ones, as patterns. ``name()`` is what a call of ``name`` returns.
    :param why: what happens.
    """

    level: Level
    instead: str
    calls: tuple[str, ...]
    why: str = "keeps the event loop: all other requests wait for it"


_NETWORK = "await a call of httpx.AsyncClient"
_SQL = "use an async driver, or write the handler without 'async': it then has a thread of its own"

#: The first that matches counts.
WAITS = (
    Wait("error", "await anyio.sleep(...)", ("time.sleep",)),
    Wait(
        "error",
        "await the coroutine itself",
        (
            "asyncio.run",
            "asyncio.runners.run",
            "asyncio.runners.Runner.run",
            "asyncio.base_events.BaseEventLoop.run_until_complete",
            "asyncio.get_event_loop().run_until_complete",
            "asyncio.new_event_loop().run_until_complete",
            "asyncio.events.*_event_loop().run_until_complete",
            "anyio.run",
            "anyio._core._eventloop.run",
        ),
        "fails with a RuntimeError: the server's event loop runs already",
    ),
    Wait(
        "error",
        "drop it: nobody sits at the server's terminal",
        ("builtins.input", "getpass.getpass", "getpass.unix_getpass"),
    ),
    Wait(
        "error",
        _NETWORK,
        (
            *(
                f"requests.{name}"
                for name in ("get", "post", "put", "patch", "delete", "head", "options", "request")
            ),
            "requests.api.*",
            *(
                f"{client}.{name}"
                for client in ("requests.sessions.Session", "requests.Session()", "httpx.Client()")
                for name in ("get", "post", "put", "patch", "delete", "head", "request", "send")
            ),
            "httpx._client.Client.[ghodprs]*",
            "httpx._api.*",
            *(f"httpx.{name}" for name in ("get", "post", "put", "patch", "delete", "request")),
            "urllib.request.urlopen",
            "urllib.request.urlretrieve",
            "urllib3.request",
            "urllib3.poolmanager.PoolManager.request",
            "http.client.HTTPConnection.request",
            "http.client.HTTPConnection.getresponse",
            "smtplib.SMTP",
            "smtplib.SMTP_SSL",
            "flask_mail.Mail.send",
            "flask_mail._MailMixin.send",
        ),
    ),
    Wait(
        "error",
        "await anyio.run_process(...)",
        (
            *(f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output")),
            *(f"subprocess.{name}" for name in ("getoutput", "getstatusoutput")),
            "subprocess.Popen.wait",
            "subprocess.Popen.communicate",
            "os.system",
            "posix.system",
            "nt.system",
            "os.popen",
            "os.waitpid",
        ),
    ),
    Wait(
        "error",
        "await anyio.connect_tcp(...), or the functions of anyio for names and sockets",
        (
            *(f"socket.{name}" for name in ("create_connection", "getaddrinfo", "gethostbyname")),
            "_socket.getaddrinfo",
            "_socket.gethostbyname",
            *(
                f"{kind}.{name}"
                for kind in ("socket.socket", "_socket.socket", "socket.create_connection()")
                for name in ("accept", "connect", "recv", "recv_into", "recvfrom", "sendall")
            ),
        ),
    ),
    Wait(
        "error",
        "await asyncio.wrap_future(future), or await anyio.to_thread.run_sync(...)",
        (
            "concurrent.futures._base.Future.result",
            "concurrent.futures._base.Future.exception",
            "concurrent.futures._base.wait",
            "concurrent.futures._base.as_completed",
            "threading.Thread.join",
            "threading.Event.wait",
            "threading.Barrier.wait",
            "multiprocessing.process.BaseProcess.join",
            "queue.Queue.join",
        ),
    ),
    Wait(
        "warning",
        _SQL,
        (
            "sqlite3.connect",
            "sqlite3.dbapi2.connect",
            "_sqlite3.connect",
            "psycopg2.connect",
            "psycopg.connect",
            "psycopg.connection.Connection.connect",
            "pymysql.connect",
            "pymysql.connections.Connection",
            "pymysql.connections.Connect",
            "MySQLdb.connect",
            "MySQLdb.Connect",
            "pymongo.synchronous.collection.Collection.*",
            "redis.client.Redis.*",
            "redis.commands.core.*",
        ),
    ),
    Wait(
        "warning",
        _SQL,
        (
            *(
                f"{session}.{name}"
                for session in (
                    "flask_sqlalchemy.extension.SQLAlchemy.session",
                    "sqlalchemy.orm.session.Session",
                    "sqlalchemy.orm.scoping.scoped_session",
                )
                for name in ("commit", "execute", "flush", "get", "get_one", "merge", "query")
                + ("refresh", "rollback", "scalar", "scalars")
            ),
            "flask_sqlalchemy.extension.SQLAlchemy.*_or_404",
            "flask_sqlalchemy.extension.SQLAlchemy.paginate",
            "flask_sqlalchemy.model.Model.query.*",
            "sqlalchemy.engine.base.Engine.begin",
            "sqlalchemy.engine.base.Engine.connect",
        ),
    ),
    Wait(
        "note",
        "await anyio.Path(...).read_text(), or anyio.open_file(...), where the file may be large",
        (
            *(f"{module}.open().read*" for module in ("builtins", "io", "_io")),
            *(f"{module}.open().write*" for module in ("builtins", "io", "_io")),
            "pathlib.Path.read_*",
            "pathlib.Path.write_*",
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
