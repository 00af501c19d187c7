"""From what a view returned to a response."""

from __future__ import annotations

import sys
import typing as t
from collections.abc import Iterator
from functools import lru_cache

from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.utils import get_content_type
from werkzeug.wrappers import Response as ResponseBase

from .. import _current
from ..ctx import AppContext
from ..drivers import Driver, is_async
from ..json.settled import settled_writer
from ..sessions import added_headers
from ..signals import request_finished
from ..wrappers import Response
from ..wrappers.response import text_response

_TUPLE = (
    "The view function did not return a valid response tuple. The tuple must have the form"
    " (body, status, headers), (body, status), or (body, headers)."
)
_KINDS = (
    "The return type must be a string, dict, list, tuple with headers or status, Response"
    " instance, or WSGI callable (also: bytes, a generator or async generator, or an ASGI callable)"
)


#: What views mostly return. PERF: one look, where the others take five.
_QUICK = frozenset({str, bytes, dict, list, Response})

#: What can be called, but is not called to make a response.
_NO_APPLICATIONS = (ResponseBase, HTTPException, type)


class Plain(t.NamedTuple):
    """A response that needs no response object: status 200, a content type and a body."""

    content_type: tuple[bytes, bytes]  # the header, as it is sent
    body: bytes
    more: t.Sequence[tuple[bytes, bytes]] = ()  # headers that are sent behind the length


_new = tuple.__new__  # PERF: a named tuple's own takes 500 instructions more


def has_session_cookie(ctx: AppContext) -> bool:
    """Whether the request may have sent a session that its response has to do something about."""
    request: t.Any = ctx._request
    if request.scope is not None and b"cookie" not in request.notable:
        return False
    app = ctx.app
    if app._session_is_lazy:
        may: bool = app.session_interface.may_refresh(app, request)
    else:
        may = request.may_have_cookie(app.config["SESSION_COOKIE_NAME"])
    return may


def as_plain(ctx: AppContext, value: t.Any) -> Plain | None:
    """Return what to send if a view's value is sent with the same bytes as a response's.

    PERF: no response object, no header mapping: a third of the cost of a short answer.
    """
    if not _needs_no_object(ctx):
        return None
    parts = plain_parts(ctx.app, value)
    if parts is None:
        return None
    if ctx._opened_session is None and not has_session_cookie(ctx):
        return Plain(*parts)
    added = added_headers(ctx.app, t.cast("t.Any", ctx._session))
    if added is None:
        return None
    return _new(Plain, (*parts, added))


def _needs_no_object(ctx: AppContext) -> bool:
    """Whether nobody wants to see a response object; that it has no session is known besides."""
    app = ctx.app
    return (
        ctx.allows_plain
        and ctx.after_functions is None
        and app._answers_plainly
        and not app.after_request_funcs
        and not request_finished.receivers
    )


def plain_parts(app: t.Any, value: t.Any) -> tuple[tuple[bytes, bytes], bytes] | None:
    """Return the content type and the body of text, bytes, a dict or a list."""
    kind = type(value)
    if kind is str:
        body = value.encode()
    elif kind is dict or kind is list:
        json = (app._sight or app._look()).json
        if json is None:
            return _type(app.json.mimetype), app.json.response_body(value)
        return json[0], json[1](value)
    elif kind is bytes:
        body = value
    else:
        return None
    mimetype = Response.default_mimetype  # NOTE: who has a class of their own is not answered so
    return _text[1] if _text[0] is mimetype else _text_type(mimetype), body


#: The media type of text, and the header that says it. PERF: 0.1 us less than a call.
_text: tuple[str | None, tuple[bytes, bytes]] = "", (b"", b"")


def _text_type(mimetype: str | None) -> tuple[bytes, bytes]:
    global _text
    _text = mimetype, _type(t.cast("str", mimetype))
    return _text[1]


@lru_cache(maxsize=16)
def _type(mimetype: str) -> tuple[bytes, bytes]:
    return b"content-type", get_content_type(mimetype, "utf-8").encode()


def json_writer(
    provider: t.Any,
) -> tuple[tuple[bytes, bytes], t.Callable[[t.Any], bytes]] | None:
    """Return the content type and the writer of a provider's responses, until it is changed."""
    write = settled_writer(provider)
    return None if write is None else (_type(provider.mimetype), write)


async def make_response(ctx: AppContext, driver: Driver, value: t.Any) -> t.Any:
    """Make a response of a view's return value."""
    if may_block(value):
        return await driver.call(to_response, ctx.app, value)
    return to_response(ctx.app, value)


def may_block(value: t.Any) -> bool:
    """Whether to make a response of a value may block: a WSGI application is called for that."""
    if type(value) in _QUICK:
        return False
    body = value[0] if isinstance(value, tuple) and value else value
    return callable(body) and not isinstance(body, _NO_APPLICATIONS) and not is_asgi(body)


