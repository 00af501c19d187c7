"""Which pages may open websockets."""

from __future__ import annotations

import pytest

from asyncflask.origins import is_allowed


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://example.com", "example.com"),
        ("https://example.com", "example.com"),
        ("https://example.com:443", "example.com"),
        ("https://example.com", "example.com:443"),
        ("http://example.com", "EXAMPLE.com:80"),
        ("http://example.com:8000", "example.com:8000"),
        ("ws://example.com", "example.com"),
        ("http://[::1]:5000", "[::1]:5000"),
    ],
)
def test_the_same_origin(origin: str, host: str) -> None:
    assert is_allowed(origin, host, None)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://example.com", "example.org"),
        ("http://example.com.evil", "example.com"),
        ("http://evil-example.com", "example.com"),
        ("http://www.example.com", "example.com"),
        ("http://example.com:8000", "example.com"),
        ("http://example.com", "example.com:8000"),
        ("https://example.com", "example.com:80"),
        ("http://user@evil", "user"),
        ("null", "example.com"),
        ("null", "null"),
        ("", ""),
        ("http://", ""),
        ("file://", "example.com"),
        ("file:///example.com", "example.com"),
        ("chrome-extension://example.com", "example.com"),
        ("http://example.com,http://evil", "example.com"),
        ("http://example.com:port", "example.com:port"),
        ("http://example.com:99999", "example.com:99999"),
        ("http://[::1", "[::1"),
    ],
)
def test_others(origin: str, host: str) -> None:
    assert not is_allowed(origin, host, None)


def test_origins_that_are_allowed() -> None:
    allowed = ["https://Example.com", "http://localhost:3000/"]
    assert is_allowed("https://example.com", "api.example.com", allowed)
    assert is_allowed("http://localhost:3000", "localhost", allowed)
    assert not is_allowed("http://example.com", "api.example.com", allowed)
    assert not is_allowed("https://api.example.com", "api.example.com", allowed)
    assert not is_allowed("null", "api.example.com", allowed)


def test_all_origins() -> None:
    assert is_allowed("https://evil", "example.com", ["*"])
    assert is_allowed("null", "example.com", ["*"])
    assert not is_allowed("https://example.com", "example.com", [])
