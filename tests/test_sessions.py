"""Sessions: Flask's cookies, both ways, and nothing that a visitor sends is an error."""

from __future__ import annotations

import time
import typing as t
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import flask
import flask.sessions
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode
from markupsafe import Markup
from werkzeug.datastructures import CallbackDict
from werkzeug.http import parse_cookie

from asyncflask import Flask, Request, Response, session
from asyncflask.json.tag import TaggedJSONSerializer
from asyncflask.sessions import (
    NullSession,
    SecureCookieSession,
    SecureCookieSessionInterface,
    SessionInterface,
    SessionMixin,
    session_json_serializer,
)
from asyncflask.signing import MAX_INFLATED

KEY = "a secret key"
EVERYTHING: dict[str, t.Any] = {
    "dict": {"a": 1, "z": {"y": None}},
    "like a tag": {" t": [1]},
    "like an escaped tag": {" t__": b"x"},
    "tuple": (1, (2, "three")),
    "list": [1, (2,), [3.5]],
    "bytes": b"\xff\x00",
    "markup": Markup("<b>"),
    "uuid": UUID(int=2**127),
    "datetime": datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC),
    "text": "ä ☃ \N{BEER MUG}",
    "long": "x" * 5000,
    "true": True,
    "none": None,
    "_permanent": True,
}
LOOKS: dict[str, Callable[[t.Any], t.Any]] = {
    "getitem": lambda s: s["a"],
    "contains": lambda s: "a" in s,
    "not contains": lambda s: "b" not in s,
    "iter": lambda s: iter(s),
    "reversed": lambda s: reversed(s),
    "len": lambda s: len(s),
    "bool": lambda s: bool(s),
    "eq": lambda s: s == {},
    "ne": lambda s: s != {},
    "or": lambda s: s | {},
    "ror": lambda s: {} | s,
    "get": lambda s: s.get("b"),
    "keys": lambda s: s.keys(),
    "items": lambda s: s.items(),
    "values": lambda s: s.values(),
    "copy": lambda s: s.copy(),
    "setdefault": lambda s: s.setdefault("a"),
    "pop nothing": lambda s: s.pop("b", None),
    "dict": lambda s: dict(s),
    "list": lambda s: [*s],
    "unpack": lambda s: {**s},
    "permanent": lambda s: s.permanent,
}
CHANGES: dict[str, Callable[[t.Any], t.Any]] = {
    "setitem": lambda s: s.__setitem__("b", 1),
    "delitem": lambda s: s.__delitem__("a"),
    "setdefault": lambda s: s.setdefault("b", 1),
    "pop": lambda s: s.pop("a"),
    "popitem": lambda s: s.popitem(),
    "update": lambda s: s.update(b=1),
    "clear": lambda s: s.clear(),
    "ior": lambda s: s.__ior__({"b": 1}),
    "permanent": lambda s: setattr(s, "permanent", True),
}


def make_app(key: t.Any = KEY, **config: t.Any) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config.update(SECRET_KEY=key, **config)
    return app


def make_flask(key: t.Any = KEY, **config: t.Any) -> flask.Flask:
    app = flask.Flask(__name__, static_folder=None)
    app.config.update(SECRET_KEY=key, **config)
    return app


def write(app: t.Any, data: dict[str, t.Any]) -> str:
    """Return the cookie for `data` as the app's interface signs it."""
    with app.app_context():
        return t.cast("str", app.session_interface.get_signing_serializer(app).dumps(data))


def open_(app: t.Any, cookie: str | None) -> t.Any:
    """Return the session of a request with that cookie."""
    headers = {} if cookie is None else {"Cookie": f"session={cookie}"}
    with app.test_request_context(headers=headers) as ctx:
        return app.session_interface.open_session(app, ctx.request)


def save(app: t.Any, session: t.Any) -> Response:
    with app.test_request_context():
        response = app.response_class()
        app.session_interface.save_session(app, session, response)
        return t.cast("Response", response)


def at_once(first: Callable[[], str], second: Callable[[], str]) -> tuple[str, str]:
    """Call both within the same second, which is part of what is signed."""
    while True:
        second_before = int(time.time())
        results = first(), second()
        if int(time.time()) == second_before:
            return results


