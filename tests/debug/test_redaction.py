"""Nothing that looks like a secret, or is known to be one, is shown."""

from __future__ import annotations

import linecache
import os
from collections import OrderedDict, UserDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import EnvironHeaders, Headers, ImmutableMultiDict, MultiDict

from asyncflask.debug import render_exception, render_text
from asyncflask.debug.bounded import Bounded
from asyncflask.debug.redaction import MASK, Redactor
from asyncflask.debug.reprs import LONGEST, LONGEST_TEXT, SafeRepr

PLANTED = "hunter2-PLANTED"


@dataclass
class Settings:
    api_key: str
    name: str = "visible"


class Config(dict[str, Any]):
    def __repr__(self) -> str:
        return f"<Config {dict.__repr__(self)}>"


def shown(value: object, *secrets: str | bytes) -> str:
    redactor = Redactor(secrets)
    with Bounded() as bounded:
        return SafeRepr(redactor, bounded)(value)


NAMES = [
    "secret", "SECRET_KEY", "client_secret", "password", "PASSWD", "db_passwd", "passphrase", "pwd",
    "token", "access_token", "X-Auth-Token", "api_key", "apikey", "API-KEY", "Authorization",
    "Proxy-Authorization", "Cookie", "Set-Cookie", "session", "sessionid", "credentials",
    "private_key", "signature", "csrf", "CSRFToken", "xsrf", "jwt", "otp", "user_otp", "SENTRY_DSN",
    "salt", "access_key", "HTTP_COOKIE", "HTTP_AUTHORIZATION", b"authorization", b"Cookie",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_secrets(name: str | bytes) -> None:
    assert Redactor().hides(name)


@pytest.mark.parametrize(
    "name",
    ["user", "author", "footprint", "basalt", "key", "passenger", "path", 3, None, ("token",)],
)
def test_names_of_other_things(name: object) -> None:
    assert not Redactor().hides(name)


@pytest.mark.parametrize(
    "value",
    [
        {"password": PLANTED, "user": "ada"},
        {"SECRET_KEY_FALLBACKS": [PLANTED, PLANTED]},
        {"a": {"b": {"token": PLANTED}}},
        {b"authorization": PLANTED.encode()},
        [(b"cookie", PLANTED.encode()), (b"host", b"visible")],
        [["authorization", PLANTED]],
        ("api_key", PLANTED),
        Settings(api_key=PLANTED),
        Config(SECRET_KEY=PLANTED, SECRET_KEY_FALLBACKS=[PLANTED]),
        OrderedDict(password=PLANTED),
        defaultdict(str, password=PLANTED),
        MappingProxyType({"password": PLANTED}),
        UserDict({"password": PLANTED}),
        MultiDict([("password", PLANTED)]),
        ImmutableMultiDict([("password", PLANTED)]),
        Headers([("Authorization", f"Bearer {PLANTED}"), ("Cookie", f"session={PLANTED}")]),
        EnvironHeaders({"HTTP_COOKIE": f"a={PLANTED}", "HTTP_X_API_KEY": PLANTED}),
        {"HTTP_COOKIE": f"session={PLANTED}", "REQUEST_METHOD": "GET"},
        f"postgresql://app:{PLANTED}@db/app",
        f"https://host/reset?token={PLANTED}&page=2",
        f"Authorization: Basic {PLANTED}",
        f"Bearer {PLANTED}",
        f"password={PLANTED}; user=ada",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.PLANTED-PLANTED",
        f"-----BEGIN RSA PRIVATE KEY-----\n{PLANTED}\n-----END RSA PRIVATE KEY-----",
        {1: f'{{"password": "{PLANTED}"}}'},
        {"x": f"{{'password': '{PLANTED}'}}"},
    ],
    ids=repr,
)
def test_values_by_name_or_shape(value: object) -> None:
    text = shown(value)
    assert "PLANTED" not in text
    assert MASK in text


def test_environment_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    os.environ.clear()
    os.environ["DATABASE_PASSWORD"] = PLANTED
    os.environ["LANG"] = "visible"
    text = shown(os.environ)
    assert "PLANTED" not in text
    assert "visible" in text


def test_harmless_values_stay() -> None:
    value = {"user": "ada", "path": "/a?page=2", "items": [1, (2, 3)], "re": r"\d+"}
    assert shown(value) == repr(value)
    assert shown(Settings(api_key="x")) == f"Settings(api_key='{MASK}', name='visible')"


@pytest.mark.parametrize(
    "value", [True, 3, 2.5, 1j, None, "text", b"bytes", {1, 2}, frozenset("a")]
)
def test_plain_values_are_their_repr(value: object) -> None:
    assert shown(value) == repr(value)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: s.encode(),
        lambda s: [{"x": (s,)}],
        lambda s: f"in the middle {s} of a text",
        lambda s: {s: 1},
        lambda s: ValueError(s),
        lambda s: "x" * (LONGEST_TEXT - 12) + s,
        lambda s: b"x" * (LONGEST_TEXT - 12) + s.encode(),
        lambda s: ["y" * 800, "y" * (LONGEST - 820), s],
        lambda s: {"k" * 900: "v" * 90, "n": s},
    ],
)
@pytest.mark.parametrize(
    "secret",
    [
        "a-long-secret-value",
        "quo'te\"and\\slash\n\x00é" * 2,
        "".join(map(chr, range(0x4E00, 0x5A00))),
    ],
)
def test_given_secrets_are_masked_anywhere(wrap: Callable[[str], object], secret: str) -> None:
    text = shown(wrap(secret), secret)
    parts = {secret[start : start + 9] for start in range(len(secret) - 9)}
    assert not any(part in text for part in parts)
    assert repr(secret)[1:-1] not in text
    assert secret not in text


