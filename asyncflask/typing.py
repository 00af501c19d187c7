"""The types of what users hand to the app and of what views may give back.

Every name of ``flask.typing`` is here. Wherever Flask takes a plain function, an ``async def``
fits as well, and a view may also return an async iterable or an ASGI application.
"""

from __future__ import annotations

import typing as t
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager
from wsgiref.types import WSGIApplication

from werkzeug.datastructures import Headers
from werkzeug.sansio.response import Response

# ASGI 3, the shapes that servers and applications exchange.
ASGIScope = MutableMapping[str, t.Any]
ASGIMessage = MutableMapping[str, t.Any]
ASGIReceive = Callable[[], Awaitable[ASGIMessage]]
ASGISend = Callable[[ASGIMessage], Awaitable[None]]
ASGIApplication = Callable[[ASGIScope, ASGIReceive, ASGISend], Awaitable[None]]

#: What becomes a response body, or is a response already. `Mapping` lets a `TypedDict` in;
#: at run time it has to be a `dict`.
ResponseValue: t.TypeAlias = (
    Response
    | str
    | bytes
    | list[t.Any]
    | Mapping[str, t.Any]
    | Iterator[str]
    | Iterator[bytes]
    | AsyncIterable[str]
    | AsyncIterable[bytes]
)

#: One header's value, or all the values of a repeated header.
HeaderValue: t.TypeAlias = str | list[str] | tuple[str, ...]

#: The headers of a ``(body, headers)`` or ``(body, status, headers)`` tuple.
HeadersValue: t.TypeAlias = Headers | Mapping[str, HeaderValue] | Sequence[tuple[str, HeaderValue]]

#: All that a view may return. Under an ASGI server both kinds of application work; a view of an
#: app that is served as WSGI returns a WSGI one.
ResponseReturnValue: t.TypeAlias = (
    ResponseValue
    | tuple[ResponseValue, HeadersValue]
    | tuple[ResponseValue, int]
    | tuple[ResponseValue, int, HeadersValue]
    | WSGIApplication
    | ASGIApplication
)

#: Stands for the response class of an app, so that a hook may name its own subclass.
ResponseClass = t.TypeVar("ResponseClass", bound=Response)

#: A blueprint's name; None is the app itself.
AppOrBlueprintKey: t.TypeAlias = str | None

AfterRequestCallable: t.TypeAlias = (
    Callable[[ResponseClass], ResponseClass] | Callable[[ResponseClass], Awaitable[ResponseClass]]
)
BeforeFirstRequestCallable: t.TypeAlias = Callable[[], None] | Callable[[], Awaitable[None]]
BeforeRequestCallable: t.TypeAlias = (
    Callable[[], ResponseReturnValue | None] | Callable[[], Awaitable[ResponseReturnValue | None]]
)
ShellContextProcessorCallable: t.TypeAlias = (
    Callable[[], dict[str, t.Any]] | Callable[[], Awaitable[dict[str, t.Any]]]
)
#: What runs before or after the app is served.
ServingCallable: t.TypeAlias = Callable[[], t.Any] | Callable[[], Awaitable[t.Any]]
#: What runs around that time; it may yield a mapping for `app.state` and `request.state`.
WhileServingCallable: t.TypeAlias = (
    Callable[[], AsyncIterator[Mapping[str, t.Any] | None]]
    | Callable[[], Iterator[Mapping[str, t.Any] | None]]
)
#: The lifespan of an app as one context manager, as Starlette has it.
LifespanCallable: t.TypeAlias = Callable[
    [t.Any], AbstractAsyncContextManager[Mapping[str, t.Any] | None]
]
TeardownCallable: t.TypeAlias = (
    Callable[[BaseException | None], None] | Callable[[BaseException | None], Awaitable[None]]
)
TemplateContextProcessorCallable: t.TypeAlias = (
    Callable[[], dict[str, t.Any]] | Callable[[], Awaitable[dict[str, t.Any]]]
)
TemplateFilterCallable: t.TypeAlias = Callable[..., t.Any]
TemplateGlobalCallable: t.TypeAlias = Callable[..., t.Any]
TemplateTestCallable: t.TypeAlias = Callable[..., bool] | Callable[..., Awaitable[bool]]
URLDefaultCallable: t.TypeAlias = (
    Callable[[str, dict[str, t.Any]], None] | Callable[[str, dict[str, t.Any]], Awaitable[None]]
)
URLValuePreprocessorCallable: t.TypeAlias = (
    Callable[[str | None, dict[str, t.Any] | None], None]
    | Callable[[str | None, dict[str, t.Any] | None], Awaitable[None]]
)

# NOTE: the argument is Any because a handler names the exception that it is registered for, and
# one handler may be registered for several. None is for websockets.
ErrorHandlerCallable: t.TypeAlias = (
    Callable[[t.Any], ResponseReturnValue | None]
    | Callable[[t.Any], Awaitable[ResponseReturnValue | None]]
)

AfterWebsocketCallable: t.TypeAlias = (
    Callable[[t.Any], ResponseReturnValue | None]
    | Callable[[t.Any], Awaitable[ResponseReturnValue | None]]
)
WebsocketCallable: t.TypeAlias = (
    Callable[..., ResponseReturnValue | None] | Callable[..., Awaitable[ResponseReturnValue | None]]
)
RouteCallable: t.TypeAlias = (
    Callable[..., ResponseReturnValue] | Callable[..., Awaitable[ResponseReturnValue]]
)
