"""The example blog, ours and Flask's, with one database for both.

Both run the example's files: ours as they are, Flask's with ``flask`` for ``asyncflask`` in their
imports. What needs no framework takes the queries, templates and filters from them.
"""

from __future__ import annotations

import re
import runpy
import shutil
import sqlite3
import tempfile
import typing as t
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from . import environment
from .workloads import BARE, BLOGS

EXAMPLE = environment.HOME / "examples/blog/blog"
IMPORT = re.compile(r"^(from|import) asyncflask\b", re.MULTILINE)
AUTHORS, POSTS = 20, 200


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


@contextmanager
def installed() -> t.Iterator[dict[str, Path]]:
    """Give the folder in which each framework finds its ``blog``, for the time of a block."""
    imported = {name: name for name in BLOGS} | {BARE: "asyncflask"}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_posts(home / "blog.sqlite")
        yield {name: install(home / name, home / "blog.sqlite", imported[name]) for name in BLOGS}
