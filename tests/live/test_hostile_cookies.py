"""Cookies that no browser would send, and sessions that this server did not sign."""

from __future__ import annotations

import json
import time
import typing as t
import zlib
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from itsdangerous import URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode

from asyncflask import Flask, signing
from asyncflask.sessions import SecureCookieSessionInterface

from .server import LiveServer

pytestmark = [
    pytest.mark.usefixtures("unharmed"),
    pytest.mark.parametrize("prefix", ["/sync", "/async"]),
]

MALFORMED = {
    "": {},
    ";": {},
    "=": {},
    "=session": {},
    " =session": {},
    ";" * 3000: {},
    "=;" * 3000: {},
    "session": {"session": ""},
    "session=": {"session": ""},
    'session="': {},
    'session="x': {},
    "session=x; session=y": {"session": "x"},
    "a=b; session=\xff\xfe": {"a": "b", "session": "\xff\xfe"},
    "a b=c": {},
    "a=b=c": {"a": "b=c"},
    "__proto__=1": {"__proto__": "1"},
}


def serializer(app: Flask) -> URLSafeTimedSerializer:
    found = SecureCookieSessionInterface().get_signing_serializer(app)
    assert found is not None
    return found


def user(target: LiveServer, prefix: str, cookie: t.Any) -> t.Any:
    """Return who the server takes the sender of a session cookie for."""
    answer = target.get(f"{prefix}/session", f"Cookie: session={cookie}")
    assert answer.status == 200
    assert answer.header("Set-Cookie") is None
    assert answer.header("Vary") == "Cookie"
    return answer.json["user"]


def signed_text(app: Flask, payload: bytes) -> str:
    """Sign a payload that the serializer itself would not make."""
    signer: t.Any = serializer(app).make_signer("cookie-session")
    return str(signer.sign(payload).decode())


def test_malformed_cookies_are_dropped(target: LiveServer, prefix: str) -> None:
    found = {text: target.get(f"{prefix}/cookies", f"Cookie: {text}").json for text in MALFORMED}
    assert found == MALFORMED


def test_malformed_cookies_are_no_session(target: LiveServer, prefix: str) -> None:
    for text in MALFORMED:
        answer = target.get(f"{prefix}/session", f"Cookie: {text}")
        assert (answer.status, answer.json) == (200, {"user": None})


def test_quoted_value_of_backslashes_is_read_in_linear_time(
    target: LiveServer, prefix: str
) -> None:
    answer = target.get(f"{prefix}/cookies", 'Cookie: a="{}"'.format("\\" * 40_000))
    assert answer.status == 200


def test_own_session_is_known(target: LiveServer, prefix: str) -> None:
    assert user(target, prefix, serializer(target.app).dumps({"user": "me"})) == "me"


def test_changed_session_is_empty(target: LiveServer, prefix: str) -> None:
    good = str(serializer(target.app).dumps({"user": "me"}))
    for index in range(len(good) - 1):  # the last character holds bits that do not count
        other = "A" if good[index] != "A" else "B"
        assert user(target, prefix, good[:index] + other + good[index + 1 :]) is None
        assert user(target, prefix, good[:index]) is None
    assert user(target, prefix, good + "x") is None


@pytest.mark.parametrize("salt", ["cookie-session", "other"])
def test_session_signed_by_another_is_empty(target: LiveServer, prefix: str, salt: str) -> None:
    app = Flask("other")
    app.secret_key = "guessed" if salt == "cookie-session" else target.app.secret_key
    interface = SecureCookieSessionInterface()
    interface.salt = salt
    signer = interface.get_signing_serializer(app)
    assert signer is not None
    assert user(target, prefix, signer.dumps({"user": "me"})) is None


@pytest.mark.parametrize("age", [31 * 24 * 3600 + 60, -3600])
def test_session_of_another_time_is_empty(target: LiveServer, prefix: str, age: int) -> None:
    then = int(time.time()) - age
    with patch.object(signing, "time", SimpleNamespace(time=lambda: then)):
        cookie = serializer(target.app).dumps({"user": "me"})
    assert user(target, prefix, cookie) is None


@pytest.mark.parametrize("length", [5_000, 50_000])
def test_huge_session_is_empty(target: LiveServer, prefix: str, length: int) -> None:
    assert user(target, prefix, "x" * length) is None
    assert user(target, prefix, "." * length) is None
    assert user(target, prefix, "." + "x" * length + ".x.x") is None


BOMB = b"." + base64_encode(zlib.compress(b'{"user":"me","x":"%s"}' % (b" " * 16_000_000), 9))


def test_compressed_bomb_is_empty(target: LiveServer, prefix: str) -> None:
    assert user(target, prefix, BOMB.decode() + ".aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb") is None
    assert user(target, prefix, signed_text(target.app, BOMB)) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        "text",
        [],
        [["user", "me", "x"]],
        {" t": "x"},
        {" t": {" t": 1}},
        {" u": "not a uuid"},
        {" b": "not base64!"},
        {" d": "not a date"},
        {" di": 1},
        {" m": [1]},
        {"user": {" u": []}},
    ],
    ids=json.dumps,
)
def test_session_of_another_shape_is_empty(target: LiveServer, prefix: str, value: t.Any) -> None:
    cookie = signed_text(target.app, base64_encode(json.dumps(value).encode()))
    assert user(target, prefix, cookie) is None


@pytest.mark.parametrize(
    "text", [b"[" * 30_000, b'{"a":' * 5_000, b"\xff", b"", b"{", b"1" * 9_999]
)
def test_session_that_is_no_json_is_empty(target: LiveServer, prefix: str, text: bytes) -> None:
    assert user(target, prefix, signed_text(target.app, base64_encode(text))) is None