class TestFlaskCookies:
    @pytest.mark.parametrize("key", [KEY, KEY.encode(), "ключ"])
    def test_are_the_same_bytes(self, key: str | bytes) -> None:
        ours, theirs = make_app(key), make_flask(key)
        mine, flasks = at_once(lambda: write(ours, EVERYTHING), lambda: write(theirs, EVERYTHING))
        assert mine == flasks

    def test_are_read_by_us(self) -> None:
        assert open_(make_app(), write(make_flask(), EVERYTHING)) == EVERYTHING

    def test_ours_are_read_by_flask(self) -> None:
        assert open_(make_flask(), write(make_app(), EVERYTHING)) == EVERYTHING

    def test_small_ones_are_not_compressed(self) -> None:
        cookie = write(make_app(), {"a": 1})
        assert not cookie.startswith(".")
        assert open_(make_flask(), cookie) == {"a": 1}

    @pytest.mark.parametrize("write_app", [make_app, make_flask])
    @pytest.mark.parametrize("read_app", [make_app, make_flask])
    def test_a_permanent_session_goes_round(
        self, write_app: Callable[[], t.Any], read_app: Callable[[], t.Any]
    ) -> None:
        writer, reader = write_app(), read_app()
        opened = open_(writer, None)
        opened["user"] = 7
        opened.permanent = True
        (header,) = save(writer, opened).headers.getlist("Set-Cookie")
        assert "Expires=" in header
        again = open_(reader, parse_cookie(header)["session"])
        assert dict(again) == {"_permanent": True, "user": 7}
        assert again.permanent

    def test_set_cookie_is_the_same_header(self) -> None:
        config = {
            "SESSION_COOKIE_NAME": "sid",
            "SESSION_COOKIE_DOMAIN": "example.com",
            "SESSION_COOKIE_PATH": "/app",
            "SESSION_COOKIE_SECURE": True,
            "SESSION_COOKIE_HTTPONLY": False,
            "SESSION_COOKIE_SAMESITE": "None",
            "SESSION_COOKIE_PARTITIONED": True,
        }

        def header(app: t.Any, **data: t.Any) -> str:
            opened = open_(app, None)
            opened["a"] = 1
            opened.permanent = True
            opened.update(data)
            if not data:
                opened.clear()
            (line,) = save(app, opened).headers.getlist("Set-Cookie")
            return t.cast("str", line)

        ours, theirs = make_app(**config), make_flask(**config)
        for data in ({"b": 2}, {}):
            mine, flasks = at_once(
                lambda d=data: header(ours, **d), lambda d=data: header(theirs, **d)
            )  # type: ignore[misc]
            assert mine == flasks

    @pytest.mark.parametrize("derivation", ["hmac", "concat", "django-concat", "none"])
    def test_other_signing_options(self, derivation: str) -> None:
        import hashlib

        class Ours(SecureCookieSessionInterface):
            digest_method = staticmethod(hashlib.sha256)
            key_derivation = derivation
            salt = "other"

        class Theirs(flask.sessions.SecureCookieSessionInterface):
            digest_method = staticmethod(hashlib.sha256)
            key_derivation = derivation
            salt = "other"

        ours, theirs = make_app(), make_flask()
        ours.session_interface, theirs.session_interface = Ours(), Theirs()
        assert open_(ours, write(theirs, EVERYTHING)) == EVERYTHING
        assert open_(theirs, write(ours, EVERYTHING)) == EVERYTHING
        assert open_(make_app(), write(ours, EVERYTHING)) == {}


class TestKeyRotation:
    @pytest.mark.parametrize("write_app", [make_app, make_flask])
    @pytest.mark.parametrize("read_app", [make_app, make_flask])
    def test_fallbacks_verify_and_the_new_key_signs(
        self, write_app: Callable[..., t.Any], read_app: Callable[..., t.Any]
    ) -> None:
        old = write(write_app("oldest"), {"a": 1})
        middle = write(write_app("middle"), {"a": 2})
        rotated = write_app("newest", SECRET_KEY_FALLBACKS=["oldest", "middle"])
        reader = read_app("newest", SECRET_KEY_FALLBACKS=["oldest", "middle"])
        assert open_(reader, old) == {"a": 1}
        assert open_(reader, middle) == {"a": 2}
        new = write(rotated, {"a": 3})
        assert open_(read_app("newest"), new) == {"a": 3}
        assert open_(read_app("oldest"), new) == {}
        assert open_(read_app("middle"), new) == {}
        assert open_(read_app("newest"), old) == {}

    def test_a_key_changed_while_running(self) -> None:
        app = make_app("one")
        first = write(app, {"a": 1})
        app.secret_key = "two"
        assert open_(app, first) == {}
        app.config["SECRET_KEY_FALLBACKS"] = ["one"]
        assert open_(app, first) == {"a": 1}
        app.config["SECRET_KEY_FALLBACKS"].clear()
        assert open_(app, first) == {}

    @settings(deadline=None)  # a shared machine may be slow
    @given(st.lists(st.sampled_from("abc"), min_size=1, max_size=6))
    def test_any_sequence_agrees_with_flask(self, keys: list[str]) -> None:
        ours, theirs = make_app(), make_flask()
        for position, key in enumerate(keys):
            for app in (ours, theirs):
                app.config.update(SECRET_KEY=key, SECRET_KEY_FALLBACKS=keys[:position][-2:])
            for writer in (make_app(keys[0]), make_flask(keys[0])):
                cookie = write(writer, {"n": position})
                assert open_(ours, cookie) == open_(theirs, cookie)


