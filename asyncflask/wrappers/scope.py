"""ASGI scope to WSGI environ and headers, purely.

Rules (PEP 3333, RFC 3875, RFC 9110 section 5.3):

1. A header whose name holds an underscore is dropped: folded to ``HTTP_X_Y`` it could pose as the
   ``X-Y`` that a proxy vouches for.
2. ``Proxy`` is dropped: ``HTTP_PROXY`` is a setting of HTTP clients ("httpoxy").
3. Repeated headers are joined with a comma, cookies with a semicolon, in linear time.
4. A second ``Host`` or ``Content-Length`` is refused: two readers could believe different ones.
"""

from __future__ import annotations

import re
import sys
import typing as t
from functools import lru_cache

from werkzeug.exceptions import BadRequest

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: The headers that decide how a request is handled, whatever the app does with it.
NOTABLE = frozenset({b"host", b"content-length", b"content-type", b"transfer-encoding", b"cookie"})

#: A host that every reader understands alike (RFC 3986 section 3.2.2), with or without a port.
_PLAIN_HOST = re.compile(
    rb"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
    rb"|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?",
    re.IGNORECASE,
)

_SINGLE = {"host": "Host", "content-length": "Content-Length"}
_UNPREFIXED = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


def notable_headers(
    headers: t.Iterable[tuple[bytes, bytes]],
) -> dict[bytes, list[bytes]]:
    """Return the values of the headers that are looked at for each request, in one pass."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in NOTABLE:
            if name in found:
                found[name].append(value)
            else:
                found[name] = [value]
    return found


#: Hosts found to be plain; bounded, as clients choose them. PERF: 0.1 us less than a call.
plain_hosts: set[bytes] = set()


def is_plain_host(host: bytes) -> bool:
    """Whether a `Host` header needs no second look."""
    if host in plain_hosts:
        return True
    plain = _PLAIN_HOST.fullmatch(host) is not None
    if plain and len(plain_hosts) < 256:
        plain_hosts.add(host)
    return plain


def refusal(scope: t.Mapping[str, t.Any], notable: dict[bytes, list[bytes]]) -> BadRequest | None:
    """Return why a request is answered 400 on every route, or None.

    A request target must be a path (RFC 9112 section 3.2.1), and two `Host` or `Content-Length`
    headers could be read differently by two readers.
    """
    for name in (b"host", b"content-length"):
        if name in notable and len(notable[name]) > 1:
            return _sent_twice(name.decode(), len(notable[name]))
    if scope["path"][:1] != "/" and scope["path"] != "*":
        return BadRequest("The request's target is not a path: it must start with a slash.")
    return None


def _sent_twice(name: str, count: int) -> BadRequest:
    return BadRequest(f"The request has {count} {_SINGLE[name]} headers; send one.")


@lru_cache(maxsize=256)  # bounded, since clients choose the names
def _environ_key(raw_name: bytes) -> str | None:
    """Return a header's name in an environ; None if it is to be dropped."""
    name = raw_name.decode("latin-1").lower()
    if "_" in name or name == "proxy":
        return None
    return _UNPREFIXED.get(name) or f"HTTP_{name.upper().replace('-', '_')}"


@lru_cache(maxsize=256)  # bounded, since clients choose the names
def _title(raw_name: bytes) -> str | None:
    """Return a header's name as WSGI servers write it; None if it is to be dropped."""
    name = raw_name.decode("latin-1").title()
    return None if "_" in name or name == "Proxy" else name


def joined_headers(
    scope: t.Mapping[str, t.Any], named: t.Callable[[bytes], str | None] = _title
) -> dict[str, str]:
    """Return the headers, those that were sent repeatedly with their values joined.

    PERF: 2 us for a browser's ten headers; only what is sent repeatedly is collected.

    :param named: gives a header's name in the result; None if it is to be dropped.
    :raises BadRequest: if `Host` or `Content-Length` was sent more than once.
    """
    found: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    for raw_name, raw_value in scope["headers"]:
        name = named(raw_name)
        if name is None:
            continue
        value = raw_value.decode("latin-1")
        if name in found:
            repeated.setdefault(name, [found[name]]).append(value)
        else:
            found[name] = value
    if repeated:
        for single in _SINGLE:
            values = repeated.get(t.cast("str", named(single.encode())))
            if values is not None:
                raise _sent_twice(single, len(values))
    for name, values in repeated.items():
        found[name] = ("; " if name == named(b"cookie") else ",").join(values)
    return found


def path_below_root(scope: t.Mapping[str, t.Any]) -> str:
    """Return a connection's path without its `root_path`.

    Middleware that sets `root_path` mostly leaves `path` alone; it is taken to be below it then.
    """
    root_path, path = scope.get("root_path", "").rstrip("/"), scope["path"]
    if root_path and (path == root_path or path.startswith(root_path + "/")):
        return t.cast("str", path[len(root_path) :])
    return t.cast("str", path)


def environ_from_scope(scope: t.Mapping[str, t.Any], body: t.Any) -> WSGIEnvironment:
    """Make a WSGI environ from an ASGI http scope.

    :param scope: the scope (ASGI HTTP spec 2.x).
    :param body: what ``wsgi.input`` shall be: a file that ends where the body ends.
    :raises BadRequest: if `Host` or `Content-Length` was sent more than once.
    """
    root_path = scope.get("root_path", "").rstrip("/")
    path = path_below_root(scope)
    server = scope.get("server") or ("localhost", 80)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": _wsgi_text(root_path),
        "PATH_INFO": _wsgi_text(path),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] if server[1] is not None else 0),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "asgi.scope": scope,
    }
    raw_path = scope.get("raw_path")
    if raw_path is not None:
        query = scope["query_string"]
        target = raw_path + b"?" + query if query else raw_path
        environ["REQUEST_URI"] = environ["RAW_URI"] = target.decode("latin-1")
    if scope.get("client"):
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = (
            scope["client"][0],
            str(scope["client"][1]),
        )
    environ.update(joined_headers(scope, _environ_key))
    return environ


def _wsgi_text(text: str) -> str:
    """Return text as WSGI strings carry it: its UTF-8 bytes, each as one character."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")
