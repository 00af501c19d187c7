"""A response as it goes out, in ASGI's form."""

from __future__ import annotations

import re
import typing as t
from functools import lru_cache
from operator import attrgetter

from werkzeug.wrappers import Response as ResponseBase

from .headers import STOCK
from .response import Response, encode

RawHeaders = list[tuple[bytes, bytes]]

#: The messages of a response that needs nothing more but to be sent.
Whole = tuple[dict[str, t.Any], dict[str, t.Any]]

#: Status and headers.
Head = tuple[int, t.Iterable[tuple[bytes, bytes]]]

#: RFC 9110 section 5.6.2 (a name is a token) and 5.5 (no controls but the tab in a value).
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

#: A path with a query and a fragment of letters that werkzeug leaves as they are.
_PATH = re.compile(r"/(?!/)[%!$&'()*+,/:;=@\w.~-]*(\?[%!$&'()*+,/:;=?@\w.~-]+)?", re.ASCII)

#: What says that no other request is read from the connection (RFC 9112 section 9.6).
CLOSE = (b"connection", b"close")

#: Headers that are URLs: they may be relative, or have letters that none may have.
_LOCATIONS = frozenset({"location", "content-location"})

#: The headers that werkzeug completes: it adds a length, and changes the others.
_LOCATED = frozenset(name.encode() for name in _LOCATIONS)
_COMPLETED = frozenset({b"content-length", *_LOCATED})

#: What completes them.
_completes = ResponseBase.get_wsgi_headers

#: Final statuses of responses without a body (RFC 9110 section 6.4.1).
_BODILESS = frozenset({204, 304})
_BODIED = frozenset(range(200, 600)) - _BODILESS

#: Letters of values that are likely to be sent again: those of lengths and types, not of cookies.
_SHORT = 40

#: How many headers are kept: an app has a few dozen, and lengths.
_KEPT = 1024


def wire_header(name: str, value: str) -> tuple[bytes, bytes]:
    """Return a header in ASGI's form.

    :raises ValueError: if it could be read as more than one header, or as none.
    """
    raw_name = _wire_name(name)
    if raw_name is None or _CONTROL.search(value):
        raise ValueError(
            f"The response header {name!r}: {value!r} cannot be sent. A name is letters, digits and"
            " hyphens; a value has no control characters. Was it made from what a client sent?"
        )
    # Blanks around a value are no part of it (RFC 9110 section 5.5), and some servers refuse them.
    return raw_name, value.strip(" \t").encode("latin-1")


class _Sent(dict[tuple[str, str], tuple[bytes, bytes]]):
    """Headers in ASGI's form that are likely to be sent again.

    PERF: 0.1 us for each that was sent before, and no call; `wire_header` takes 0.7.
    """

    def __missing__(self, header: tuple[str, str]) -> tuple[bytes, bytes]:
        raw = wire_header(*header)
        if len(header[1]) < _SHORT:
            if len(self) >= _KEPT:  # bounded, since values may be what a client has sent
                self.clear()
            self[header] = raw
        return raw


_sent = _Sent()
_raw = _sent.__getitem__

#: All the headers of responses that are likely to be sent again, in ASGI's form; none if it takes
#: more to know them.
_heads: dict[tuple[tuple[str, str], ...], RawHeaders] = {}


class Asked(t.Protocol):
    """What a response answers: a request, or the context that knows how to make it."""

    @property
    def environ(self) -> t.Any:
        """The request's WSGI environ."""

    @property
    def ends_connection(self) -> bool:
        """Whether no other request can follow on the connection."""


def complete_headers(response: t.Any, status: int) -> RawHeaders | None:
    """Return a response's headers if werkzeug would change nothing in them.

    :param status: the response's status.
    :raises ValueError: if one of them cannot be sent.
    """
    own = type(response).get_wsgi_headers is ResponseBase.get_wsgi_headers
    if not own or status in _BODILESS:
        return None
    try:
        raw = [*map(_raw, response.headers)]
    except ValueError:
        if _is_located(response):  # a URL may have letters that are sent otherwise
            return None
        raise
    has_length = False
    for name, _ in raw:  # PERF: 0.1 us, where a dict of them and a set take 0.3
        if name in _COMPLETED:
            if name == b"content-length":
                has_length = True
            elif not _is_sent_as_is(response, name.decode()):
                return None
    return raw if has_length or not response.is_sequence else None


def _is_sent_as_is(response: t.Any, name: str) -> bool:
    """Whether a header is a URL in which there is nothing to quote, or to complete.

    PERF: 12 us of a redirection's 36 less.
    """
    urls = response.headers.getlist(name)
    is_relative = not response.autocorrect_location_header and len(urls) == 1
    return is_relative and _PATH.fullmatch(urls[0]) is not None


def wire_start(response: t.Any, request: Asked) -> dict[str, t.Any]:
    """Return the message that begins a response, with its headers as werkzeug completes them.

    PERF: 1 us where they are complete already, as in most responses: werkzeug copies them all, and
    to look for a header that is missing costs 1.3 us each.

    :raises ValueError: if its status or one of its headers cannot be sent.
    """
    status = response.status_code
    if not 200 <= status <= 599:
        raise ValueError(
            f"A response cannot have the status {status}: HTTP has 200 to 599 for final answers"
            " (RFC 9110 section 15)."
        )
    headers = complete_headers(response, status)
    if headers is None:
        headers = _completed(response, request)
    if request.ends_connection:
        headers.append(CLOSE)
    return {"type": "http.response.start", "status": status, "headers": headers}


