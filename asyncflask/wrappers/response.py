"""The response: werkzeug's, whose body may also be an async iterable."""

from __future__ import annotations

import re
import typing as t
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from http import HTTPStatus
from operator import attrgetter

from werkzeug.datastructures import Headers
from werkzeug.utils import get_content_type
from werkzeug.wrappers import Response as ResponseBase

from .. import _current, json, portal
from ..handover import AsyncBody
from .headers import STOCK
from .headers import Headers as ResponseHeaders

_COOKIE_BREAK = re.compile(r"[\x00-\x20\x7f;,]")


#: What werkzeug makes a response with. What comes of it is known as long as nothing of it was
#: changed, in a subclass or later.
_MAKERS = (
    "default_status",
    "automatically_set_content_length",
    "set_data",
    "status",
    "_clean_status",
)
_makers = attrgetter(*_MAKERS)
_WERKZEUGS = _makers(ResponseBase)

#: The headers of short bodies, which are most. PERF: 0.1 us less than to make one each time.
_LENGTHS = [("Content-Length", str(length)) for length in range(512)]

#: The headers that a response gets for its body, behind those that were given.
_ADDED = frozenset({"content-type", "content-length"})

#: The default status, with its reason and as a number.
_OK = "200 OK", 200

_new = object.__new__


@lru_cache(maxsize=64)  # an app has a few; bounded in case it makes them up
def type_header(mimetype: str) -> tuple[str, str]:
    """Return the header of a media type.

    :raises ValueError: if it has a line break.
    """
    return Headers({"Content-Type": get_content_type(mimetype, "utf-8")})._list[0]


def _added(mimetype: str, size: int) -> list[tuple[str, str]]:
    """Return the headers that a response gets for a body of so many bytes."""
    length = _LENGTHS[size] if size < 512 else ("Content-Length", str(size))
    return [type_header(mimetype), length]


def _as_headers(given: t.Any) -> Headers:
    """Return the headers that a response is given, as werkzeug keeps them.

    PERF: for a dict of strings with nothing to refuse, 2 us less than one by one.
    """
    if isinstance(given, Headers):
        return given
    try:
        if type(given) is dict and all(map(str.isprintable, given.values())):
            made = _new(ResponseHeaders)
            made._list = [*given.items()]
            return made
    except TypeError:  # not all of them are strings
        pass
    return Headers(given or None)


def _lacks_both(headers: Headers) -> bool:
    """Whether the headers that were given are such that `_ADDED` come behind them."""
    names = [name.lower() for name, _ in headers._list] if type(headers) in STOCK else _ADDED
    return _ADDED.isdisjoint(names)


