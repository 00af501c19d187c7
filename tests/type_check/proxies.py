"""What the proxies are for a type checker, in a view and in the functions that it calls."""

from __future__ import annotations

import typing as t

from werkzeug.datastructures import FileStorage, ImmutableMultiDict, MultiDict

from asyncflask import (
    Flask,
    Request,
    abort,
    copy_current_request_context,
    current_app,
    flash,
    g,
    get_flashed_messages,
    has_request_context,
    request,
    session,
    url_for,
)
from asyncflask.globals import app_ctx, request_ctx
from asyncflask.sessions import SessionMixin

app = Flask(__name__, instance_relative_config=True)


@app.post("/books/<int:number>")
async def read_everything(number: int) -> dict[str, t.Any]:
    t.assert_type(request, Request)
    t.assert_type(request.method, str)
    t.assert_type(request.args, MultiDict[str, str])
    t.assert_type(request.form, ImmutableMultiDict[str, str])
    t.assert_type(request.files, ImmutableMultiDict[str, FileStorage])
    t.assert_type(request.get_data(), bytes)
    t.assert_type(request.endpoint, str | None)
    t.assert_type(request.blueprints, list[str])
    t.assert_type(request.args.get("page", 1, type=int), int)
    body = request.get_json(silent=True) or request.json
    return {"body": body, "path": request.path, "again": url_for("read_everything", number=number)}


@app.get("/user")
def user() -> str:
    t.assert_type(session, SessionMixin)
    session["seen"] = session.get("seen", 0) + 1
    session.permanent = True
    g.user = "ann"
    name: str = g.get("user", "nobody")
    if "user" not in g or not name:
        abort(403, "Log in first.")
    flash("Hello", category="greeting")
    t.assert_type(current_app, Flask)
    current_app.logger.info("%s sees %s", name, get_flashed_messages(with_categories=True))
    return name


def helper() -> int:
    if not has_request_context():
        abort(500)

    @copy_current_request_context
    def later(factor: int) -> int:
        return (request.content_length or 0) * factor

    current: Flask = app_ctx.app
    assert current.name
    t.assert_type(request_ctx.request, Request)
    return later(2)


def unreachable_after_abort(value: int | None) -> int:
    if value is None:
        abort(404)
    return value
