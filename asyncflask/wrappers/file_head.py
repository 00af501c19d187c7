"""Responses with a file: werkzeug's, with what it says of a file remembered.

What the headers are is for `werkzeug.utils.send_file` to say, when a file is sent for the first
time. They stay the same as long as the file has its size and its time, and what they are made of is
part of the key. Where more has a say in them, in a response class of one's own or in a table of
media types that changes, nothing is remembered.
"""

from __future__ import annotations

import mimetypes
import os
import re
import time
import typing as t
from collections.abc import Hashable
from functools import lru_cache

import werkzeug.utils
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import http_date
from werkzeug.wsgi import wrap_file

from .request import Request
from .response import Response

#: Name and value of each header.
Head = tuple[tuple[str, str], ...]

#: Files whose headers are kept, about 1 kB each. A site's own files are some hundreds.
MOST_HEADS = 1024

#: Headers that make an answer another one (RFC 9110 sections 13 and 14), and their WSGI names.
_CONDITIONS = {
    name: f"HTTP_{name.decode().upper().replace('-', '_')}"
    for name in (
        *(b"range", b"if-range", b"if-match", b"if-none-match"),
        *(b"if-modified-since", b"if-unmodified-since"),
    )
}

#: A range from a byte to a byte (RFC 9110 section 14.1.2), both of which a file may have.
_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})")

_heads: dict[Hashable, Head] = {}


def send_path(
    request: Request, path: str, options: dict[str, t.Any], stat: os.stat_result | None = None
) -> Response:
    """Return a response with the file at a path.

    PERF: 85 us for a range of a file, with the match of its URL; by `send_file` each time, 180.

    :param options: the keyword arguments of `werkzeug.utils.send_file`.
    :param stat: the file's status, if it is known.
    :raises OSError: if the file cannot be opened.
    """
    stat = os.stat(path) if stat is None else stat
    max_age = options["max_age"]
    if callable(max_age):
        max_age = options["max_age"] = max_age(path)
    key = _key(path, stat, options)
    if key is None:
        made = werkzeug.utils.send_file(path, request.environ, **options, _root_path="")
        return t.cast("Response", made)
    head = _heads.get(key) or _learned(key, path, stat, options)
    made = _response(request, open(path, "rb"), head)  # noqa: SIM115 - closed with the response
    if options.get("conditional", True):
        try:
            made = _conditional(made, request)
        except RequestedRangeNotSatisfiable:
            made.close()
            raise
    return made


def _key(path: str, stat: os.stat_result, options: dict[str, t.Any]) -> Hashable | None:
    """Return all that the headers are made of; None where that cannot be said."""
    kind, max_age = options["response_class"], options["max_age"]
    name = options.get("download_name") or path
    if (
        options["use_x_sendfile"]
        or kind is not Response
        or not (max_age is None or type(max_age) is int)
        or type(name) is not str
        or not kind._begins_as_any()
    ):
        return None
    file = path, stat.st_size, stat.st_mtime_ns, stat.st_ino
    given = [options.get(each) for each in ("mimetype", "download_name", "last_modified")]
    flags = bool(options.get("as_attachment")), options.get("etag", True)
    media = mimetypes.guess_type(name) if given[0] is None else None
    expires = None if max_age is None else (max_age, int(time.time()))
    key = *file, *given, *flags, media, expires
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _learned(key: Hashable, path: str, stat: os.stat_result, options: dict[str, t.Any]) -> Head:
    """Return the headers as werkzeug makes them; keep them, if the file was the same meanwhile."""
    options = {**options, "conditional": False, "_root_path": ""}
    made = werkzeug.utils.send_file(path, {}, **options)
    made.close()
    head = tuple(made.headers)
    if _key(path, os.stat(path), options) == key:
        if len(_heads) >= MOST_HEADS:
            _heads.clear()
        _heads[key] = head
    return head


def _response(request: Request, file: t.IO[bytes], head: Head) -> Response:
    """Return what werkzeug would, with these headers. PERF: it sets each: 60 us more."""
    made = Response.__new__(Response)
    made._begin(wrap_file(_environ(request), file), [*head], direct_passthrough=True)
    return made


def _environ(request: Request) -> t.Any:
    """Return the environ, if there is one. PERF: to make one, 10 us, which nobody may ask for."""
    return {} if _is_from_scope(request) else request.environ


def _is_from_scope(request: Request) -> bool:
    return request.scope is not None and "environ" not in vars(request)


def _conditional(made: Response, request: Request) -> Response:
    """Have a response answer the conditions of its request, if it has any."""
    environ, asks = _environ(request), True
    if not environ:
        environ = _conditions(t.cast("t.Any", request.scope))
        asks = bool(environ)
        environ["REQUEST_METHOD"] = request.method
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return made
    made.headers._list.append(("Date", _date(int(time.time()))))
    if not asks:
        made.headers._list.append(("Accept-Ranges", "bytes"))
    elif len(environ) != 2 or not _take_range(made, environ.get("HTTP_RANGE", "")):
        made.make_conditional(environ, True, made.content_length)
    return made


def _take_range(made: Response, asked: str) -> bool:
    """Reduce a response to the range that was asked for; False if it is not plainly one of it.

    PERF: 8 us; werkzeug, which knows all ranges that there are, takes 31.
    """
    found = _RANGE.fullmatch(asked)
    if found is None:
        return False
    first, last, size = int(found[1]), int(found[2]), int(made.headers["Content-Length"])
    last = min(last, size - 1)
    if first > last:
        return False
    length = str(last - first + 1)
    made.headers._list[:] = [
        (name, length if name == "Content-Length" else value) for name, value in made.headers._list
    ]
    made.headers._list += (
        ("Accept-Ranges", "bytes"),
        ("Content-Range", f"bytes {first}-{last}/{size}"),
    )
    made._status, made._status_code = "206 PARTIAL CONTENT", 206
    made._wrap_range_response(first, last - first + 1)
    return True


def _conditions(scope: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return the conditions of a request, as its environ would have them."""
    found: dict[str, str] = {}
    for name, raw_value in scope["headers"]:
        key = _CONDITIONS.get(name.lower())
        if key is not None:
            value = raw_value.decode("latin-1")
            found[key] = f"{found[key]},{value}" if key in found else value
    return found


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return http_date(second)
