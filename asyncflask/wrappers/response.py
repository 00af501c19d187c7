"""The response: werkzeug's, whose body may also be an async iterable."""

from __future__ import annotations

import re
import typing as t
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from http import HTTPStatus

from werkzeug.datastructures import Headers
from werkzeug.utils import get_content_type
from werkzeug.wrappers import Response as ResponseBase

from .. import _current, json, portal
from ..handover import AsyncBody

_set_data, _status = ResponseBase.set_data, ResponseBase.status
_clean_status = ResponseBase._clean_status

_COOKIE_BREAK = re.compile(r"[\x00-\x20\x7f;,]")


@lru_cache(maxsize=64)  # an app has a few; bounded in case it makes them up
def _content_type(mimetype: str) -> str:
    return get_content_type(mimetype, "utf-8")


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
        if not headers:
            # PERF: 1 us: werkzeug needs not look for a content type where there is none.
            mimetype = self.default_mimetype if mimetype is None else mimetype
            if (
                (type(response) is str or type(response) is bytes)
                and status is None
                and content_type is None
                and mimetype is not None
                and not direct_passthrough
                and self._begins_as_any()
            ):
                self._begin(response, mimetype)
                return
        body = t.cast("t.Any", response)  # werkzeug's knows of no async ones
        super().__init__(body, status, headers, mimetype, content_type, direct_passthrough)

    @classmethod
    def _begins_as_any(cls) -> bool:
        """Whether nothing of how a response is made was changed, in a subclass or later."""
        return (
            cls.default_status == 200
            and cls.automatically_set_content_length
            and cls.set_data is _set_data
            and cls.status is _status
            and cls._clean_status is _clean_status
        )

    def _begin(self, body: str | bytes, mimetype: str) -> None:
        """Do what werkzeug does for text that has no status or headers of its own.

        PERF: 2 us, where it takes 6: it sets header after header, each time looking for another.
        """
        data = body.encode() if isinstance(body, str) else body
        self.headers = Headers()
        self.headers._list += (
            ("Content-Type", _content_type(mimetype)),
            ("Content-Length", str(len(data))),
        )
        self._status, self._status_code = "200 OK", 200
        self.direct_passthrough, self._on_close, self.response = False, [], [data]

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


def encode(chunk: str | bytes) -> bytes:
    """Return one piece of a body as bytes."""
    return chunk.encode() if isinstance(chunk, str) else chunk
