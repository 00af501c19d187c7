"""Accounts: register, log in, log out, and views for members only."""

from __future__ import annotations

import functools
import re
import sqlite3
import typing as t

from werkzeug.security import check_password_hash, generate_password_hash

from asyncflask import (
    Blueprint,
    Flask,
    flash,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from asyncflask.typing import ResponseReturnValue

from . import forms
from .database import connection

bp = Blueprint("auth", __name__)

NAME = forms.Field("The name", longest=40)
NEW_PASSWORD = forms.Field("The password", longest=200, shortest=8, secret=True)
PASSWORD = forms.Field("The password", longest=200, secret=True)

#: Not "//host" and not "/\\host", which browsers take for another site; tabs, which they skip.
LOCAL_PATH = re.compile(r"/(?!/)[^\\\s\x00-\x1f\x7f]*")

P = t.ParamSpec("P")


@bp.before_app_request
def find_author() -> None:
    """Look up who is logged in; `g.author` is None for a visitor."""
    g.author = None
    if request.endpoint != "static" and "author_id" in session:
        g.author = (
            connection()
            .execute("SELECT id, name FROM author WHERE id = ?", (session["author_id"],))
            .fetchone()
        )


def members_only(view: t.Callable[P, ResponseReturnValue]) -> t.Callable[P, ResponseReturnValue]:
    """Send visitors to the login page, and from there back to where they were going."""

    @functools.wraps(view)
    def checked(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        if g.author is not None:
            return view(*args, **kwargs)
        flash("Please log in first.")
        target = request.full_path.rstrip("?") if request.method == "GET" else None
        return redirect(url_for("auth.login", next=target))

    return checked


@bp.get("/register")
def register() -> str:
    """Show the empty form for a new account."""
    return render_template("auth/register.html", values={}, errors={})


@bp.post("/register")
def create_account() -> ResponseReturnValue:
    """Create the account and log its owner in."""
    values, errors = forms.read({"name": NAME, "password": NEW_PASSWORD})
    author_id = None if errors else add_author(values["name"], values["password"])
    if author_id is None:
        errors = errors or {"name": "This name is taken. Please choose another one."}
        return render_template("auth/register.html", values=values, errors=errors), 422
    start_session(author_id)
    flash(f"Welcome, {values['name']}!")
    return redirect(url_for("posts.index"))


@bp.get("/login")
def login() -> str:
    """Show the empty login form."""
    return render_template("auth/login.html", values={}, errors={})


@bp.post("/login")
def start_login() -> ResponseReturnValue:
    """Log in, if name and password belong together."""
    values, errors = forms.read({"name": NAME, "password": PASSWORD})
    author_id = None if errors else verify(values["name"], values["password"])
    if author_id is None:
        # The same words in both cases: nobody learns here which names exist.
        errors = errors or {"name": "Name and password do not belong together."}
        return render_template("auth/login.html", values=values, errors=errors), 422
    start_session(author_id)
    flash("You are logged in.")
    return redirect(local_path(request.args.get("next")))


@bp.post("/logout")
def logout() -> ResponseReturnValue:
    """End the session. A POST: a link or an image on another site must not log anybody out."""
    session.clear()
    flash("You are logged out.")
    return redirect(url_for("posts.index"))


def add_author(name: str, password: str) -> int | None:
    """Create an account and return its id, or None if the name is taken."""
    try:
        with connection() as database:
            cursor = database.execute(
                "INSERT INTO author (name, password_hash) VALUES (?, ?)",
                (name, generate_password_hash(password)),
            )
    except sqlite3.IntegrityError:
        return None
    return cursor.lastrowid


def verify(name: str, password: str) -> int | None:
    """Return the id of the author with this name and password, or None."""
    row = (
        connection()
        .execute("SELECT id, password_hash FROM author WHERE name = ?", (name,))
        .fetchone()
    )
    # An unknown name costs a hash as well, so that the time taken gives nothing away either.
    known = row["password_hash"] if row else hash_of_nothing()
    return row["id"] if check_password_hash(known, password) and row else None


@functools.cache
def hash_of_nothing() -> str:
    """Return a hash to compare with where there is no account."""
    return generate_password_hash("")


def start_session(author_id: int) -> None:
    """Log in. Nothing of the visitor's session is kept, its token least of all."""
    session.clear()
    session["author_id"] = author_id


def local_path(target: str | None) -> str:
    """Return `target` if it is a path on this site, else the front page: no open redirects."""
    return target if target and LOCAL_PATH.fullmatch(target) else url_for("posts.index")


def init_app(app: Flask) -> None:
    """Add the account pages."""
    app.register_blueprint(bp)
