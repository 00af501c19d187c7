"""A session's cookie in fewer steps: the same headers as those of a response object."""

from __future__ import annotations

import time
import typing as t
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from asyncflask import Flask, session
from asyncflask.json.provider import DefaultJSONProvider
from asyncflask.json.tag import JSONTag, PassDict, TaggedJSONSerializer
from asyncflask.session_dicts import _note_change
from asyncflask.sessions import (
    SecureCookieSession,
    SecureCookieSessionInterface,
    SessionInterface,
    added_headers,
)

from .scopes import scope

Headers = list[tuple[bytes, bytes]]

VIEWS: dict[str, Callable[[], t.Any]] = {
    "read": lambda: session.get("n"),
    "item": lambda: session["n"],
    "write": lambda: session.update(n=2),
    "count": lambda: session.__setitem__("n", session["n"] + 1),
    "clear": lambda: session.clear(),
    "forget": lambda: session.pop("n"),
    "permanent": lambda: setattr(session, "permanent", True),
    "no longer": lambda: setattr(session, "permanent", False),
    "inside": lambda: setattr(session, "modified", True),
    "tagged": lambda: session.update(n=(1, b"2"), like={" t": 1}),
    "long": lambda: session.update(n="x" * 3000),
    "none": lambda: None,
}


def make_app(is_short: bool) -> Flask:
    """Return an app whose responses to `VIEWS` take the short way, or the long one."""
    app = Flask(__name__, static_folder=None)
    app.secret_key = "key"
    if not is_short:
        app.after_request(lambda response: response)

    @app.get("/<name>")
    async def view(name: str) -> str:
        VIEWS[name]()
        return "done"

    return app


def cookie_of(app: Flask, data: dict[str, t.Any]) -> bytes:
    interface: t.Any = app.session_interface
    with app.app_context():
        value: str = interface.get_signing_serializer(app).dumps(data)
    return b"%s=%s" % (app.config["SESSION_COOKIE_NAME"].encode(), value.encode())


async def ask(app: Flask, name: str, cookie: bytes | None) -> tuple[int, Headers]:
    sent: list[t.Any] = []

    async def receive() -> t.Any:
        return {"type": "http.request"}

    async def send(message: t.Any) -> None:
        sent.append(message)

    headers = [(b"cookie", cookie)] if cookie else []
    await app(scope(f"/{name}", headers=headers), receive, send)
    return sent[0]["status"], sorted(sent[0]["headers"])


