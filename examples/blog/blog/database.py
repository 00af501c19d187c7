"""The database: one SQLite file, and one connection for each request that asks for it."""

from __future__ import annotations

import secrets
import sqlite3

import click

from asyncflask import Flask, current_app, g
from asyncflask.cli import with_appcontext

from .samples import AUTHOR, POSTS


def connection() -> sqlite3.Connection:
    """Return this request's connection, opened when it is first asked for.

    SQLite insists that a connection stays in the thread that opened it. It does: all the
    synchronous code of one request, its teardown included, runs in one thread.
    """
    if "database" not in g:
        g.database = sqlite3.connect(current_app.config["DATABASE"])
        g.database.row_factory = sqlite3.Row
        g.database.execute("PRAGMA foreign_keys = ON")
    opened: sqlite3.Connection = g.database
    return opened


def close(error: BaseException | None = None) -> None:
    """Close the connection of the request that ends, if it opened one."""
    opened = g.pop("database", None)
    if opened is not None:
        opened.close()


def create() -> None:
    """Create what is missing, and fill a new database with sample posts. Loses nothing."""
    database = connection()
    with current_app.open_resource("schema.sql", "r") as script:
        database.executescript(script.read())
    with database:
        # Of several processes that start at once, one gets the write lock; the others find 1.
        database.execute("BEGIN IMMEDIATE")
        (filled,) = database.execute("PRAGMA user_version").fetchone()
        if not filled and current_app.config["SAMPLE_POSTS"]:
            add_samples(database)
        database.execute("PRAGMA user_version = 1")


def clear() -> None:
    """Delete all authors and posts. Their ids are never given again, so old logins end here."""
    with connection() as database:
        database.execute("DELETE FROM post")
        database.execute("DELETE FROM author")
        database.execute("PRAGMA user_version = 0")


def add_samples(database: sqlite3.Connection) -> None:
    """Write the sample posts. Nobody can log in as their author: no password has this hash."""
    cursor = database.execute("INSERT INTO author (name, password_hash) VALUES (?, '-')", (AUTHOR,))
    database.executemany(
        "INSERT INTO post (author_id, written_at, title, text) VALUES (?, ?, ?, ?)",
        [(cursor.lastrowid, *post) for post in POSTS],
    )


def secret_key() -> str:
    """Return the key that signs sessions: made at random once, then kept."""
    with connection() as database:
        database.execute(
            "INSERT OR IGNORE INTO setting VALUES ('secret_key', ?)", (secrets.token_hex(32),)
        )
    row = connection().execute("SELECT value FROM setting WHERE name = 'secret_key'").fetchone()
    return str(row["value"])


@click.command("init-db")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_appcontext
def init_db(yes: bool) -> None:
    """Delete all authors and posts, and start again with the sample posts."""
    if not yes:
        click.confirm("This deletes every author and every post. Go on?", abort=True)
    clear()
    create()
    click.echo(f"{current_app.config['DATABASE']} is as new.")


def init_app(app: Flask) -> None:
    """Close connections when their requests end, and add the command ``init-db``."""
    app.teardown_appcontext(close)
    app.cli.add_command(init_db)
