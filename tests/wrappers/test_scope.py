"""The WSGI environ of an ASGI request: its headers, whichever and however many there are."""

from __future__ import annotations

import io
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import BadRequest

from asyncflask.wrappers.scope import environ_from_scope, joined_headers


def scope(*headers: tuple[bytes, bytes]) -> dict[str, t.Any]:
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "headers": headers,
    }


def header_part(*headers: tuple[bytes, bytes]) -> dict[str, str]:
    """Return what of the environ comes from headers."""
    environ = environ_from_scope(scope(*headers), io.BytesIO())
    return {key: value for key, value in environ.items() if key.startswith(("HTTP_", "CONTENT_"))}


def test_names_as_in_cgi() -> None:
    assert header_part(
        (b"host", b"here"),
        (b"Content-Type", b"a/b"),
        (b"content-length", b"3"),
        (b"X-Forwarded-For", b"\xe9"),
    ) == {
        "HTTP_HOST": "here",
        "CONTENT_TYPE": "a/b",
        "CONTENT_LENGTH": "3",
        "HTTP_X_FORWARDED_FOR": "é",
    }


def test_what_could_pose_as_another_header_is_dropped() -> None:
    assert (
        header_part((b"x_forwarded_for", b"1"), (b"proxy", b"p"), (b"Content_Length", b"9")) == {}
    )


def test_what_is_sent_repeatedly_is_joined_in_order() -> None:
    sent = [(b"x-a", b"1"), (b"cookie", b"a=1"), (b"X-A", b"2"), (b"cookie", b"b=2"), (b"x-a", b"")]
    assert header_part(*sent) == {"HTTP_X_A": "1,2,", "HTTP_COOKIE": "a=1; b=2"}


@pytest.mark.parametrize("name", [b"host", b"content-length", b"Host", b"Content-Length"])
def test_what_must_not_be_ambiguous_is_refused(name: bytes) -> None:
    with pytest.raises(BadRequest, match=r"has 3 (Host|Content-Length) headers"):
        header_part((name, b"1"), (name.lower(), b"1"), (name, b"1"))


NAMES = st.sampled_from(
    [b"host", b"Content-Length", b"content-type", b"cookie", b"proxy", b"x-a", b"X-A", b"x_a", b""]
)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=3)), max_size=12))
def test_says_the_same_as_the_headers_of_the_request(headers: list[tuple[bytes, bytes]]) -> None:
    asked = scope(*headers)
    try:
        expected = {name.lower(): value for name, value in joined_headers(asked).items()}
    except BadRequest as error:
        with pytest.raises(BadRequest) as refused:
            header_part(*headers)
        assert refused.value.description == error.description  # noqa: PT017 - of the two readers
        return
    found = {
        key.removeprefix("HTTP_").replace("_", "-").lower(): value
        for key, value in header_part(*headers).items()
    }
    assert found == expected
