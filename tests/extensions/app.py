"""A notebook written for Flask with five of its extensions; it knows nothing of asyncflask.

The tests serve it under the alias. Each `Threads` answer tells in which thread a view's body ran.
"""

from __future__ import annotations

import os
import threading
import time
import typing as t
from collections.abc import Iterator

from flask import (
    Flask,
    abort,
    current_app,
    g,
    jsonify,
    make_response,
    request,
    session,
    stream_with_context,
)
from flask_caching import Cache
from flask_cors import CORS, cross_origin
from flask_login import (
    LoginManager,
    UserMixin,
    current_user,
    fresh_login_required,
    login_required,
    login_user,
    logout_user,
)
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect, FlaskForm
from flask_wtf.csrf import generate_csrf
from sqlalchemy import Engine, ForeignKey, event, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.middleware.proxy_fix import ProxyFix
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from .sockets import sockets


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)
cache = Cache()
csrf = CSRFProtect()
login_manager = LoginManager()

app = Flask(__name__)
app.config.update(
    SECRET_KEY="a key that only this test has, of 40 bytes",
    SQLALCHEMY_DATABASE_URI=os.environ["DATABASE_URI"],
    # As many connections as there are worker threads, and the loop's: what is not given back is
    # missed soon. SQLite lets one writer in at a time, and the others wait.
    SQLALCHEMY_ENGINE_OPTIONS={
        "pool_size": 10,
        "max_overflow": 31,
        "pool_timeout": 5,
        "connect_args": {"timeout": 30},
    },
    CACHE_TYPE="SimpleCache",
    CACHE_DEFAULT_TIMEOUT=300,
)
for extension in (db, cache, csrf, login_manager):
    extension.init_app(app)
if "BEHIND_PROXY" in os.environ:
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
app.register_blueprint(sockets)  # type: ignore[arg-type]
CORS(app, resources={r"/shared/.*": {"origins": "https://partner.example"}})


