"""Whether a page may open a websocket here.

Browsers let every page connect to every server, cookies included, and say in ``Origin`` which page
it is (RFC 6455 section 10.2). So what keeps foreign pages from acting in their visitors' names is
the server's look at this header. Other clients send none, and have no visitor's cookies.

Two origins are the same if host and port are (RFC 6454 section 5). The scheme is not compared: a
server behind a proxy that ends TLS does not know its own. The scheme's default port stands in for a
port that is not named.
"""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def is_allowed(origin: str, host: str, allowed: t.Collection[str] | None) -> bool:
    """Whether a page of `origin` may connect.

    :param origin: the ``Origin`` header, such as ``https://example.com``.
    :param host: the ``Host`` header.
    :param allowed: origins that may; ``*`` stands for all of them. None: only the same origin.
    """
    if allowed is not None:
        origin = origin.lower()
        return any(each == "*" or each.lower().rstrip("/") == origin for each in allowed)
    try:
        theirs = urlsplit(origin)
        default = _PORTS[theirs.scheme]
        ours = urlsplit(f"//{host}")
        return _place(theirs, default) == _place(ours, default) and bool(ours.hostname)
    except (KeyError, ValueError):  # "null", of a page without an origin, or no URL at all
        return False


def _place(url: t.Any, default: int) -> tuple[str | None, int]:
    return url.hostname, default if url.port is None else url.port
