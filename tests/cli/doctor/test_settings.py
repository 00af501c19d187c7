from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterator
from functools import wraps
from secrets import token_hex

import pytest
from sqlalchemy import NullPool, create_engine

import asyncflask
from asyncflask import Flask, flash, session
from asyncflask.cli.doctor.finding import Finding
from asyncflask.cli.doctor.settings import (
    check_body_size,
    check_debug,
    check_hosts,
    check_pool_sizes,
    check_secret_key,
    check_session_cookie,
    check_session_interface,
    check_weak_keys,
)
from asyncflask.sessions import SecureCookieSessionInterface, SessionInterface

KEY = token_hex()


def index() -> str:
    return ""


def visits() -> str:
    session["visits"] = 1
    return ""


async def flashes() -> str:
    flash("done")
    return ""


async def by_the_module() -> str:
    asyncflask.session["visits"] = 1
    return ""


def decorated() -> t.Any:
    @wraps(visits)
    def wrapper() -> str:
        return visits()

    return wrapper


def make(view: t.Any = index, **config: t.Any) -> Flask:
    app = Flask("demo", static_folder=None)
    app.add_url_rule("/", "index", view)
    app.config.update(config)
    return app


def places(check: Callable[[t.Any], Iterator[Finding]], app: Flask) -> list[tuple[str, str]]:
    return [(finding.level, finding.place) for finding in check(app)]


@pytest.mark.parametrize("view", [visits, flashes, by_the_module, decorated()])
def test_a_missing_key(view: t.Any) -> None:
    (finding,) = check_secret_key(make(view))
    assert (finding.level, finding.place) == ("error", "SECRET_KEY")
    assert "the view 'index'" in finding.what


def test_a_missing_key_that_an_extension_needs() -> None:
    app = make()
    app.extensions["csrf"] = object()
    assert "Flask-WTF" in next(check_secret_key(app)).what
    app = make()
    app.login_manager = object()
    assert "Flask-Login" in next(check_secret_key(app)).what


def test_a_key_that_nobody_misses() -> None:
    assert places(check_secret_key, make()) == []
    assert places(check_secret_key, make(visits, SECRET_KEY=KEY)) == []
    app = make(visits)
    app.session_interface = SessionInterface()
    assert places(check_secret_key, app) == []


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("dev", "everybody knows"),
        (b"Secret-Key", "everybody knows"),
        ("the quick brown fox jumps over the lazy dog", "everybody knows"),
        ("k3j4h5kj3h4", "only 11 bytes"),
        (b"\xff" * 15, "only 15 bytes"),
        ("abababababababababababab", "only 2 different bytes"),
    ],
)
def test_weak_keys(key: str | bytes, reason: str) -> None:
    (finding,) = check_weak_keys(make(SECRET_KEY=key))
    assert (finding.level, finding.place) == ("error", "SECRET_KEY")
    assert reason in finding.what
    assert places(check_weak_keys, make(SECRET_KEY=key, DEBUG=True)) == [("warning", "SECRET_KEY")]


def test_a_weak_fallback() -> None:
    app = make(SECRET_KEY=KEY, SECRET_KEY_FALLBACKS=[KEY, "old"])
    assert places(check_weak_keys, app) == [("error", "SECRET_KEY_FALLBACKS")]


@pytest.mark.parametrize(
    "key",
    [None, KEY, KEY.encode(), "8a7s6df87a6s8d76"],
    ids=["none", "text", "bytes", "short"],  # by chance, each process that runs tests has another
)
def test_keys_that_will_do(key: str | bytes | None) -> None:
    assert places(check_weak_keys, make(SECRET_KEY=key)) == []


def test_debug() -> None:
    assert places(check_debug, make(DEBUG=True)) == [("warning", "DEBUG")]
    assert places(check_debug, make(DEBUG=False)) == []


def test_the_session_cookie() -> None:
    found = [("warning", "SESSION_COOKIE_SECURE")]
    assert places(check_session_cookie, make(visits, SECRET_KEY=KEY)) == found
    secure = make(visits, SECRET_KEY=KEY, SESSION_COOKIE_SECURE=True)
    assert places(check_session_cookie, secure) == []
    assert places(check_session_cookie, make(SECRET_KEY=KEY)) == []


def test_the_size_of_bodies() -> None:
    (finding,) = check_body_size(make(MAX_BUFFERED_BODY=1234567))
    assert (finding.level, finding.place) == ("note", "MAX_CONTENT_LENGTH")
    assert "MAX_BUFFERED_BODY (1,234,567 bytes)" in finding.what
    assert places(check_body_size, make(MAX_CONTENT_LENGTH=1)) == []


def test_hosts() -> None:
    assert places(check_hosts, make()) == [("note", "TRUSTED_HOSTS")]
    trusting = make(TRUSTED_HOSTS=["example.org"])
    assert places(check_hosts, trusting) == []
    trusting.config["SERVER_NAME"] = "example.org"
    assert places(check_hosts, trusting) == [("note", "SERVER_NAME")]


class Other(SecureCookieSessionInterface):
    pass


def test_the_session_interface() -> None:
    app = make()
    assert places(check_session_interface, app) == []
    app.session_interface = Other()
    (finding,) = check_session_interface(app)
    assert f"{__name__}.Other opens" in finding.what


class Engines:
    """Engines as Flask-SQLAlchemy has them. Its own class would ask the real Flask for the app:
    `test_command` does it, under the alias and in a process of its own.
    """

    def __init__(self, **engines: t.Any) -> None:
        self._engines = {name if name != "default" else None: one for name, one in engines.items()}

    @property
    def engines(self) -> dict[str | None, t.Any]:
        assert asyncflask.current_app
        return self._engines


def engine(**options: t.Any) -> t.Any:
    return create_engine("sqlite:////nowhere/to/be/found.sqlite", **options)


def test_fewer_connections_than_threads() -> None:
    app = make(SYNC_WORKERS=40)
    app.extensions["sqlalchemy"] = Engines(default=engine(), other=engine(pool_size=1))
    first, other = check_pool_sizes(app)
    assert (first.level, first.place) == ("warning", "SYNC_WORKERS")
    assert "40 worker threads share 15 connections of the SQLAlchemy engine:" in first.what
    assert "share 11 connections of the SQLAlchemy engine 'other':" in other.what


@pytest.mark.parametrize(
    "options",
    [
        {"pool_size": 20, "max_overflow": 20},
        {"max_overflow": -1},
        {"pool_size": 0},
        {"poolclass": NullPool},
    ],
)
def test_connections_for_all_threads(options: dict[str, t.Any]) -> None:
    app = make(SYNC_WORKERS=40)
    app.extensions["sqlalchemy"] = Engines(default=engine(**options))
    assert places(check_pool_sizes, app) == []


@pytest.mark.parametrize("extension", [None, object()])
def test_no_engines(extension: object) -> None:
    app = make()
    if extension is not None:
        app.extensions["sqlalchemy"] = extension
    assert places(check_pool_sizes, app) == []