async def both(
    short: Flask, long: Flask, name: str, data: dict[str, t.Any] | None
) -> tuple[int, Headers]:
    """Return the answer of both apps, which has to be the same within the same second."""
    while True:
        second = int(time.time())
        cookies = [None if data is None else cookie_of(app, data) for app in (short, long)]
        answers = [
            await ask(app, name, each) for app, each in zip((short, long), cookies, strict=True)
        ]
        if int(time.time()) == second:
            assert answers[0] == answers[1]
            return answers[0]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the short way was taken for, and left."""
    taken: list[str] = []
    for name in ("_usual_header", "_header"):
        own = getattr(SecureCookieSessionInterface, name)

        def noting(*args: t.Any, _own: t.Any = own, _name: str = name) -> t.Any:
            taken.append(_name)
            return _own(*args)

        monkeypatch.setattr(SecureCookieSessionInterface, name, noting)
    return taken


SETTINGS: list[dict[str, t.Any]] = [
    {},
    {"SESSION_COOKIE_SECURE": True},
    {"SESSION_COOKIE_SECURE": 1},
    {"SESSION_COOKIE_SECURE": 0},
    {"SESSION_COOKIE_SECURE": False, "SESSION_COOKIE_HTTPONLY": False},
    {"SESSION_COOKIE_HTTPONLY": 0},
    {"SESSION_COOKIE_HTTPONLY": True, "SESSION_COOKIE_PARTITIONED": True},
    {"SESSION_COOKIE_PARTITIONED": 1},
    {"SESSION_COOKIE_PARTITIONED": False, "SESSION_COOKIE_SAMESITE": "lax"},
    {"SESSION_COOKIE_DOMAIN": "example.com"},
    {"SESSION_COOKIE_PATH": "/below"},
    {"SESSION_COOKIE_PATH": None, "APPLICATION_ROOT": "/root"},
    {"SESSION_COOKIE_NAME": "sid"},
    {"SECRET_KEY": "another"},
    {"SECRET_KEY": b"bytes", "SECRET_KEY_FALLBACKS": ["key", "another"]},
    {"MAX_COOKIE_SIZE": 0},
    {"SESSION_REFRESH_EACH_REQUEST": False},
    {"PERMANENT_SESSION_LIFETIME": timedelta(hours=1)},
]


@pytest.mark.anyio
@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("data", [None, {"n": 1}, {"n": 1, "_permanent": True}])
async def test_it_is_the_same_with_all_settings(name: str, data: dict[str, t.Any] | None) -> None:
    """They are changed while the app runs, so that what is kept is that of the ones before."""
    short, long = make_app(True), make_app(False)
    if data is None and name in ("item", "count", "forget"):
        return
    for settings in SETTINGS:
        for app in (short, long):
            app.config.update(settings)
        for _ in range(2):
            status, _ = await both(short, long, name, data)
            assert status == 200


@pytest.mark.anyio
async def test_a_cookie_that_is_too_long_has_its_warning() -> None:
    app = make_app(True)
    await ask(app, "write", cookie_of(app, {"n": 1}))
    _, headers = await ask(app, "write", cookie_of(app, {"n": 1}))
    size = len(dict(headers)[b"set-cookie"])
    app.config["MAX_COOKIE_SIZE"] = size
    await ask(app, "write", cookie_of(app, {"n": 1}))
    app.config["MAX_COOKIE_SIZE"] = size - 1
    with pytest.warns(UserWarning, match="cookie is too large"):
        await ask(app, "write", cookie_of(app, {"n": 1}))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("write", {"n": 1}, ["_usual_header"]),
        ("read", {"n": 1}, ["_usual_header"]),
        ("none", {"n": 1}, []),
        ("clear", {"n": 1}, ["_usual_header"]),
        ("permanent", {"n": 1}, ["_usual_header", "_header"]),
    ],
)
async def test_it_is_taken(
    name: str, data: dict[str, t.Any], expected: list[str], steps: list[str]
) -> None:
    app = make_app(True)
    await ask(app, name, cookie_of(app, data))
    steps.clear()
    await ask(app, name, cookie_of(app, data))
    assert steps == expected


@pytest.mark.anyio
@pytest.mark.parametrize("where", [SecureCookieSessionInterface, SessionInterface])
@pytest.mark.parametrize(
    ("method", "gives"),
    [
        ("get_cookie_name", "own"),
        ("get_cookie_domain", "own.example"),
        ("get_cookie_path", "/own"),
        ("get_cookie_secure", True),
        ("get_cookie_httponly", False),
        ("get_cookie_samesite", "Strict"),
        ("get_cookie_partitioned", True),
        ("get_expiration_time", datetime(2030, 1, 1, tzinfo=UTC)),
        ("should_set_cookie", False),
        ("is_null_session", True),
    ],
)
async def test_a_method_replaced_on_the_class(
    where: type, method: str, gives: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, long = make_app(True), make_app(False)
    before = await both(short, long, "write", {"n": 1})
    monkeypatch.setattr(where, method, lambda *args: gives)
    after = await both(short, long, "write", {"n": 1})
    assert after != before


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["get_cookie_path", "get_cookie_domain"])
async def test_a_method_replaced_on_the_interface(method: str) -> None:
    short, long = make_app(True), make_app(False)
    before = await both(short, long, "write", {"n": 1})
    for app in (short, long):
        app.session_interface = SecureCookieSessionInterface()
    assert await both(short, long, "write", {"n": 1}) == before
    for app in (short, long):
        setattr(app.session_interface, method, lambda *args: "/own.example")
    assert await both(short, long, "write", {"n": 1}) != before


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("trait", "value"),
    [("salt", "own"), ("key_derivation", "none"), ("serializer", TaggedJSONSerializer())],
)
@pytest.mark.parametrize("on_class", [True, False])
async def test_what_is_signed_with_is_changed(
    trait: str, value: t.Any, on_class: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, long = make_app(True), make_app(False)
    for app in (short, long):
        app.session_interface = SecureCookieSessionInterface()
    before = await both(short, long, "count", {"n": 1})
    for app in (short, long):
        changed: t.Any = SecureCookieSessionInterface if on_class else app.session_interface
        monkeypatch.setattr(changed, trait, value)
    after = await both(short, long, "count", {"n": 1})
    assert after[0] == 200
    if trait != "serializer":
        assert after != before


@pytest.mark.anyio
async def test_subclasses() -> None:
    class Marked(SecureCookieSession):
        def __setitem__(self, key: str, value: t.Any) -> None:
            super().__setitem__(key, [value])

    class Own(SecureCookieSessionInterface):
        session_class = Marked

        def get_cookie_path(self, app: t.Any) -> str:
            return "/own"

    short, long = make_app(True), make_app(False)
    for app in (short, long):
        app.session_interface = Own()
    _, headers = await both(short, long, "count", {"n": 1})
    assert b"Path=/own" in dict(headers)[b"set-cookie"]
    opened = Own().session_class({"n": 1})
    opened["n"] = 2
    assert (dict(opened), opened.modified) == ({"n": [2]}, True)


@pytest.mark.anyio
async def test_headers_that_cannot_be_sent_are_left_to_the_response() -> None:
    short, long = make_app(True), make_app(False)
    for app in (short, long):
        app.config.update(SESSION_COOKIE_SECURE="a\nb", PROPAGATE_EXCEPTIONS=False)
    for _ in range(2):
        assert (await both(short, long, "write", {"n": 1}))[0] == 500


@pytest.mark.parametrize("change", [None, 2])
def test_to_save_it_is_no_access(change: int | None) -> None:
    app, opened = make_app(True), SecureCookieSession({"n": 1})
    if change is not None:
        opened["n"] = change
    with app.test_request_context():
        added = added_headers(app, opened)
    assert [name for name, _ in added or ()] == ([] if change is None else [b"set-cookie", b"vary"])
    assert not opened.accessed


class TestSessions:
    def test_a_callback_of_its_own_is_called(self) -> None:
        seen: list[t.Any] = []
        opened = SecureCookieSession({"n": 1})
        assert opened.on_update is _note_change
        opened.on_update = seen.append
        opened["n"] = 2
        assert seen == [opened]
        assert not opened.modified
        opened.on_update = None
        opened["n"] = 3
        assert dict(opened) == {"n": 3}
        assert not opened.modified

    def test_a_mapping_beside_it_is_asked(self) -> None:
        class Doubling(dict[str, t.Any]):
            def __init__(self, initial: t.Any) -> None:
                super().__init__({key: 2 * value for key, value in initial.items()})

            def __setitem__(self, key: str, value: t.Any) -> None:
                super().__setitem__(key, 2 * value)

        class Both(SecureCookieSession, Doubling):
            pass

        opened = Both({"n": 1})
        opened["m"] = 2
        assert dict(opened) == {"n": 2, "m": 4}
        assert opened.modified

    @pytest.mark.parametrize("initial", [None, {}, {"n": 1}, [("n", 1)]])
    def test_is_made_unmodified(self, initial: t.Any) -> None:
        opened = SecureCookieSession(initial)
        assert (opened.modified, opened.accessed) == (False, False)
        assert opened.get("n") == dict(initial or ()).get("n")
        assert opened.accessed
        assert opened == dict(initial or ())


class TestTaggedJSON:
    @pytest.mark.parametrize(
        "value",
        [
            {},
            {"n": 1},
            {" t": 1},
            {" t__": 1},
            {" t": 1, "n": 2},
            {"n": {" t": 1}},
            {"n": (1,)},
            {"n": "\\ü\ud800", "m": None, "o": 1.5, "p": True},
            {1: 2},
            [1, {"n": (2,)}],
            "text",
            (1, 2),
        ],
    )
    def test_is_as_all_its_tags_write_and_read_it(self, value: t.Any) -> None:
        class Asking(TaggedJSONSerializer):
            """A subclass, for which no step is left out."""

        usual, asking = TaggedJSONSerializer(), Asking()
        written = usual.dumps(value)
        assert written == asking.dumps(value)
        assert usual.loads(written) == asking.loads(written)

    def test_a_subclass_has_its_say(self) -> None:
        class Own(TaggedJSONSerializer):
            def tag(self, value: t.Any) -> t.Any:
                return {"own": super().tag(value)}

            def untag(self, value: dict[str, t.Any]) -> t.Any:
                return {"read": value}

        assert Own().dumps({"n": 1}) == '{"own":{"n":1}}'
        assert Own().loads('{"n":1}') == {"read": {"n": 1}}

    def test_other_tags_have_their_say(self) -> None:
        class Shout(JSONTag):
            key = "!"

            def check(self, value: t.Any) -> bool:
                return isinstance(value, str)

            def to_json(self, value: t.Any) -> t.Any:
                return value.upper()

            def to_python(self, value: t.Any) -> t.Any:
                return value.lower()

        serializer = TaggedJSONSerializer()
        assert serializer.dumps({"n": "a"}) == '{"n":"a"}'
        serializer.register(Shout, index=0)
        assert serializer.dumps({"n": "a"}) == '{"n":{"!":"A"}}'
        assert serializer.loads('{"!":"A"}') == "a"
        serializer.order[:] = [tag for tag in serializer.order if not isinstance(tag, PassDict)]
        assert serializer.dumps({"n": 1}) == '{"n":1}'


class TestCompactText:
    def test_options_changed_while_running(self) -> None:
        provider = DefaultJSONProvider(make_app(True))
        data, separators = {"b": "ä", "a": {1, 2}}, (",", ":")
        provider.default = lambda value: sorted(value)
        assert provider.dumps(data, separators=separators) == '{"a":[1,2],"b":"\\u00e4"}'
        provider.sort_keys = False
        assert provider.dumps(data, separators=separators) == '{"b":"\\u00e4","a":[1,2]}'
        provider.ensure_ascii = False
        assert provider.dumps(data, separators=separators) == '{"b":"ä","a":[1,2]}'
        provider.default = str
        assert provider.dumps(data, separators=separators) == '{"b":"ä","a":"{1, 2}"}'
        assert provider.dumps(data, separators=(", ", ":")) == '{"b":"ä", "a":"{1, 2}"}'

    def test_a_dumps_of_its_own_is_asked(self) -> None:
        class Own(DefaultJSONProvider):
            def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
                return f"own {kwargs}"

        app = make_app(True)
        app.json = Own(app)
        with app.app_context():
            assert TaggedJSONSerializer().dumps({"n": 1}) == "own {'separators': (',', ':')}"
