"""One cookie, read and set: against all of them, as werkzeug reads and sets them."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asyncflask import Flask, Request, Response
from asyncflask.bodies import Body
from asyncflask.one_cookie import ATTRIBUTES, _around, add_like_before, sent_cookie

from .scopes import scope

NAMES = [b"sid", b"other", b"xsid", b"sid2", b"sid=", b"sid=1; "]
SIGNS = [b"=", b"=", b";", b"; ", b" ", b"\t", b'"', b"\\", b",", b"\n"]
PIECES = st.sampled_from([*NAMES, *SIGNS, b"a.b-c_1", b"\xe9"])
LINES = st.lists(st.lists(PIECES, max_size=8).map(b"".join), max_size=3)


def request_with(lines: list[bytes], kind: type[Request] = Request) -> Request:
    made = scope("/", headers=[(b"cookie", line) for line in lines])
    return kind.from_scope(made, t.cast("Body", None))


@settings(deadline=None, max_examples=500)
@given(LINES, st.sampled_from(["sid", "other", "s d", "", 'a"', "é"]))
@example([b"sid=1 2; sid=3"], "sid")
@example([b"sid", b"sid=2"], "sid")
@example([b'a="; sid=1"; sid=2'], "sid")
def test_a_cookie_is_what_werkzeug_reads(lines: list[bytes], name: str) -> None:
    assert sent_cookie(request_with(lines), name) == request_with(lines).cookies.get(name)


def test_a_request_class_with_cookies_of_its_own_is_asked() -> None:
    class Own(Request):
        cookies = {"sid": "own"}  # type: ignore[assignment]  # noqa: RUF012

    assert sent_cookie(request_with([b"sid=sent"], Own), "sid") == "own"


OPTIONS = st.tuples(
    st.sampled_from([None, "", "example.com", ".example.com", "ü.example"]),
    st.sampled_from([None, "/", "/app", "/ü;x"]),
    st.sampled_from([True, False, 1, 0, None]),
    st.sampled_from([True, False]),
    st.sampled_from([None, "Lax", "strict", "nonsense"]),
    st.sampled_from([True, False]),
)
EXPIRY = st.sampled_from(
    [
        None,
        datetime(2026, 11, 28, 1, 2, 3, 999_999, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC),
        datetime(2026, 11, 28),
        datetime.now(UTC) + timedelta(days=31),
        1_800_000_000,
        "Thu, 01 Jan 2026 00:00:00 GMT",
    ]
)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(["session", "a-b", "a b", "a=b", "é"]),
    st.sampled_from(["abc.DEF-_", "with space", "", 'a"b', "x" * 5000]),
    EXPIRY,
    OPTIONS,
)
@pytest.mark.filterwarnings("ignore:The '")
def test_a_cookie_is_set_as_werkzeug_sets_it(
    name: str, value: str, expires: t.Any, options: tuple[t.Any, ...]
) -> None:
    def expected() -> object:
        response = Response()
        response.set_cookie(
            name, value, expires=expires, **dict(zip(ATTRIBUTES, options, strict=True))
        )
        return response.headers.getlist("Set-Cookie")

    def mine() -> object:
        response = Response()
        if not add_like_before(response, name, value, expires, options):
            return expected()
        return response.headers.getlist("Set-Cookie")

    assert outcome(mine) == outcome(expected)


def outcome(call: t.Callable[[], object]) -> object:
    try:
        return call()
    except ValueError as error:
        return type(error)


def test_a_response_class_with_a_way_of_its_own_is_asked() -> None:
    class Own(Response):
        def set_cookie(self, *args: t.Any, **kwargs: t.Any) -> None:
            self.headers["X-Own"] = "yes"

    assert not add_like_before(Own(), "a", "b", None, (None, "/", False, True, None, False))


def test_a_cookie_that_is_too_large_is_warned_of() -> None:
    app = Flask(__name__)
    with app.app_context():
        assert not add_like_before(
            Response(), "a", "b" * 5000, None, (None, "/", False, True, None, False)
        )


def test_dates_fill_no_memory() -> None:
    for day in range(100):
        date = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
        assert add_like_before(Response(), "a", "b", date, (None, "/", False, True, None, False))
    assert _around.cache_info().currsize <= 32
