"""What the apps of all frameworks share: texts, rows, files. It needs the standard library only."""

from __future__ import annotations

import os
import random
import sqlite3
import typing as t
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from functools import cache
from pathlib import Path

TEXT = "Hello, World!"
DATA = {"message": TEXT}

#: The names of the fields of the form.
FIELDS = tuple(f"f{number}" for number in range(10))

#: The body that is streamed: so many pieces, each of them this one.
CHUNKS, CHUNK = 100, b"c" * 1023 + b"\n"

#: How many events are sent: ``data: 0`` and so on.
EVENTS = 100

#: Signs the cookies of sessions; no secret.
SECRET = "one key for every framework that signs its cookies"

#: The templates' folder, and the name of the one that there is. It is given `items`.
TEMPLATES, TEMPLATE = Path(__file__).parent / "templates", "items.html"

#: The table's rows. Every second name has something to escape.
ROWS: list[dict[str, t.Any]] = [
    {"id": number, "name": f"Item {number}{' <new>' * (number % 2)}", "price": number * 1.25}
    for number in range(50)
]

QUERY = "SELECT id, name, price FROM item ORDER BY id LIMIT 10"

#: The bytes of the static file, and of the upload.
FILE_SIZE, UPLOAD_SIZE = 1 << 20, 10 << 20

#: Where files are put that are made when first asked for; git ignores it.
FOLDER = Path(__file__).resolve().parent.parent.parent / ".benchmarks"

#: The name of the static file.
FILE = "big.bin"


async def chunks() -> AsyncGenerator[bytes, None]:
    """Yield the body that is streamed."""
    for _ in range(CHUNKS):
        yield CHUNK


async def numbers() -> AsyncGenerator[str, None]:
    """Yield what the events say."""
    for number in range(EVENTS):
        yield str(number)


def rows() -> list[sqlite3.Row]:
    """Return the database's ten rows, by a connection of the caller's own."""
    with closing(sqlite3.connect(database())) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(QUERY).fetchall()


@cache
def database() -> Path:
    """Return the SQLite file, which is made if it is not there."""

    def write(file: Path) -> None:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL)")
            connection.executemany("INSERT INTO item VALUES (:id, :name, :price)", ROWS)

    return _made("items.sqlite", write)


@cache
def static() -> Path:
    """Return the folder of static files, which is made if it is not there."""

    def write(file: Path) -> None:
        file.write_bytes(random.Random(0).randbytes(FILE_SIZE))  # does not compress

    return _made(f"static/{FILE}", write).parent


def _made(name: str, write: Callable[[Path], None]) -> Path:
    """Return a file of the folder, written whole or not at all: several processes may want it."""
    file = FOLDER / name
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.{os.getpid()}")
        write(fresh)
        fresh.replace(file)
    return file
