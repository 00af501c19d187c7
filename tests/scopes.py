"""ASGI scopes of requests, as a server makes them."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable

Header = tuple[bytes, bytes]


def scope(
    path: str = "/", method: str = "GET", headers: Iterable[Header] = (), **more: t.Any
) -> dict[str, t.Any]:
    """Return the scope of a request.

    :param more: what differs from a plain one.
    """
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), *headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        **more,
    }
