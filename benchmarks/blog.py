"""The index page of the example blog: ours under uvicorn, and Flask's under each gunicorn worker.

Both run the example's files: ours as they are, Flask's with ``flask`` for ``asyncflask`` in their
imports. Both read the same SQLite file, and must answer with the same page, byte for byte.
"""

from __future__ import annotations

import re
import runpy
import shutil
import sqlite3
import sys
import tempfile
import typing as t
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from . import environment
from .rounds import Bound, Cell, Cells
from .server import Server, ServerError, serving, uvicorn

TITLE = "blog"
EXAMPLE = environment.HOME / "examples/blog/blog"
WORK = "index page"
OURS = "asyncflask on uvicorn"
CONNECTIONS = 32

#: Each way that gunicorn has to run a WSGI app in one process; the best counts.
WORKERS = {
    "Flask on gunicorn sync": ["--worker-class=sync"],
    "Flask on gunicorn gthread, 1 thread": ["--worker-class=gthread", "--threads=1"],
    "Flask on gunicorn gthread, 4 threads": ["--worker-class=gthread", "--threads=4"],
    "Flask on gunicorn gthread, 32 threads": ["--worker-class=gthread", "--threads=32"],
    "Flask on gunicorn gevent": ["--worker-class=gevent"],
}
GUNICORN = (
    *("-m", "gunicorn", "--bind=127.0.0.1:{port}", "--workers=1"),
    *("--log-level=warning", "--no-control-socket"),
)

IMPORT = re.compile(r"^(from|import) asyncflask\b", re.MULTILINE)
AUTHORS, POSTS = 20, 200


def bounds() -> list[Bound]:
    """Return what must hold."""
    theirs = [(WORK, name) for name in WORKERS]
    return [Bound("server CPU of the blog: asyncflask / best Flask", (WORK, OURS), theirs, 1 / 3)]


def write_posts(file: Path) -> None:
    """Fill a database of the blog's, the same each time: the sample posts, again and again."""
    samples = runpy.run_path(str(EXAMPLE / "samples.py"))["POSTS"]
    first = datetime(2026, 1, 1, tzinfo=UTC)
    with closing(sqlite3.connect(file)) as database, database:
        database.executescript((EXAMPLE / "schema.sql").read_text())
        names = [(f"Author {number}", "-") for number in range(1, AUTHORS + 1)]
        database.executemany("INSERT INTO author (name, password_hash) VALUES (?, ?)", names)
        for number in range(POSTS):
            written_at = f"{first + timedelta(hours=number):%Y-%m-%dT%H:%M:%SZ}"
            sample = samples[number % len(samples)]
            database.execute(
                "INSERT INTO post (author_id, written_at, title, text) VALUES (?, ?, ?, ?)",
                (number % AUTHORS + 1, written_at, f"{sample.title} ({number})", sample.text),
            )
        database.execute("PRAGMA user_version = 1")  # so that the blog adds no samples


def install(folder: Path, database: Path, imported: str) -> Path:
    """Copy the example to a folder, with settings for a database elsewhere, and return the folder.

    :param imported: what it imports in place of asyncflask.
    """
    shutil.copytree(EXAMPLE, folder / "blog", ignore=shutil.ignore_patterns("__pycache__"))
    for source in (folder / "blog").glob("*.py"):
        source.write_text(IMPORT.sub(rf"\1 {imported}", source.read_text()))
    (folder / "instance").mkdir()
    (folder / "instance/config.py").write_text(f"DATABASE = {str(database)!r}\n")
    return folder


def cell(server: Server, page: bytes, seconds: float) -> Cell:
    """Return what measures the index page of a server.

    :param page: what it has to be.
    :raises ServerError: if it is another.
    """
    if server.get("/") != page:
        raise ServerError(f"{server.name} answers with another index page")
    return lambda: server.cost("/", page, seconds, CONNECTIONS)


@contextmanager
def cells(seconds: float) -> t.Iterator[Cells]:
    """Give what is to be measured, with the servers running.

    :param seconds: for each.
    :raises ServerError: if a server does not start, or answers wrongly.
    """
    python = environment.python(environment.PEERS)
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_posts(home / "blog.sqlite")
        ours = install(home / "ours", home / "blog.sqlite", "asyncflask")
        theirs = install(home / "theirs", home / "blog.sqlite", "flask")
        server = stack.enter_context(
            serving(OURS, sys.executable, *uvicorn("blog:create_app"), folder=ours)
        )
        page = server.get("/")
        if f"({POSTS - 1})</a>".encode() not in page:
            raise ServerError(f"{OURS} does not show the newest post: {page[:500]!r}")
        found = {(WORK, OURS): cell(server, page, seconds)}
        for name, worker in WORKERS.items():
            command = (*GUNICORN, *worker, "blog:create_app()")
            server = stack.enter_context(serving(name, python, *command, folder=theirs))
            found[WORK, name] = cell(server, page, seconds)
        yield found