class User(UserMixin, db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Note(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    owner_id: Mapped[int] = mapped_column(ForeignKey("user.id"))


class NoteForm(FlaskForm):
    text = StringField(validators=[InputRequired(), Length(max=20)])


@event.listens_for(Engine, "connect")
def hurry(connection: t.Any, record: object) -> None:
    """Leave out what is for power failures: it takes most of the time."""
    connection.execute("PRAGMA synchronous = OFF")


with app.app_context():
    db.create_all()

#: How often the body of a cached view ran, by name.
calls: dict[str, int] = {}


def counted(name: str) -> int:
    calls[name] = calls.get(name, 0) + 1
    return calls[name]


def here(**facts: t.Any) -> dict[str, t.Any]:
    """Return who is asking, in which thread this runs, and more."""
    user = current_user.name if current_user.is_authenticated else None
    return {"user": user, "thread": threading.get_ident(), **facts}


@login_manager.user_loader
def load_user(user_id: str) -> User | None:
    return db.session.get(User, int(user_id))


@app.after_request
def name_the_user(response: t.Any) -> t.Any:
    if "_login_user" in g and current_user.is_authenticated:
        response.headers["X-User"] = current_user.name
    return response


@app.get("/loop")
async def loop() -> dict[str, t.Any]:
    """An undecorated view: it runs in the thread of the server's event loop."""
    return {"thread": threading.get_ident(), "flask": current_app.__class__.__module__}


@app.get("/leaks")
def leaks() -> dict[str, int]:
    """Return how many connections are out, and how many sessions there are."""
    return {
        "connections": db.engine.pool.checkedout(),  # type: ignore[attr-defined]
        "sessions": len(db.session.registry.registry),
    }


# Flask-Login


@app.get("/token")
def token() -> dict[str, str]:
    return {"token": generate_csrf()}


@app.post("/register")
def register() -> tuple[dict[str, t.Any], int]:
    user = User(name=request.form["name"])
    db.session.add(user)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        abort(409)
    return {"id": user.id}, 201


@app.post("/login")
def login() -> dict[str, t.Any]:
    name = request.form["name"]
    user = db.session.scalar(select(User).filter_by(name=name))
    if user is None:
        abort(401)
    login_user(user, remember="remember" in request.form)
    return here()


@app.post("/login-async")
async def login_async() -> dict[str, t.Any]:
    user = db.session.scalar(select(User).filter_by(name=request.form["name"]))
    if user is None:
        abort(401)
    login_user(user)
    return here()


@app.post("/logout")
@login_required
def logout() -> dict[str, t.Any]:
    logout_user()
    return here(keys=sorted(session))


@app.get("/me")
@login_required
def me() -> dict[str, t.Any]:
    return here()


@app.get("/me-async")
@login_required
async def me_async() -> dict[str, t.Any]:
    return here()


@app.get("/fresh-async")
@fresh_login_required
async def fresh_async() -> dict[str, t.Any]:
    return here()


@app.get("/anybody")
async def anybody() -> dict[str, t.Any]:
    return here()


# Flask-WTF


@app.post("/form")
@login_required
def form() -> tuple[dict[str, t.Any], int]:
    return _submitted()


@app.post("/form-async")
@login_required
async def form_async() -> tuple[dict[str, t.Any], int]:
    return _submitted()


def _submitted() -> tuple[dict[str, t.Any], int]:
    form = NoteForm()
    if not form.validate_on_submit():
        return {"errors": form.errors}, 422
    return _created(form.text.data or "")


@app.get("/form")
def form_page() -> str:
    return str(NoteForm().hidden_tag())


@app.post("/hook")
@csrf.exempt
async def hook() -> dict[str, t.Any]:
    return here(given=request.get_json())


# Flask-SQLAlchemy


def _created(text: str) -> tuple[dict[str, t.Any], int]:
    db.session.add(Note(text=text, owner_id=current_user.id))
    db.session.commit()
    return here(text=text), 201


def _own() -> list[str]:
    query = select(Note.text).filter_by(owner_id=current_user.id).order_by(Note.id)
    return list(db.session.scalars(query))


def _lost() -> t.NoReturn:
    """Write a note, and fail before it is committed."""
    db.session.add(Note(text="lost", owner_id=current_user.id))
    db.session.flush()
    assert "lost" in _own()
    raise LookupError("on purpose")


@app.post("/notes")
@login_required
def create() -> tuple[dict[str, t.Any], int]:
    return _created(request.form["text"])


@app.post("/notes-async")
@login_required
async def create_async() -> tuple[dict[str, t.Any], int]:
    return _created(request.form["text"])


@app.get("/notes")
@login_required
def own() -> dict[str, t.Any]:
    return here(notes=_own())


@app.get("/notes-async")
@login_required
async def own_async() -> dict[str, t.Any]:
    return here(notes=_own())


@app.post("/broken")
@login_required
def broken() -> t.NoReturn:
    _lost()


@app.post("/broken-async")
@login_required
async def broken_async() -> t.NoReturn:
    _lost()


@app.get("/notes/<int:note_id>")
async def one(note_id: int) -> dict[str, t.Any]:
    note = db.get_or_404(Note, note_id)
    return here(text=note.text)


def _line() -> str:
    return f"{current_user.name} has {len(_own())}\n"


@app.get("/stream")
@login_required
def stream() -> t.Any:
    """A body that uses the session for as long as it is made; with ``?forever``, for ever."""

    def lines() -> Iterator[str]:
        for _ in iter(int, 1) if "forever" in request.args else range(3):
            yield _line()

    return current_app.response_class(stream_with_context(lines()))


@app.get("/slow")
@login_required
def slow() -> dict[str, t.Any]:
    """Hold a connection until the file named by ``until`` is there."""
    db.session.add(Note(text="lost", owner_id=current_user.id))
    while not os.path.exists(request.args["until"]):
        time.sleep(0.01)
    return here()


@app.get("/all")
def everything() -> dict[str, t.Any]:
    page = db.paginate(select(Note).order_by(Note.id), max_per_page=5)
    lost = db.session.scalar(select(func.count()).select_from(Note).filter_by(text="lost"))
    return {"total": page.total, "on page": len(page.items), "lost": lost}


# Flask-Caching


@app.get("/cached")
@cache.cached(query_string=True)
def cached() -> dict[str, t.Any]:
    return {"calls": counted("cached"), "thread": threading.get_ident()}


@app.get("/cached-async")
@cache.cached(query_string=True)
async def cached_async() -> dict[str, t.Any]:
    return {"calls": counted("cached-async"), "thread": threading.get_ident()}


@cache.memoize()
async def squared(number: int) -> tuple[int, int, int]:
    return number * number, counted(f"squared {number}"), threading.get_ident()


@app.get("/memoized/<int:number>")
def memoized(number: int) -> dict[str, t.Any]:
    # Under the decorator it is a plain function, whatever its type says.
    square, times, thread = t.cast("tuple[int, int, int]", squared(number))
    return {"square": square, "calls": times, "thread": thread}


@app.get("/private")
@login_required
@cache.cached(make_cache_key=lambda: f"private {current_user.id}")
async def private() -> dict[str, t.Any]:
    return here(calls=counted(f"private {current_user.name}"))


# Flask-CORS


@app.get("/shared/notes")
async def shared() -> dict[str, t.Any]:
    return here()


@app.get("/shared/broken")
async def shared_broken() -> t.NoReturn:
    raise LookupError("on purpose")


@app.get("/open")
@cross_origin()
def opened() -> t.Any:
    return jsonify(here())


@app.get("/open-async")
@cross_origin(origins=["https://partner.example"], supports_credentials=True)
async def opened_async() -> t.Any:
    return make_response(here(), 200)


@app.get("/everything-async")
@cross_origin()
@login_required
@cache.cached(make_cache_key=lambda: f"everything {current_user.id}")
async def everything_async() -> dict[str, t.Any]:
    return here(calls=counted(f"everything {current_user.name}"))
