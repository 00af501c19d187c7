"""A database whose connections are bound to the threads that open them."""

from __future__ import annotations

import sqlite3
import threading
import typing as t
from collections import Counter
from pathlib import Path

from asyncflask import g


class Database:
    """A file that each request opens, uses and closes, as in Flask's tutorial."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.errors: list[Exception] = []
        self.opened: Counter[int] = Counter()
        self.closed: Counter[int] = Counter()
        self.closing_threads: Counter[str] = Counter()
        with sqlite3.connect(file) as database:
            database.execute("create table notes (text text)")
            database.execute("insert into notes values ('kept')")
        database.close()

    def open(self) -> None:
        g.db = sqlite3.connect(self._file)
        self.opened[threading.get_ident()] += 1

    def query(self) -> str:
        try:
            (text,) = g.db.execute("select text from notes").fetchone()
        except Exception as error:
            self.errors.append(error)
            raise
        return t.cast("str", text)

    def close(self, error: BaseException | None) -> None:
        try:
            g.db.close()
        except Exception as failed:
            self.errors.append(failed)
        else:
            self.closed[threading.get_ident()] += 1
            self.closing_threads[threading.current_thread().name] += 1