class TestMalformedCookies:
    @pytest.mark.parametrize(
        "cookie",
        ["", "x", ".", "..", "...", "a.b", "a.b.c", ".a.b.c", "=.=.=", "é.é.é", "☃", "a" * 9000],
    )
    def test_are_empty_sessions(self, cookie: str) -> None:
        opened = open_(make_app(), cookie)
        assert opened == {}
        assert not opened.modified

    @settings(deadline=None)  # a shared machine may be slow
    @given(st.data())
    def test_changed_ones_are_empty(self, data: st.DataObject) -> None:
        app = make_app()
        good = write(app, {"user": 1, "padding": "y" * 200})
        place = data.draw(st.integers(0, len(good) - 1))
        new = data.draw(st.sampled_from("abcXYZ019-_.="))
        changed = good[:place] + new + good[place + 1 :]
        opened = open_(app, changed)
        last_of_a_part = place + 1 == len(good)  # whose lowest bits base64 does not use
        assert opened == {} or changed == good or last_of_a_part

    @settings(deadline=None)  # a shared machine may be slow
    @given(
        st.text(
            st.characters(
                codec="ascii", exclude_characters=';" ,\\', categories=["L", "N", "P", "S"]
            )
        )
    )
    def test_random_ones_are_empty(self, cookie: str) -> None:
        assert open_(make_app(), cookie) == {}

    def test_expired_and_from_the_future(self) -> None:
        app = make_app(PERMANENT_SESSION_LIFETIME=timedelta(seconds=-1))
        assert open_(app, write(app, {"a": 1})) == {}
        app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(days=1)
        assert open_(app, write(app, {"a": 1})) == {"a": 1}

    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param(b"[" * 100_000, id="depth"),
            pytest.param(b"9" * 100_000, id="digits"),
            pytest.param(b"[1,2]", id="a list"),
            pytest.param(b"7", id="a number"),
            pytest.param(b'{" b":"?"}', id="a tag of nonsense"),
            pytest.param(b'{"a":{" u":1}}', id="a tag of the wrong type"),
            pytest.param(b"\xff\xfe", id="no text"),
            pytest.param(b"", id="nothing"),
        ],
    )
    @pytest.mark.parametrize("compress", [True, False])
    def test_signed_nonsense_is_an_empty_session(self, payload: bytes, compress: bool) -> None:
        app = make_app()
        assert open_(app, sign(app, payload, compress=compress)) == {}

    def test_a_payload_that_was_cut_short(self) -> None:
        app = make_app()
        body = zlib.compress(b'{"a":"' + b"b" * 5000 + b'"}')
        assert open_(app, sign_raw(app, b"." + base64_encode(body[:-4]))) == {}
        assert open_(app, sign_raw(app, b"." + base64_encode(body + b"trailing"))) == {
            "a": "b" * 5000
        }

    @pytest.mark.parametrize(("size", "read"), [(MAX_INFLATED, True), (MAX_INFLATED + 1, False)])
    def test_a_bomb_is_not_inflated(self, size: int, read: bool) -> None:
        app = make_app()
        payload = b'{"a":"' + b"x" * (size - 8) + b'"}'
        assert len(payload) == size
        assert ("a" in open_(app, sign(app, payload, compress=True))) is read

    def test_whatever_a_browser_can_hold_is_read(self) -> None:
        app = make_app()
        data = {"a": "0" * 3_000_000}
        cookie = write(app, data)
        assert len(cookie) < 4096
        assert open_(app, cookie) == data


def sign_raw(app: Flask, payload: bytes) -> str:
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    return t.cast("str", serializer.make_signer().sign(payload).decode())


def sign(app: Flask, payload: bytes, *, compress: bool) -> str:
    if compress:
        return sign_raw(app, b"." + base64_encode(zlib.compress(payload)))
    return sign_raw(app, base64_encode(payload))


