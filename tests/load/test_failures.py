"""Kinds of errors, by servers that have them."""

from __future__ import annotations

import errno
import socket
import ssl

import httpx
import pytest

from asyncflask.load.failures import example, kind

from .servers import Behaviour, broken, free_port, is_silent, reset, run, sends

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n"


@pytest.mark.parametrize(
    ("behave", "expected"),
    [
        (reset, "connection reset"),
        (lambda connection: None, "connection closed early"),
        (sends(HEAD), "connection closed early"),
        (sends(HEAD + b"\r\nabc"), "connection closed early"),
        (sends(b"what?\r\n\r\n"), "invalid response"),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), "invalid response"),
        (sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "invalid response"),
    ],
    ids=["reset", "closed", "half a head", "half a body", "no HTTP", "bad length", "bad chunk"],
)
def test_broken_servers(behave: Behaviour, expected: str) -> None:
    with broken(behave) as url:
        record = run(url, requests=2)
    assert record.total.failures == {expected: 2}
    assert record.total.answered == 0
    assert record.total.histogram.count == 0  # to fail at once is not to be quick


def test_a_silent_server() -> None:
    with broken(is_silent) as url:
        record = run(url, timeout=0.05)
    assert record.total.failures == {"timeout": 1}
    assert record.total.examples == {"timeout": "no complete answer within 0.05 s"}
    assert record.total.histogram.smallest >= 50_000_000


def test_a_server_that_is_silent_in_the_middle_of_its_body() -> None:
    def stops(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"\r\nabc")
        is_silent(connection)

    with broken(stops) as url:
        assert run(url, timeout=0.05).total.failures == {"timeout": 1}


def test_no_server() -> None:
    record = run(f"http://127.0.0.1:{free_port()}/", requests=3)
    assert record.total.failures == {"connection refused": 3}


def test_a_server_without_tls() -> None:
    with broken(sends(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as url:
        record = run(url.replace("http:", "https:"))
    assert record.total.failures == {"TLS failed": 1}


def test_a_server_that_fails_for_a_while_and_recovers() -> None:
    answers = iter([b"", HEAD + b"Connection: close\r\n\r\n0123456789"])
    with broken(lambda connection: connection.sendall(next(answers))) as url:
        record = run(url, requests=2)
    assert record.total.failures == {"connection closed early": 1}
    assert record.total.statuses == {200: 1}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.EMFILE, "too many open files on this machine"),
        (errno.EADDRNOTAVAIL, "no free port left on this machine"),
        (errno.ENETUNREACH, "host unreachable"),
    ],
)
def test_causes_tell_more_than_what_they_caused(number: int, expected: str) -> None:
    error = httpx.ConnectError("All connection attempts failed")
    error.__cause__ = OSError("several")
    error.__cause__.__cause__ = ExceptionGroup("all", [OSError(number, "why")])
    assert kind(error) == expected
    assert example(error) == f"ConnectError: [Errno {number}] why"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), "timeout"),
        (httpx.PoolTimeout(""), "timeout"),
        (httpx.ConnectError("?"), "connection failed"),
        (httpx.WriteError("?"), "connection reset"),
        (httpx.LocalProtocolError("?"), "invalid request"),
        (httpx.UnsupportedProtocol("?"), "invalid request"),
        (httpx.DecodingError("?"), "invalid response"),
        (httpx.TooManyRedirects("?"), "too many redirects"),
        (socket.gaierror(-2, "?"), "host not found"),
        (ssl.SSLError("?"), "TLS failed"),
        (KeyError("a"), "KeyError"),
    ],
)
def test_kinds_of_exceptions(error: Exception, expected: str) -> None:
    assert kind(error) == expected


def test_causes_in_a_circle() -> None:
    first, second = KeyError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert kind(first) == "KeyError"


def test_examples_are_one_line() -> None:
    assert example(ValueError("a\n  b")) == "ValueError: a b"
    assert example(KeyError()) == "KeyError"