class Response(ResponseBase):
    """What a view returns, or what is made of it; sent as HTML unless it says otherwise.

    :param response: the body: str, bytes, an iterable of them, or an async iterable.
    :param status: the status, as a number or with its reason.
    :param headers: more headers.
    :param mimetype: the content type without parameters; text types get a charset.
    :param content_type: the whole content type.
    :param direct_passthrough: whether the body is sent as it is, unencoded (files).
    """

    default_mimetype: str | None = "text/html"
    json_module: t.Any = json
    autocorrect_location_header = False

    def __init__(
        self,
        response: Iterable[bytes]
        | Iterable[str]
        | AsyncIterable[bytes]
        | AsyncIterable[str]
        | bytes
        | str
        | None = None,
        status: int | str | HTTPStatus | None = None,
        headers: Mapping[str, str | Iterable[str]] | Iterable[tuple[str, str]] | None = None,
        mimetype: str | None = None,
        content_type: str | None = None,
        direct_passthrough: bool = False,
    ) -> None:
        body: t.Any = response  # werkzeug's knows of no async ones
        if content_type is None and _makers(type(self)) == _WERKZEUGS:
            # PERF: 1 us, where werkzeug takes 6: it sets header by header, and looks for each.
            media = self.default_mimetype if mimetype is None else mimetype
            headers = None if headers is None else _as_headers(headers)
            if media is not None and (headers is None or _lacks_both(headers)):
                if isinstance(body, (str, bytes, bytearray)):
                    data = body.encode() if isinstance(body, str) else body
                    body, added = [data], _added(media, len(data))
                else:
                    body, added = [] if body is None else body, [type_header(media)]
                self._begin(body, added, headers, status, direct_passthrough)
                return
        super().__init__(body, status, headers, mimetype, content_type, direct_passthrough)

    def _begin(
        self,
        body: t.Any,
        added: list[tuple[str, str]],
        headers: Headers | None = None,
        status: t.Any = None,
        direct_passthrough: bool = False,
    ) -> None:
        """Do what werkzeug does where its makers are unchanged.

        :param added: the headers behind those that were given.
        """
        if headers is None:
            headers = _new(ResponseHeaders)  # PERF: its constructor takes 0.1 us more
            headers._list = added
        else:
            headers._list += added
        self.headers = headers
        self._status, self._status_code = _OK if status is None else self._clean_status(status)
        self.direct_passthrough, self._on_close, self.response = direct_passthrough, [], body

    @classmethod
    def _begins_as_any(cls) -> bool:
        """Whether nothing of how a response is made was changed, in a subclass or later."""
        return bool(_makers(cls) == _WERKZEUGS)

    #: The ASGI application that sends this response's body, if a view returned one.
    asgi_app: t.Any = None

    #: Seconds of silence after which a chunk is sent to keep the connection, and the chunk.
    keep_alive: tuple[float, bytes] | None = None

    #: Whether the body has no end of its own, so that it is ended when the app shuts down. A body
    #: that has one is sent to its end, in the time that the server allows.
    ends_at_shutdown = False

    #: Headers that are sent behind the body, or a function, sync or async, that returns them when
    #: the body is at its end: for a checksum or a count that is known only then. They are sent
    #: where the server offers it and the client asks for it (``TE: trailers``), else dropped.
    trailers: Mapping[str, str] | Callable[[], t.Any] | None = None

    @property
    def max_cookie_size(self) -> int:  # type: ignore[override]
        """Bytes beyond which a cookie is warned about: the config's `MAX_COOKIE_SIZE`."""
        ctx = _current.app_context()
        if ctx is None:
            return super().max_cookie_size
        return t.cast("int", ctx.app.config["MAX_COOKIE_SIZE"])

    def set_cookie(
        self,
        key: str,
        value: str = "",
        max_age: timedelta | int | None = None,
        expires: str | datetime | int | float | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: str | None = None,
        partitioned: bool = False,
    ) -> None:
        """Set a cookie, with werkzeug's parameters.

        :param key: its name.
        :param max_age: seconds that it lives; by default as long as the browser's session.
        :param domain: the domain that it is for; by default this host only.
        :raises ValueError: if the name or the domain holds what would end it (RFC 6265 section
            4.1.1): a semicolon, a comma, a space, a control character, or "=" in a name.
        """
        if _COOKIE_BREAK.search(key) or "=" in key or _COOKIE_BREAK.search(domain or ""):
            raise ValueError(f"{key!r} (domain {domain!r}) cannot be a cookie's name and domain.")
        super().set_cookie(
            key,
            value,
            max_age,
            expires,
            path,
            domain,
            secure,
            httponly,
            samesite,
            partitioned,
        )

    @property
    def is_async(self) -> bool:
        """Whether the body is an async iterable."""
        return hasattr(self.response, "__aiter__")

    def iter_encoded(self) -> t.Iterator[bytes]:
        """Iterate over the body as bytes; an async one is made on a loop meanwhile."""
        if self.is_async:
            self.response = AsyncBody(t.cast("t.Any", self.response))
        return super().iter_encoded()

    def close(self) -> None:
        """Close the body, and call what `call_on_close` registered."""
        aclose = getattr(self.response, "aclose", None)
        if aclose is not None:
            portal.call_async(aclose)
        super().close()


#: What this class makes a response of text with, and what is known of it as long as that is so.
_text_makers = attrgetter("__init__", "default_mimetype", *_MAKERS)
_OWN = _text_makers(Response)
_HTML = type_header(t.cast("str", Response.default_mimetype))


def text_response(kind: t.Any, text: str) -> t.Any:
    """Return what a class of responses makes of text.

    PERF: 0.4 us less without the call of a constructor of which all is known.
    """
    if kind is not Response or _text_makers(Response) != _OWN:
        return kind(text, status=None, headers=None)
    data, made, headers = text.encode(), _new(Response), _new(ResponseHeaders)
    size = len(data)
    headers._list = [_HTML, _LENGTHS[size] if size < 512 else ("Content-Length", str(size))]
    made.headers = headers
    made._status, made._status_code = _OK
    made.direct_passthrough, made._on_close, made.response = False, [], [data]
    return made


def encode(chunk: str | bytes) -> bytes:
    """Return one piece of a body as bytes."""
    return chunk.encode() if isinstance(chunk, str) else chunk
