"""Settings that are unsafe in production, or mean something else here than in Flask."""

from __future__ import annotations

import sys
import typing as t
from collections.abc import Iterator
from types import FunctionType

from ... import _current
from ...aliasing import OURS
from ...helpers import flash
from ...sessions import SecureCookieSessionInterface
from .finding import Finding, name_of
from .handlers import handlers

#: Bytes below which a key can be guessed: half of what `secrets.token_hex()` gives.
SHORT = 16

#: What people write into SECRET_KEY while they are trying things out, in lower case.
WELL_KNOWN = frozenset(
    {
        "change me",
        "change-me",
        "change_me",
        "changeme",
        "default-secret-key",
        "dev",
        "dev-secret-key",
        "development",
        "development key",
        "hard to guess string",
        "my-secret-key",
        "mysecretkey",
        "replace-me",
        "secret",
        "secret-key",
        "secret_key",
        "super-secret-key",
        "supersecretkey",
        "the quick brown fox jumps over the lazy dog",
        "this-is-a-secret-key",
        "you-will-never-guess",
        "your-secret-key",
        "your_secret_key",
        "your-secret-key-here",
    }
)

_NEW_KEY = (
    "Set a random one, and keep it out of the code:"
    " python -c 'import secrets; print(secrets.token_hex())'."
)


def check_secret_key(app: t.Any) -> Iterator[Finding]:
    """Find a SECRET_KEY that is missing though sessions are used."""
    user = _user_of_sessions(app)
    if not app.secret_key and user and _signs_cookies(app):
        yield Finding(
            "error",
            "SECRET_KEY",
            f"Not set, but the session is used by {user}: to change it is a RuntimeError.",
            _NEW_KEY,
        )


def check_weak_keys(app: t.Any) -> Iterator[Finding]:
    """Find keys that can be guessed."""
    keys = [("SECRET_KEY", app.secret_key)]
    keys += [("SECRET_KEY_FALLBACKS", key) for key in app.config["SECRET_KEY_FALLBACKS"] or ()]
    for setting, key in keys:
        reason = _weakness(key) if key else None
        if reason:
            yield Finding(
                "warning" if app.debug or app.testing else "error",
                setting,
                f"{reason}: who guesses it can sign sessions of any content, and be anybody.",
                _NEW_KEY,
            )


def _weakness(key: str | bytes) -> str | None:
    data = key.encode() if isinstance(key, str) else bytes(key)
    if data.decode(errors="replace").strip().lower() in WELL_KNOWN:
        return "A key that everybody knows"
    if len(data) < SHORT:
        return f"A key of only {len(data)} bytes"
    if len(set(data)) < SHORT // 4:
        return f"A key of only {len(set(data))} different bytes"
    return None


def check_debug(app: t.Any) -> Iterator[Finding]:
    """Find debug mode."""
    if app.debug:
        yield Finding(
            "warning",
            "DEBUG",
            "On: error pages show the app's code and data to whoever causes an error.",
            "Leave it to 'asyncflask --debug run' and FLASK_DEBUG; never set it in production.",
        )


def check_session_cookie(app: t.Any) -> Iterator[Finding]:
    """Find a session cookie that is sent over plain HTTP too."""
    if app.secret_key and not app.config["SESSION_COOKIE_SECURE"] and _user_of_sessions(app):
        yield Finding(
            "warning",
            "SESSION_COOKIE_SECURE",
            "Off: browsers send the session cookie over plain HTTP too, where it can be stolen.",
            "Set it to True where the app is served over HTTPS.",
        )


def check_body_size(app: t.Any) -> Iterator[Finding]:
    """Tell what an unlimited request body means."""
    if app.config["MAX_CONTENT_LENGTH"] is None:
        ahead = app.config["MAX_BUFFERED_BODY"]
        yield Finding(
            "note",
            "MAX_CONTENT_LENGTH",
            "Not set: plain views read bodies of any size, as in Flask. For async views a body is"
            f" read ahead up to MAX_BUFFERED_BODY ({ahead:,} bytes); a longer one is a 413 there.",
            "Set the size that the app needs. For a route that takes more:"
            " @app.post(..., stream_body=True).",
        )


def check_hosts(app: t.Any) -> Iterator[Finding]:
    """Tell what the app believes of the Host header."""
    if not app.config["TRUSTED_HOSTS"]:
        yield Finding(
            "note",
            "TRUSTED_HOSTS",
            "Not set: the app answers to any Host header, and url_for(..., _external=True)"
            " repeats it, such as in mails with links.",
            "List the app's hosts, or have a proxy in front of it that lets no others through.",
        )
    if app.config["SERVER_NAME"]:
        yield Finding(
            "note",
            "SERVER_NAME",
            "Set: URLs that are built outside of requests have that host, and subdomains are told"
            " by it. It restricts no requests to that host, as in Flask since 3.1.",
            "Use TRUSTED_HOSTS to restrict them.",
        )


def check_pool_sizes(app: t.Any) -> Iterator[Finding]:
    """Compare the number of worker threads with the connections that SQLAlchemy has for them."""
    workers = app.config["SYNC_WORKERS"]
    for name, engine in _engines(app):
        size = getattr(engine.pool, "size", None)
        more = getattr(engine.pool, "_max_overflow", None)
        if not callable(size) or more is None or size() <= 0 or more < 0:
            continue  # a pool without a limit
        connections = size() + more
        if connections < workers:
            yield Finding(
                "warning",
                "SYNC_WORKERS",
                f"{workers} worker threads share {connections} connections of the SQLAlchemy"
                f" engine{name}: under load the others wait, and fail after pool_timeout seconds.",
                "Make both equal: SYNC_WORKERS, or pool_size + max_overflow in"
                " SQLALCHEMY_ENGINE_OPTIONS.",
            )


def _engines(app: t.Any) -> Iterator[tuple[str, t.Any]]:
    database = app.extensions.get("sqlalchemy")
    if hasattr(type(database), "engines"):  # Flask-SQLAlchemy, 3.0 or newer
        with app.app_context():
            engines = dict(database.engines)
        for key, engine in engines.items():
            yield "" if key is None else f" {key!r}", engine


def _signs_cookies(app: t.Any) -> bool:
    return isinstance(app.session_interface, SecureCookieSessionInterface)


def _user_of_sessions(app: t.Any) -> str | None:
    """Return what uses the session, as far as one can see; None if nothing seems to."""
    if hasattr(app, "login_manager"):
        return "Flask-Login"
    if "csrf" in app.extensions:
        return "Flask-WTF"
    for handler in handlers(app):
        func = handler.coroutine_function() or handler.func
        while isinstance(inner := getattr(func, "__wrapped__", None), FunctionType):
            func = inner
        if isinstance(func, FunctionType) and _names_session(func):
            return f"the {handler.role}"
    return None


def _names_session(func: FunctionType) -> bool:
    names = func.__code__.co_names
    named = [func.__globals__.get(name) for name in names]
    if any(value is one for value in named for one in (_current.session, flash)):
        return True
    package = sys.modules[OURS]  # flask.session, with the module as its name
    return any(value is package for value in named) and not {"session", "flash"}.isdisjoint(names)


def check_session_interface(app: t.Any) -> Iterator[Finding]:
    """Tell of a session interface that is not the app's own: it is called in a thread."""
    if type(app.session_interface) is not SecureCookieSessionInterface:
        yield Finding(
            "note",
            "app.session_interface",
            f"{name_of(app.session_interface)} opens and saves the sessions. It may block, so it is"
            " called in a worker thread, for requests that do not need their session too.",
            "Nothing, if you can afford the thread.",
        )
