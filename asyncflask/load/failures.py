"""What went wrong with a request, in a word or two: the kind that it is counted under."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

import httpx

#: Kinds whose requests were given up: their answers would have taken longer than was waited.
TIMEOUT = "timeout"

#: What the system's error numbers mean to somebody who tests a server.
_NUMBERS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.ECONNABORTED: "connection reset",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "host unreachable",
    errno.ETIMEDOUT: TIMEOUT,
    errno.EADDRNOTAVAIL: "no free port left on this machine",
    errno.EMFILE: "too many open files on this machine",
    errno.ENFILE: "too many open files on this machine",
}

#: For each exception, the more special first, its kind where no error number tells more.
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, TIMEOUT),
    (httpx.TimeoutException, TIMEOUT),
    (httpx.ConnectError, "connection failed"),
    (httpx.ReadError, "connection reset"),
    (httpx.WriteError, "connection reset"),
    (httpx.CloseError, "connection reset"),
    (httpx.LocalProtocolError, "invalid request"),
    (httpx.UnsupportedProtocol, "invalid request"),
    (httpx.InvalidURL, "invalid request"),
    (httpx.DecodingError, "invalid response"),
    (httpx.TooManyRedirects, "too many redirects"),
    (httpx.HTTPStatusError, "status raised"),
)

#: What httpx says where the server has closed the connection before the response's head, or
#: before the end of its body.
_CLOSED = ("Server disconnected", "peer closed connection")


class RemoteHost(httpx.RequestError):
    """Raised when a scenario asks a host that is not on this machine."""


def kind(error: BaseException) -> str:
    """Return what to count an error under."""
    if isinstance(error, RemoteHost):
        return "remote host not allowed"
    if isinstance(error, httpx.RemoteProtocolError):
        is_closed = any(words in str(error) for words in _CLOSED)
        return "connection closed early" if is_closed else "invalid response"
    return _told_by_cause(error) or _told_by_class(error)


def _told_by_cause(error: BaseException) -> str | None:
    cause = _system_error(error)
    if cause is None:
        return None
    if isinstance(cause, ssl.SSLError):
        return "TLS failed"
    return "host not found" if isinstance(cause, socket.gaierror) else _NUMBERS[cause.errno or 0]


def _system_error(error: BaseException) -> OSError | None:
    """Return the system's error that is behind an error, if it is one that tells more."""
    for cause in _causes(error):
        if isinstance(cause, (ssl.SSLError, socket.gaierror)):
            return cause
        if isinstance(cause, OSError) and cause.errno in _NUMBERS:
            return cause
    return None


def _told_by_class(error: BaseException) -> str:
    for cls, name in _KINDS:
        if isinstance(error, cls):
            return name
    return type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Iterate over an error, what it was raised from or during, and the members of groups."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [cause for cause in (each.__cause__, each.__context__) if cause is not None]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions


def example(error: BaseException) -> str:
    """Return a line that tells of one error: what the system says, where httpx only hints at it."""
    text = " ".join(str(_system_error(error) or error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
