"""A blog: accounts, posts, templates and a database, in plain synchronous code."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from pathlib import Path

from asyncflask import Flask, Response

from . import auth, database, errors, forms, posts, text

#: No page of this blog needs a script, a frame or anything from another site.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def create_app(test_config: Mapping[str, t.Any] | None = None) -> Flask:
    """Make the app, with a database that is ready to use.

    :param test_config: settings that win over the defaults. With it, ``instance/config.py`` is
        left unread, so that a test never depends on the machine that it runs on.
    """
    app = Flask(__name__, instance_relative_config=True)
    app.config.update(
        DATABASE=str(Path(app.instance_path, "blog.sqlite")),
        MAX_CONTENT_LENGTH=256 * 1024,  # bytes: the longest post, percent-encoded, fits
        POSTS_PER_PAGE=10,
        SAMPLE_POSTS=True,
        SESSION_COOKIE_SAMESITE="Lax",
    )
    if test_config is None:
        app.config.from_pyfile("config.py", silent=True)
    else:
        app.config.update(test_config)

    app.jinja_options = {**app.jinja_options, "trim_blocks": True, "lstrip_blocks": True}
    for part in (database, forms, auth, posts, text, errors):
        part.init_app(app)
    app.after_request(add_security_headers)

    Path(app.config["DATABASE"]).parent.mkdir(parents=True, exist_ok=True)
    with app.app_context():
        database.create()
        # Every worker process must sign with the same key, so it lies beside the data.
        app.config["SECRET_KEY"] = app.config["SECRET_KEY"] or database.secret_key()
    return app


def add_security_headers(response: Response) -> Response:
    """Tell the browser what a page of this blog may do."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response