def _completed(response: t.Any, request: Asked) -> RawHeaders:
    """Have werkzeug complete a response's headers.

    PERF: for a redirection, whose target is sent as it is, no environ is made: 10 us.
    """
    own = type(response).get_wsgi_headers is ResponseBase.get_wsgi_headers
    located = (not own or response.autocorrect_location_header) and _is_located(response)
    headers = response.get_wsgi_headers(request.environ if located else {})
    return [wire_header(name, value) for name, value in headers]


def _is_located(response: t.Any) -> bool:
    return any(name.lower() in _LOCATIONS for name, _ in response.headers)


def is_bodiless(status: int) -> bool:
    """Whether responses with a status have no body (RFC 9110 section 6.4.1)."""
    return status in _BODILESS or 100 <= status < 200


def is_whole(response: t.Any) -> bool:
    """Whether there is nothing more to do for a response but to send it."""
    return (
        response.is_sequence and not has_more(response) and not hasattr(response.response, "close")
    )


def has_more(response: t.Any) -> bool:
    """Whether a response has more than status, headers and body."""
    try:
        return bool(_more(response) != _NOTHING)
    except AttributeError:  # it is another library's
        return bool(response._on_close)


_more = attrgetter("asgi_app", "trailers", "_on_close")
_NOTHING: tuple[t.Any, ...] = (None, None, [])


def as_whole(response: t.Any, request: Asked, bodiless: bool = False) -> Whole:
    """Return the messages of a response whose body is known.

    PERF: made in the thread of the handlers: 3 us that the loop has for other requests.

    :param bodiless: whether its body is not sent, whatever its status.
    :raises ValueError: as for `wire_start`.
    """
    start, body = wire_start(response, request), b""
    if not bodiless and start["status"] not in _BODILESS:
        try:
            body = b"".join(response.response)
        except TypeError:  # there is text among them
            body = b"".join(map(encode, response.response))
    return start, {"type": "http.response.body", "body": body}


def whole(response: t.Any, request: Asked, is_last: bool) -> Whole | None:
    """Return the messages of a response if there is nothing more to do for it but to send it.

    PERF: 1 us less than `is_whole` and `as_whole` take, if its head was sent before: there is one
    look for all of its headers, and none at what they mean.

    :param is_last: whether no other request can follow on the connection.
    :raises ValueError: as for `wire_start`.
    """
    if type(response) is not Response or type(response.response) is not list:
        return as_whole(response, request) if is_whole(response) else None
    if response._on_close or response.asgi_app is not None or response.trailers is not None:
        return None
    headers = response.headers
    if is_last or type(headers) not in STOCK or Response.get_wsgi_headers is not _completes:
        return as_whole(response, request)
    status, key = response._status_code, tuple(headers._list)
    raw = _heads.get(key)
    if raw is None:
        _keep_head(response, key)
    if not raw or status not in _BODIED:
        return as_whole(response, request)
    try:
        body = b"".join(response.response)
    except TypeError:  # there is text among them
        return as_whole(response, request)
    start = {"type": "http.response.start", "status": status, "headers": [*raw]}
    return start, {"type": "http.response.body", "body": body}


def _keep_head(response: Response, headers: tuple[tuple[str, str], ...]) -> None:
    """Keep the headers of a response with a list for a body, if each of them was sent before."""
    if all(map(_sent.__contains__, headers)):
        raw = complete_headers(response, 200) or []
        if any(name in _LOCATED for name, _ in raw):  # the response may say how they are sent
            raw = []
        if len(_heads) >= _KEPT:
            _heads.clear()
        _heads[headers] = raw


@lru_cache(maxsize=256)  # an app has a few dozen; bounded in case it makes names up
def _wire_name(name: str) -> bytes | None:
    return name.lower().encode() if _NAME.fullmatch(name) else None


def known_head(asgi_app: t.Any) -> Head:
    """Return what an ASGI application says of its answer before it runs, as responses do."""
    return getattr(asgi_app, "status_code", 200), [*getattr(asgi_app, "raw_headers", ())]


def merged_head(response: t.Any, before: Head, sent: Head) -> tuple[int, RawHeaders]:
    """Return the head of an ASGI application's answer, with what hooks changed in it.

    What an application says only when it runs stands: the length and the entity tag of a file,
    the status of a range.

    :param response: what stood for the application while the hooks ran.
    :param before: what they found there.
    :param sent: what the application sends.
    :raises ValueError: if a hook's header cannot be sent.
    """
    after = [wire_header(name, value) for name, value in response.headers]
    known = [(name.lower(), value) for name, value in before[1]]
    names = {name for name, _ in known}
    changed = {name for name in names if _values(known, name) != _values(after, name)}
    head = [each for each in sent[1] if each[0].lower() not in changed]
    head += [each for each in after if each[0] in changed or each[0] not in names]
    return sent[0] if response.status_code == before[0] else response.status_code, head


def _values(headers: RawHeaders, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]