def to_response(app: t.Any, value: t.Any) -> t.Any:
    """Make a response of a value: see `Flask.make_response`.

    PERF: for text and JSON data, which need not be looked at twice, 0.6 us less.

    :raises TypeError: if it is of no kind that can be sent.
    """
    kind = type(value)
    if kind is str:
        return text_response(app.response_class, value)
    if kind is dict or kind is list:
        return app.json.response(value)
    body, status, headers = _unpacked(value)
    response_class = app.response_class
    if body is None:
        raise TypeError(
            f"The view function for {_current.request.endpoint!r} did not return a valid response."
            " The function either returned None or ended without a return statement: return the"
            ' body, or "" with status 204 if there is nothing to say.'
        )
    if not isinstance(body, response_class):
        if isinstance(body, (str, bytes, bytearray, Iterator)) or hasattr(body, "__aiter__"):
            # The class gets status and headers too, in case it treats them in its own way.
            return response_class(body, status=status, headers=headers)
        body = _coerced(app, body)
    if status is not None:
        if isinstance(status, (str, bytes, bytearray)):
            body.status = status
        else:
            body.status_code = status
    if headers:
        body.headers.update(headers)
    return body


def _has_sent(ctx: AppContext | None, value: t.Any) -> bool:
    """Whether a value is what the view has sent its response with: see `streaming_response`."""
    sent = None if ctx is None else ctx.answered
    return sent is not None and getattr(value, "response", None) is sent


def checked_answer(ctx: AppContext, value: t.Any) -> t.Any:
    """Return the response that the view has sent, if it returned nothing else.

    :raises TypeError: if it did.
    """
    if value is None or value is ctx.answered or _has_sent(ctx, value):
        return ctx.answered
    raise TypeError(
        f"The view function for {_current.request.endpoint!r} sent a response with"
        f" streaming_response() and returned {type(value).__name__} on top of it, which cannot be"
        " sent any more. Return what `async with streaming_response(...) as out` gave: `out`."
    )


def _unpacked(value: t.Any) -> tuple[t.Any, t.Any, t.Any]:
    """Split a view's value into body, status and headers."""
    if not isinstance(value, tuple):
        return value, None, None
    if len(value) == 3:
        return value
    if len(value) != 2:
        raise TypeError(_TUPLE)
    body, second = value
    if isinstance(second, (Headers, dict, tuple, list)):
        return body, None, second
    return body, second, None


def _coerced(app: t.Any, body: t.Any) -> t.Any:
    """Make a response of JSON data, of another class's response or of an application."""
    if isinstance(body, (dict, list)):
        return app.json.response(body)
    if _has_sent(_current.request_context(), body):
        return body.response
    if is_asgi(body):
        return _from_asgi(app, body)
    if isinstance(body, HTTPException):
        own = type(body).__module__ == HTTPException.__module__  # which does not look at it
        body = body.get_response(None if own else _environ())
        if app.response_class is Response and isinstance(body, ResponseBase):
            return Response.force_type(body)
    if not isinstance(body, ResponseBase) and not callable(body):
        raise TypeError(_wrong_type(body))
    try:
        return app.response_class.force_type(body, _environ())
    except TypeError as error:
        raise TypeError(f"{error}\n{_wrong_type(body)}").with_traceback(
            error.__traceback__
        ) from None


def _environ() -> t.Any:
    """Return the request's environ, or None where its headers allow for none."""
    try:
        return _current.request.environ
    except BadRequest:
        return None


def _wrong_type(body: t.Any) -> str:
    kind = type(body).__name__
    return f"The view function did not return a valid response. {_KINDS}, but it was a {kind}."


def is_asgi(value: t.Any) -> bool:
    """Whether a value is an ASGI application: a Starlette response, or an async callable."""
    if _is_starlettes(value):
        return True
    return callable(value) and not isinstance(value, _NO_APPLICATIONS) and is_async(value)


def _is_starlettes(value: t.Any) -> bool:
    """Whether a value is a response of Starlette's.

    PERF: who made it has imported the module; for others, not to do it saves 10 ms and 1 MiB.
    """
    responses: t.Any = sys.modules.get("starlette.responses")
    return responses is not None and isinstance(value, responses.Response)


def _from_asgi(app: t.Any, asgi_app: t.Any) -> t.Any:
    """Wrap an ASGI application in a response, whose status and headers hooks may change.

    The body is not asked for here: the application runs when the response is sent.
    """
    response = app.response_class()
    response.headers.clear()
    if _is_starlettes(asgi_app):
        response.status_code = asgi_app.status_code
        for name, value in asgi_app.raw_headers:
            response.headers.add(name.decode("latin-1"), value.decode("latin-1"))
    response.asgi_app = asgi_app
    return response
