"""What is sent without a response object is what would be sent with one, byte for byte."""

from __future__ import annotations

import itertools
import typing as t
from datetime import UTC, datetime

import pytest

from asyncflask import Flask, Response, flash, session, sessions, signing
from asyncflask.dispatch import pipeline
from asyncflask.dispatch.steps import step

from ..scopes import scope
from .test_http import Exchange

#: What a view returns, and whether it needs a response object whatever the session does.
VALUES: dict[str, tuple[t.Any, bool]] = {
    "text": ("grüße", False),
    "empty": ("", False),
    "long": ("x" * 70_000, False),
    "data": (b"\x00\xff", False),
    "mapping": ({"b": [1, "ü"], "a": None}, False),
    "array": ([1, {"x": 2.5}], False),
    "created": (("made", 201), True),
    "named": (("named", {"X-Named": "yes", "Vary": "Accept"}), True),
    "both": (({"a": 1}, 202, [("X-A", "1"), ("X-A", "2")]), True),
    "no content": (("", 204), True),
    "array of bytes": (bytearray(b"ab"), True),
    "nothing": (None, True),
    "no json": ({"a": object()}, True),
}


class Own(Response):
    """A class of the app's own: its responses are made, whatever the view returns."""


def nothing() -> None:
    pass


def read() -> None:
    session.get("user")


def look_at_a_key() -> None:
    _ = "user" in session


def write() -> None:
    session["user"] = "ada"


def count() -> None:
    session["n"] = session.get("n", 0) + 1


def make_permanent() -> None:
    session.permanent = True


def empty() -> None:
    session.clear()


def change_inside() -> None:
    session.setdefault("cart", []).append("tea")
    session.modified = True


def write_unseen() -> None:
    session["user"] = "ada"
    session.accessed = False


def greet() -> None:
    flash("hello")


def overfill() -> None:
    session["big"] = [*map(str, range(3000))]


def spoil() -> None:
    session["object"] = object()


DEEDS = (
    nothing,
    read,
    look_at_a_key,
    write,
    count,
    make_permanent,
    empty,
    change_inside,
    write_unseen,
)
RARE = (greet, overfill, spoil)

#: What the browser has sent.
COOKIES: dict[str, dict[str, t.Any] | bytes | None] = {
    "none": None,
    "forged": b"session=eyJuIjoyfQ.awr6SQ.nonsense",
    "some": {"n": 1, "user": "bob"},
    "permanent": {"_permanent": True, "n": 1},
    "other": b"other=1; sessions=2",
}

#: Settings, beside the usual ones.
SETTINGS: dict[str, dict[str, t.Any]] = {
    "usual": {},
    "names": {"SESSION_COOKIE_NAME": "sid", "SESSION_COOKIE_PATH": "/a b"},
    "domain": {"SESSION_COOKIE_DOMAIN": "bücher.example"},
    "strict": {
        "SESSION_COOKIE_SECURE": True,
        "SESSION_COOKIE_SAMESITE": "Strict",
        "SESSION_COOKIE_PARTITIONED": True,
    },
    "open": {"SESSION_COOKIE_HTTPONLY": False, "SESSION_REFRESH_EACH_REQUEST": False},
    "no key": {"SECRET_KEY": None},
    "small": {"MAX_COOKIE_SIZE": 20},
    "any size": {"MAX_COOKIE_SIZE": 0},
    "bad": {"SESSION_COOKIE_SAMESITE": "Sometimes"},
}


