"""Session cookies: Flask's, byte for byte, and nothing that a visitor sends is an error."""

from __future__ import annotations

import hashlib
import time
import typing as t
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import flask
import flask.sessions
import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous.encoding import base64_encode
from markupsafe import Markup
from werkzeug.http import parse_cookie

from asyncflask import Flask, Response
from asyncflask.sessions import SecureCookieSessionInterface
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


def sign_raw(app: Flask, payload: bytes) -> str:
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    return t.cast("str", serializer.make_signer().sign(payload).decode())


def sign(app: Flask, payload: bytes, *, compress: bool) -> str:
    if compress:
        return sign_raw(app, b"." + base64_encode(zlib.compress(payload)))
    return sign_raw(app, base64_encode(payload))


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
            return line

        ours, theirs = make_app(**config), make_flask(**config)
        for data in ({"b": 2}, {}):
            mine, flasks = at_once(partial(header, ours, **data), partial(header, theirs, **data))
            assert mine == flasks

    @pytest.mark.parametrize("derivation", ["hmac", "concat", "django-concat", "none"])
    def test_other_signing_options(self, derivation: str) -> None:
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
