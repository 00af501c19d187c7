"""One cookie, read and set in fewer steps than all of them take.

The values are what werkzeug reads, the headers what it writes; where there is more to a cookie than
usual, it is asked.
"""

from __future__ import annotations

import re
import sys
import typing as t
from datetime import UTC, datetime
from functools import lru_cache

from .wrappers import Request, Response
from .wrappers.wire import wire_header

#: What a session's cookie has beside a date, by the names that `Response.set_cookie` has for it.
ATTRIBUTES = ("domain", "path", "secure", "httponly", "samesite", "partitioned")

#: PERF: bytes are looked for in bytes in 1,500 instructions more: Python makes an error for each.
_QUOTE, _BLANK, _TAB = b'" \t'

#: A usual name (RFC 9110 section 5.6.2).
_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)

#: What a value may be of without quotes (RFC 6265 section 4.1.1); signed ones are of this.
_UNQUOTED = re.compile(r"[A-Za-z0-9_.-]+")


def sent_cookie(request: Request, name: str) -> str | None:
    """Return the value of a cookie, as ``request.cookies`` has it; None if it was not sent.

    PERF: 0.7 us where nothing else asks for the cookies; to parse them all takes 4.
    """
    known, kind = vars(request), type(request)
    if (
        request.scope is None
        or "cookies" in known  # or they are parsed from headers that may be changed
        or "headers" in known
        or (kind is not Request and kind.cookies is not Request.cookies)
    ):
        return request.cookies.get(name) if request.may_have_cookie(name) else None
    lines = request.notable.get(b"cookie")
    if lines is None:
        return None
    sent = lines[0] if len(lines) == 1 else b";".join(lines)
    start = _start(name)
    if _QUOTE in sent or start is None:  # quotes may hold what else ends a cookie
        return request.cookies.get(name)
    if sent.startswith(start):  # PERF: 5,000 instructions less for the first of all
        value = sent[len(start) :].partition(b";")[0]
        if _BLANK not in value and _TAB not in value:
            return value.decode("latin-1")
    wanted = start[:-1]
    for pair in sent.split(b";"):
        key, _, value = pair.strip(b" \t").partition(b"=")
        if key == wanted or key.rstrip(b" \t") == wanted:
            value = value.lstrip(b" \t")
            if _BLANK not in value and _TAB not in value:  # else it is no cookie
                return value.decode("latin-1")
    return None


@lru_cache(maxsize=16)  # an app has one or two
def _start(name: str) -> bytes | None:
    """Return what a cookie of this name begins with; None if no cookie may have it."""
    return name.encode() + b"=" if _TOKEN.fullmatch(name) else None


def add_like_before(
    response: Response, name: str, value: str, expires: t.Any, attributes: tuple[t.Any, ...]
) -> bool:
    """Set a cookie that differs from one set before in no more than its value.

    :param attributes: the values of `ATTRIBUTES`.
    :return: whether it is set: False if there is more to it, so that `Response.set_cookie` must.
    :raises ValueError: as `Response.set_cookie` does.
    """
    if type(response).set_cookie is not Response.set_cookie:
        return False
    header = written_like_before(name, value, expires, attributes, response.max_cookie_size)
    if header is None:
        return False
    response.headers.add("Set-Cookie", header)
    return True


def written_like_before(
    name: str, value: str, expires: t.Any, attributes: tuple[t.Any, ...], limit: int
) -> str | None:
    """Return the header of a cookie that differs from one set before in no more than its value.

    PERF: 1.5 us where the attributes were seen before; to write them all anew takes 9.

    :param attributes: the values of `ATTRIBUTES`.
    :param limit: letters beyond which there is more to it; 0 for none.
    :return: None if there is more to it.
    :raises ValueError: as `Response.set_cookie` does.
    """
    if not _UNQUOTED.fullmatch(value):
        return None
    if expires is not None:
        if type(expires) is not datetime or expires.tzinfo is not UTC:
            return None
        expires = int(expires.timestamp() // 1)
    before, behind = _around(name, expires, *attributes)
    header = before + value + behind
    return None if limit and len(header) > limit else header  # werkzeug has a warning for that


@lru_cache(maxsize=32, typed=True)  # bounded: with a date there is another one each second
def _around(name: str, expires: int | None, *attributes: t.Any) -> tuple[str, str]:
    """Return what stands before and behind the value in a cookie's header, as werkzeug writes it.

    NOTE: typed, and so the attributes one by one: ``Secure=1`` is not ``Secure``.
    """
    made = Response()
    made.set_cookie(name, ".", expires=expires, **dict(zip(ATTRIBUTES, attributes, strict=True)))
    before, _, behind = made.headers["Set-Cookie"].partition("=.")
    return f"{before}=", behind


def sent_around(
    name: str, attributes: tuple[t.Any, ...], limit: int
) -> tuple[bytes, bytes, int] | None:
    """Return what is sent before and behind the value of a cookie that has no date.

    :param attributes: the values of `ATTRIBUTES`.
    :param limit: letters beyond which there is more to it; 0 for none.
    :return: these two, and how long the value may be; None if such a header cannot be sent.
    """
    before, behind = _around(name, None, *attributes)
    try:
        wire_header("Set-Cookie", before + behind)
    except ValueError:
        return None
    room = (limit or sys.maxsize) - len(before) - len(behind)
    return before.lstrip(" \t").encode("latin-1"), behind.rstrip(" \t").encode("latin-1"), room


def vary_by_cookie(response: Response) -> None:
    """Have caches keep an answer for this visitor only.

    PERF: 2.5 us where no ``Vary`` has to be parsed and written again.
    """
    headers = response.headers
    if "vary" in {name.lower() for name, _ in headers}:
        response.vary.add("Cookie")
    else:
        headers.add("Vary", "Cookie")
