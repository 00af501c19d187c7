"""Posts: the list, single posts, and what their authors may do with them."""

from __future__ import annotations

import sqlite3
import typing as t

from werkzeug.routing import IntegerConverter, Map

from asyncflask import (
    Blueprint,
    Flask,
    abort,
    current_app,
    flash,
    g,
    redirect,
    render_template,
    request,
    url_for,
)
from asyncflask.typing import ResponseReturnValue

from . import forms
from .auth import members_only
from .database import connection

bp = Blueprint("posts", __name__)

FIELDS = {
    "title": forms.Field("The title", longest=120),
    "text": forms.Field("The text", longest=20_000),
}

SELECT = """
    SELECT post.*, author.name AS author
    FROM post JOIN author ON author.id = post.author_id
"""


class IdConverter(IntegerConverter):
    """``<id:post_id>``: a number that SQLite can hold; for any larger one the URL is unknown."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, min=1, max=2**63 - 1)


class Page(t.NamedTuple):
    """One page of the list."""

    number: int
    last: int
    posts: list[sqlite3.Row]


def find_page(number: int, size: int) -> Page:
    """Return page `number` (from 1) of the list, newest post first, `size` posts a page.

    :raises NotFound: if there is no such page.
    """
    (total,) = connection().execute("SELECT count(*) FROM post").fetchone()
    last = max(1, -(-total // size))
    if not 1 <= number <= last:
        abort(404, f"There is no page {number}: the last one is {last}.")
    rows = connection().execute(
        f"{SELECT} ORDER BY written_at DESC, post.id DESC LIMIT ? OFFSET ?",
        (size, (number - 1) * size),
    )
    return Page(number, last, rows.fetchall())


def find_post(post_id: int) -> sqlite3.Row:
    """Return a post with the name of its author.

    :raises NotFound: if there is none with this id.
    """
    found: sqlite3.Row | None = (
        connection().execute(f"{SELECT} WHERE post.id = ?", (post_id,)).fetchone()
    )
    if found is None:
        abort(404, "There is no such post. It may have been deleted.")
    return found


def find_own_post(post_id: int) -> sqlite3.Row:
    """Return a post of the author who is logged in.

    :raises NotFound: if there is none with this id.
    :raises Forbidden: if it is somebody else's.
    """
    post = find_post(post_id)
    if post["author_id"] != g.author["id"]:
        abort(403, "Only its author may change or delete a post.")
    return post


@bp.get("/")
def index() -> str:
    """Show one page of the list."""
    number = request.args.get("page", default=1, type=int)
    page = find_page(number, current_app.config["POSTS_PER_PAGE"])
    return render_template("posts/index.html", page=page)


@bp.get("/posts/<id:post_id>")
def show(post_id: int) -> str:
    """Show a post."""
    return render_template("posts/show.html", post=find_post(post_id))


@bp.get("/posts/new")
@members_only
def new() -> str:
    """Show the empty form for a post."""
    return render_template("posts/form.html", post=None, values={}, errors={})


@bp.post("/posts/new")
@members_only
def create() -> ResponseReturnValue:
    """Publish a post."""
    values, errors = forms.read(FIELDS)
    if errors:
        return render_template("posts/form.html", post=None, values=values, errors=errors), 422
    with connection() as database:
        cursor = database.execute(
            "INSERT INTO post (author_id, title, text) VALUES (?, ?, ?)",
            (g.author["id"], values["title"], values["text"]),
        )
    flash("Your post is published.")
    return redirect(url_for(".show", post_id=cursor.lastrowid))


@bp.get("/posts/<id:post_id>/edit")
@members_only
def edit(post_id: int) -> str:
    """Show the form with what the post says now."""
    post = find_own_post(post_id)
    return render_template("posts/form.html", post=post, values=post, errors={})


@bp.post("/posts/<id:post_id>/edit")
@members_only
def save(post_id: int) -> ResponseReturnValue:
    """Store a changed post."""
    post = find_own_post(post_id)
    values, errors = forms.read(FIELDS)
    if errors:
        return render_template("posts/form.html", post=post, values=values, errors=errors), 422
    with connection() as database:
        database.execute(
            "UPDATE post SET title = ?, text = ?,"
            " changed_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE id = ?",
            (values["title"], values["text"], post_id),
        )
    flash("Your changes are saved.")
    return redirect(url_for(".show", post_id=post_id))


@bp.post("/posts/<id:post_id>/delete")
@members_only
def delete(post_id: int) -> ResponseReturnValue:
    """Delete a post for good."""
    post = find_own_post(post_id)
    with connection() as database:
        database.execute("DELETE FROM post WHERE id = ?", (post_id,))
    flash(f"“{post['title']}” is deleted.")
    return redirect(url_for(".index"))


def init_app(app: Flask) -> None:
    """Add the pages of the posts."""
    app.url_map.converters["id"] = IdConverter
    app.register_blueprint(bp)
