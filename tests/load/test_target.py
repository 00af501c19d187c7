from __future__ import annotations

import socket
import typing as t

import click
import httpx
import pytest

from asyncflask.load.target import (
    Fence,
    TargetError,
    base_url,
    is_loopback,
    joined,
    read_url,
    refuse_remote,
    refuse_silent,
    without_user,
)


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("127.0.0.1:8000/a?b=c", "http://127.0.0.1:8000/a?b=c"),
        ("localhost", "http://localhost"),
        (":5000/x", "http://127.0.0.1:5000/x"),
        ("https://[::1]:8443/", "https://[::1]:8443/"),
    ],
)
def test_urls_as_people_type_them(typed: str, url: str) -> None:
    assert read_url(typed) == url


@pytest.mark.parametrize("typed", ["", "ftp://127.0.0.1/", "http://", "http://a:b/", "unix:///x"])
def test_what_is_no_url(typed: str) -> None:
    with pytest.raises(click.UsageError):
        read_url(typed)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:192.0.2.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("10.0.0.1", False),
        ("fe80::1%1", False),
    ],
)
def test_loopback(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


def test_this_machine_may_be_asked() -> None:
    for host in ("127.0.0.1", "localhost"):
        refuse_remote(host, 80)


def test_another_machine_may_not() -> None:
    with pytest.raises(TargetError, match=r"192\.0\.2\.1.*--allow-remote"):
        refuse_remote("192.0.2.1", 80)


def test_the_address_of_all_interfaces_is_explained() -> None:
    with pytest.raises(TargetError, match=r"Ask 127\.0\.0\.1"):
        refuse_remote("0.0.0.0", 80)


def test_every_address_of_a_name_has_to_be_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(*args: t.Any, **kwargs: t.Any) -> list[t.Any]:
        addresses = ["127.0.0.1", "198.51.100.7"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 80)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with pytest.raises(TargetError, match=r"it means 198\.51\.100\.7"):
        refuse_remote("two.example", 80)


@pytest.mark.parametrize("host", ["a.invalid", "x" * 70 + ".invalid"])
def test_an_unknown_host(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: t.Any, **kwargs: t.Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    if len(host) < 64:  # the other one is no name at all, and is never looked up
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(TargetError, match="not known here"):
        refuse_remote(host, 80)


def test_where_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TargetError, match=f"Nothing listens on port {port} of 127.0.0.1"):
        refuse_silent(f"http://127.0.0.1:{port}/")


def test_where_something_listens_nothing_is_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        refuse_silent(f"http://127.0.0.1:{server.getsockname()[1]}/")
        connection, _ = server.accept()
        with connection:
            assert connection.recv(1) == b""


def test_a_connection_that_fails_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: t.Any) -> None:
        raise OSError(113, "No route to host")

    monkeypatch.setattr(socket, "create_connection", fail)
    with pytest.raises(TargetError, match="Cannot connect to port 443 of there: No route to host"):
        refuse_silent("https://there/")


def test_a_fence_remembers_what_it_let_pass() -> None:
    fence, here = Fence(allow_remote=False), httpx.URL("http://127.0.0.1:1/a")
    assert not fence.knows(here)
    fence.check(here)
    assert fence.knows(httpx.URL("http://127.0.0.1:1/b"))
    assert not fence.knows(httpx.URL("http://127.0.0.1:2/b"))
    with pytest.raises(TargetError):
        fence.check(httpx.URL("http://192.0.2.1/"))
    assert Fence(allow_remote=True).knows(httpx.URL("http://192.0.2.1/"))


@pytest.mark.parametrize(
    ("url", "bare", "value"),
    [
        ("http://ada:p%40ss@127.0.0.1:1/a?b", "http://127.0.0.1:1/a?b", "Basic YWRhOnBAc3M="),
        ("http://ada@127.0.0.1/", "http://127.0.0.1/", "Basic YWRhOg=="),
    ],
)
def test_a_user_in_the_url_goes_into_a_header(url: str, bare: str, value: str) -> None:
    assert without_user(url) == (bare, (("Authorization", value),))


def test_a_url_without_a_user_stays() -> None:
    assert without_user("http://127.0.0.1/a") == ("http://127.0.0.1/a", ())


def test_parts_of_urls() -> None:
    assert base_url("http://127.0.0.1:1/api?a=b#c") == "http://127.0.0.1:1/api"
    assert joined("http://127.0.0.1:1", "/a?b=c") == "http://127.0.0.1:1/a?b=c"