class Stopped:
    """A clock that stands still."""

    @staticmethod
    def now(zone: t.Any) -> datetime:
        return datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC)

    @staticmethod
    def time() -> float:
        return Stopped.now(UTC).timestamp()


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "datetime", Stopped)
    monkeypatch.setattr(signing, "time", Stopped)


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The apps that have made a response object."""
    asked = list[str]()

    def noting(ctx: t.Any, name: str, *args: t.Any) -> t.Any:
        if name == "make_response":
            asked.append(ctx.app.name)
        return step(ctx, name, *args)

    monkeypatch.setattr(pipeline, "step", noting)
    return asked


class Pair:
    """Two apps with the same views, of which one is answered for without response objects."""

    def __init__(self, settings: str, is_async: bool) -> None:
        self.apps = [Flask("plain"), Flask("objects")]
        self.apps[1].response_class = Own
        self.value: t.Any = None
        self.deed: t.Callable[[], None] = nothing
        for app in self.apps:
            app.config.update({"SECRET_KEY": "k", "PROPAGATE_EXCEPTIONS": False})
            app.config.update(SETTINGS[settings])
            app.add_url_rule("/", "view", self.async_view if is_async else self.view)
            app.logger.disabled = True
            app._got_first_request = True  # which always goes the whole way

    def view(self) -> t.Any:
        self.deed()
        return self.value

    async def async_view(self) -> t.Any:
        return self.view()

    def cookie(self, app: Flask, name: str) -> list[tuple[bytes, bytes]]:
        value = COOKIES[name]
        if isinstance(value, dict):
            signer = sessions.SecureCookieSessionInterface().get_signing_serializer(app)
            if signer is None:
                return []
            text = f"{app.config['SESSION_COOKIE_NAME']}={signer.dumps(value)}"
            value = text.encode()
        return [] if value is None else [(b"cookie", value)]

    async def answers(self, cookie: str, method: str = "GET") -> list[list[t.Any]]:
        """Return what either app sends."""
        sent = []
        for app in self.apps:
            exchange = Exchange()
            asked = scope("/", method, self.cookie(app, cookie))
            await app(asked, exchange.receive, exchange.send)
            sent.append(exchange.sent)
        return sent

    async def close(self) -> None:
        for app in self.apps:
            await app._budgets.close()


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("name", VALUES)
async def test_every_kind_of_value(name: str, is_async: bool, objects: list[str]) -> None:
    pair = Pair("usual", is_async)
    pair.value, needs_object = VALUES[name]
    for deed, cookie, method in itertools.product(DEEDS, COOKIES, ("GET", "HEAD")):
        pair.deed = deed
        objects.clear()
        plain, whole = await pair.answers(cookie, method)
        assert plain == whole, (deed.__name__, cookie, method)
        if not needs_object and deed is not empty:  # which deletes the cookie
            assert objects == ["objects"], (deed.__name__, cookie, method)
    await pair.close()


@pytest.mark.filterwarnings("ignore:The 'session' cookie is too large")
@pytest.mark.filterwarnings("ignore:The .* cookie is too large")
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("settings", SETTINGS)
async def test_every_setting(settings: str, is_async: bool) -> None:
    pair = Pair(settings, is_async)
    seen = set()
    for value, deed, cookie in itertools.product(("x", {"a": 1}), (*DEEDS, *RARE), COOKIES):
        pair.value, pair.deed = value, deed
        plain, whole = await pair.answers(cookie)
        assert plain == whole, (deed.__name__, cookie)
        seen.add(plain[0]["status"])
    assert seen >= ({500} if settings == "no key" else {200, 500})
    await pair.close()


class Stores(sessions.SecureCookieSessionInterface):
    def save_session(self, app: t.Any, session: t.Any, response: t.Any) -> None:
        response.headers["X-Stored"] = "yes"


async def test_who_saves_sessions_in_another_way_gets_a_response() -> None:
    pair = Pair("usual", True)
    pair.value, pair.deed = "x", write
    pair.apps[0].session_interface = Stores()
    interface: t.Any = sessions.SecureCookieSessionInterface()
    pair.apps[1].session_interface = interface
    pair.apps[1].response_class = Response
    interface.save_session = Stores().save_session
    plain, whole = await pair.answers("some")
    assert plain == whole
    assert (b"x-stored", b"yes") in plain[0]["headers"]
    await pair.close()
