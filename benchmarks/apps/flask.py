"""Flask's app, a WSGI application: all its views are sync, which is what it is fastest with.

Settings, and where its documentation has them:

- JSON by orjson, in both directions (JSON provider), with the provider that its team maintains;
- debugging is off, so that templates are not looked at again (configuration:
  TEMPLATES_AUTO_RELOAD).

Absent: WebSockets, which WSGI has not, and templates rendered async, which Flask does not do. What
is streamed comes from sync generators, since WSGI has no others (patterns: streaming contents).
"""

from __future__ import annotations

import typing as t

import flask
from flask_orjson import OrjsonProvider

from . import shared


def text() -> str:
    """Answer with a text."""
    return shared.TEXT


def user(id: int) -> str:
    """Answer with the parameter of the path."""
    return str(id)


def main() -> flask.Flask:
    """Return the app."""
    app = flask.Flask(
        __name__, template_folder=shared.TEMPLATES, static_folder=str(shared.static())
    )
    app.secret_key = shared.SECRET
    app.json = OrjsonProvider(app)
    app.add_url_rule("/str", "str", text)
    app.add_url_rule("/sync", "sync", text)
    app.add_url_rule("/user/<int:id>", "user", user)

    @app.get("/json")
    def data() -> dict[str, str]:
        return shared.DATA

    @app.get("/session")
    def counter() -> str:
        flask.session["counter"] = flask.session.get("counter", 0) + 1
        return str(flask.session["counter"])

    @app.get("/template")
    def table() -> str:
        return flask.render_template(shared.TEMPLATE, items=shared.ROWS)

    @app.get("/db")
    def database() -> str:
        return flask.render_template(shared.TEMPLATE, items=shared.rows())

    @app.post("/form")
    def form() -> str:
        fields = flask.request.form
        return ",".join(fields[name] for name in shared.FIELDS)

    @app.post("/big-json")
    def big() -> t.Any:
        return flask.request.get_json()

    @app.post("/upload")
    def upload() -> str:
        return str(len(flask.request.files["file"].read()))

    @app.get("/stream")
    def stream() -> flask.Response:
        pieces = (shared.CHUNK for _ in range(shared.CHUNKS))
        return flask.Response(pieces, mimetype="text/plain")

    @app.get("/sse")
    def events() -> flask.Response:
        pieces = (f"data: {number}\n\n" for number in range(shared.EVENTS))
        return flask.Response(pieces, mimetype="text/event-stream")

    return app


def hooks() -> flask.Flask:
    """Return the app with two hooks before and two after its view."""
    app = flask.Flask(__name__)

    def before() -> None:
        pass

    def after(response: flask.Response) -> flask.Response:
        return response

    for _ in range(2):
        app.before_request(before)
        app.after_request(after)
    app.add_url_rule("/hooks", "hooks", text)
    return app


def routes(count: int) -> flask.Flask:
    """Return an app with so many routes."""
    app = flask.Flask(__name__)
    for number in range(count):
        app.add_url_rule(f"/r{number}/<int:id>/x", f"r{number}", user)
    return app