class TestAccess:
    @pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
    def test_every_look_is_noticed(self, look: Callable[[t.Any], t.Any]) -> None:
        opened = SecureCookieSession({"a": 1})
        assert not opened.accessed
        look(opened)
        assert opened.accessed
        assert not opened.modified

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_every_change_is_noticed(self, change: Callable[[t.Any], t.Any]) -> None:
        opened = SecureCookieSession({"a": 1})
        change(opened)
        assert opened.modified

    @pytest.mark.parametrize(
        "operation", [*LOOKS.values(), *CHANGES.values()], ids=[*LOOKS, *CHANGES]
    )
    def test_every_operation_varies_the_response(self, operation: Callable[[t.Any], t.Any]) -> None:
        app = make_app()

        @app.get("/")
        def index() -> str:
            operation(session)
            return "ok"

        client = app.test_client()
        client.set_cookie("session", write(app, {"a": 1}))
        response = client.get("/")
        assert response.status_code == 200
        assert response.headers.getlist("Vary") == ["Cookie"]

    def test_saving_is_no_access(self) -> None:
        app = make_app()
        opened = SecureCookieSession({"a": 1, "_permanent": True})
        response = save(app, opened)
        assert not opened.accessed
        assert response.headers["Vary"] == "Cookie"  # for the cookie that keeps it alive

    def test_a_view_that_does_not_ask_is_cachable(self) -> None:
        app = make_app()
        app.add_url_rule("/", view_func=lambda: "hello")
        client = app.test_client()
        client.set_cookie("session", write(app, {"a": 1}))
        response = client.get("/")
        assert "Vary" not in response.headers
        assert "Set-Cookie" not in response.headers

    def test_nested_changes_need_a_word(self) -> None:
        opened = SecureCookieSession({"list": []})
        opened["list"].append(1)
        assert not opened.modified


class TestSave:
    def test_an_empty_untouched_session_is_nothing(self) -> None:
        headers = save(make_app(), SecureCookieSession()).headers
        assert headers == Response().headers

    def test_an_emptied_session_is_deleted(self) -> None:
        opened = SecureCookieSession({"a": 1})
        opened.clear()
        response = save(make_app(), opened)
        assert response.headers["Set-Cookie"].startswith("session=; Expires=Thu, 01 Jan 1970")
        assert response.headers["Vary"] == "Cookie"

    @pytest.mark.parametrize("refresh", [True, False])
    def test_a_permanent_session_is_refreshed(self, refresh: bool) -> None:
        app = make_app(SESSION_REFRESH_EACH_REQUEST=refresh)
        app.add_url_rule("/", view_func=lambda: "")
        client = app.test_client()
        client.set_cookie("session", write(app, {"a": 1, "_permanent": True}))
        response = client.get("/")
        assert ("Set-Cookie" in response.headers) is refresh
        assert (response.headers.get("Vary") == "Cookie") is refresh

    def test_the_cookie_of_a_view(self) -> None:
        app = make_app()

        @app.get("/set")
        async def set_() -> str:
            session["user"] = "ada"
            return "set"

        @app.get("/get")
        def get() -> str:
            return t.cast("str", session["user"])

        client = app.test_client()
        client.get("/set")
        assert client.get("/get").data == b"ada"
        cookie = client.get_cookie("session")
        assert cookie is not None
        assert open_(make_flask(), cookie.value) == {"user": "ada"}

    def test_browser_sessions_do_not_expire_by_date(self) -> None:
        opened = SecureCookieSession()
        opened["a"] = 1
        assert "Expires" not in save(make_app(), opened).headers["Set-Cookie"]


class TestNullSession:
    def test_opens_where_there_is_no_key(self) -> None:
        app = make_app(None)
        assert open_(app, None) is None
        with app.test_request_context():
            assert isinstance(session._get_current_object(), NullSession)  # type: ignore[attr-defined]

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_cannot_be_changed(self, change: Callable[[t.Any], t.Any]) -> None:
        with pytest.raises(RuntimeError, match=r"session is unavailable because no secret key"):
            change(NullSession())

    def test_can_be_read(self) -> None:
        null = NullSession()
        assert null.get("a") is None
        assert "a" not in null
        assert not null.permanent

    def test_is_recognised(self) -> None:
        interface = SessionInterface()
        assert interface.is_null_session(interface.make_null_session(make_app()))
        assert not interface.is_null_session(SecureCookieSession())