def test_short_secrets_are_masked_as_words() -> None:
    assert shown("dev devices /dev/null", "dev") == f"'{MASK} devices /{MASK}/null'"


def test_secrets_may_be_bytes_or_missing() -> None:
    assert shown(b"\xff\xfe secret bytes", b"\xff\xfe secret bytes") == f"b'{MASK}'"
    assert shown("x", "", *[]) == "'x'"
    assert "x" in render_text(ValueError("x"), secrets=[None, ""])


@given(st.text(min_size=12), st.text(max_size=50), st.text(max_size=50))
def test_no_given_secret_survives(secret: str, before: str, after: str) -> None:
    redactor = Redactor([secret])
    with Bounded() as bounded:
        text = SafeRepr(redactor, bounded)(before + secret + after)
    inner = repr(secret)[1:-1]
    assert inner not in text.replace(MASK, "\0") or inner in repr(MASK * 9)


def test_source_keeps_code_and_loses_literals() -> None:
    source = Redactor().source
    assert source('password = "hunter2"') == f'password = "{MASK}"'
    assert source("app.config['SECRET_KEY'] = b'x'") == f"app.config['SECRET_KEY'] = '{MASK}'"
    assert source('def f(token: str = "abc"):') == f'def f(token: str = "{MASK}"):'
    assert source('if password == "hunter2":') == f'if password == "{MASK}":'
    assert source('call(api_key="x", user="ada")') == f'call(api_key="{MASK}", user="ada")'
    for code in ("token = make_token(user)", "session = Session(bind=engine)", "x = tokens[0]"):
        assert source(code) == code


def test_hostile_text_takes_no_time() -> None:
    import time

    began = time.process_time()  # of this process alone, whatever else the machine has to do
    for text in (
        "secret" * 400,
        "token='" + "\\" * 2000,
        "://" * 800,
        "a" * 2400,
        "password" + " " * 2400,
    ):
        Redactor(["s" * 12]).text(text)
    assert time.process_time() - began < 1


SOURCE = """\
def view():
    password = "hunter2-PLANTED"
    config = {"SECRET_KEY": "hunter2-PLANTED", "user": "ada"}
    plain = "app-" "secret-key-value"
    url = "/?token=" + config["SECRET_KEY"]
    raise ValueError(f"cannot use {plain} at {url} for {config!r}")
"""


def test_a_page_shows_no_secret() -> None:
    linecache.cache["/app/leak.py"] = (len(SOURCE), None, SOURCE.splitlines(True), "/app/leak.py")
    scope: dict[str, Any] = {}
    exec(compile(SOURCE, "/app/leak.py", "exec"), scope)
    try:
        scope["view"]()
    except ValueError as error:
        facts = {
            "method": "GET",
            "url": f"http://u:{PLANTED}@h/?api_key={PLANTED}&x=app-secret-key-value",
            "headers": {
                "Cookie": PLANTED,
                "X-Csrf-Token": PLANTED,
                "Referer": f"/?token={PLANTED}",
            },
            "environ": {"HTTP_COOKIE": PLANTED, "SERVER_NAME": "h", "wsgi.input": object()},
            "session": {"user": PLANTED},
            "args": MultiDict([("password", PLANTED)]),
        }
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # not this file
        page = render_exception(error, request=facts, secrets=["app-secret-key-value"])
        text = render_text(error, secrets=["app-secret-key-value"])
    for shown_text in (page, text):
        assert "app-secret-key-value" not in shown_text
        assert "PLANTED" not in shown_text
        assert MASK in shown_text
    assert "ada" in page