class TestSigningSerializer:
    def test_is_kept(self) -> None:
        app, interface = make_app(), SecureCookieSessionInterface()
        serializer = interface.get_signing_serializer(app)
        assert isinstance(serializer, URLSafeTimedSerializer)
        assert interface.get_signing_serializer(app) is serializer
        assert interface.get_signing_serializer(make_app("other")) is not serializer
        interface.salt = "other"
        assert interface.get_signing_serializer(app) is not serializer

    def test_overridden_is_honoured(self) -> None:
        class Own(SecureCookieSessionInterface):
            def get_signing_serializer(self, app: t.Any) -> URLSafeTimedSerializer:
                return URLSafeTimedSerializer("own key", salt="own")

        app = make_app()
        app.session_interface = Own()
        opened = open_(app, None)
        opened["a"] = [1]
        header = save(app, opened).headers["Set-Cookie"]
        value = parse_cookie(header)["session"]
        assert URLSafeTimedSerializer("own key", salt="own").loads(value) == {"a": [1]}
        assert open_(app, value) == {"a": [1]}

    def test_a_serializer_that_cannot_be_looked_up(self) -> None:
        class Unhashable(TaggedJSONSerializer):
            __slots__ = ()
            __hash__ = None  # type: ignore[assignment]

        app, interface = make_app(), SecureCookieSessionInterface()
        interface.serializer = Unhashable()
        app.session_interface = interface
        assert open_(make_flask(), write(app, {"a": (1,)})) == {"a": (1,)}

    def test_tags_registered_later_are_used(self) -> None:
        from .test_json_tag import Pair, TagPair

        app, interface = make_app(), SecureCookieSessionInterface()
        interface.serializer = TaggedJSONSerializer()
        app.session_interface = interface
        assert type(open_(app, write(app, {"p": Pair((1, 2))}))["p"]) is tuple
        interface.serializer.register(TagPair, index=0)
        assert type(open_(app, write(app, {"p": Pair((1, 2))}))["p"]) is Pair

    def test_the_default_serializer_is_shared(self) -> None:
        assert SecureCookieSessionInterface.serializer is session_json_serializer


class TestOwnInterface:
    def test_a_store_on_the_server(self) -> None:
        store: dict[str, dict[str, t.Any]] = {}

        class StoredSession(CallbackDict[str, t.Any], SessionMixin):
            sid = ""

        class Stored(SessionInterface):
            def open_session(self, app: t.Any, request: Request) -> StoredSession:
                opened = StoredSession(store.get(sid := request.cookies.get("sid", "new")))
                opened.sid = sid
                return opened

            def save_session(self, app: t.Any, session: t.Any, response: Response) -> None:
                store[session.sid] = dict(session)
                response.set_cookie("sid", session.sid)

        app = make_app(None)
        app.session_interface = Stored()

        @app.get("/")
        def index() -> str:
            session["n"] = session.get("n", 0) + 1
            return str(session["n"])

        client = app.test_client()
        assert [client.get("/").data for _ in range(3)] == [b"1", b"2", b"3"]
        assert store == {"new": {"n": 3}}

    def test_the_base_class_does_neither(self) -> None:
        interface = SessionInterface()
        with pytest.raises(NotImplementedError):
            interface.open_session(t.cast("t.Any", None), t.cast("t.Any", None))
        with pytest.raises(NotImplementedError):
            interface.save_session(*t.cast("t.Any", (None, None, None)))

    def test_the_mixins_defaults(self) -> None:
        class Simple(dict[str, t.Any], SessionMixin):  # type: ignore[misc]
            pass

        simple = Simple()
        assert (simple.new, simple.modified, simple.accessed, simple.permanent) == (
            False,
            True,
            False,
            False,
        )
        simple.permanent = t.cast("bool", 1)
        assert simple == {"_permanent": True}


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("get_cookie_name", "SESSION_COOKIE_NAME", "n"),
        ("get_cookie_domain", "SESSION_COOKIE_DOMAIN", "d"),
        ("get_cookie_path", "SESSION_COOKIE_PATH", "/p"),
        ("get_cookie_path", "APPLICATION_ROOT", "/root"),
        ("get_cookie_httponly", "SESSION_COOKIE_HTTPONLY", False),
        ("get_cookie_secure", "SESSION_COOKIE_SECURE", True),
        ("get_cookie_samesite", "SESSION_COOKIE_SAMESITE", "Lax"),
        ("get_cookie_partitioned", "SESSION_COOKIE_PARTITIONED", True),
    ],
)
def test_cookie_attributes_come_from_the_config(method: str, name: str, value: t.Any) -> None:
    app = make_app(**{name: value})
    assert getattr(SessionInterface(), method)(app) == value
