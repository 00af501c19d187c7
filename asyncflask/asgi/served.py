"""The context of a request that comes over ASGI."""

from __future__ import annotations

import typing as t
from contextvars import Context

from ..ctx import AppContext
from ..dispatch.plan import Hooks
from ..wrappers import Request
from ..wrappers.scope import notable_headers
from .arrivals import Message, Receive
from .body import RequestBody, Send, body_of, declared_length

#: A connection: its scope, ``receive`` and ``send``, and the context variables as the server has
#: set them.
Connection = tuple[Message, Receive, Send, Context]

#: The rule that a request matches, and its arguments; None for none.
Matched = tuple[t.Any, dict[str, t.Any] | None]


_new = object.__new__


class _Asked:
    """A context's request, made when it is first asked for.

    PERF: 600 instructions less than a cached property, which has a dict made for the context.
    """

    def __get__(self, ctx: ServedContext | None, owner: type | None = None) -> t.Any:
        return self if ctx is None else ctx._make_request()  # which keeps it


class ServedContext(AppContext):
    """A context whose request is made when something asks for it.

    PERF: 0.3 us for a request that nobody looks at; with its request made, 1.5 us.

    :param app: the app.
    :param connection: where the request comes from.
    :param notable: its headers that decide how it is handled, if they are known.
    """

    allows_plain = True

    #: What the request matches, if that is known when this is made.
    found: Matched | None = None

    #: Whether something has asked for the request, or for anything that needs it.
    is_touched = False

    #: Whether the response has begun before the request is made.
    is_answered = False

    connection: Connection

    #: The headers that decide how the request is handled; None if it may look for them itself.
    notable: dict[bytes, list[bytes]] | None = None

    #: The length of the request's body; None if only its end tells.
    declared: int | None = 0

    def __init__(
        self,
        app: t.Any,
        connection: Connection,
        notable: dict[bytes, list[bytes]] | None = None,
    ) -> None:
        self.app, self.connection = app, connection
        self.notable = notable_headers(connection[0]["headers"]) if notable is None else notable
        self.declared = declared_length(self.notable)

    def _make_request(self) -> Request:
        app, self.is_touched = self.app, True
        body = body_of(self.connection, self.declared, app.config["BODY_TIMEOUT"])
        if self.is_answered:
            body.answered = True
        kind = app.request_class
        if kind is Request:  # PERF: 500 instructions less than to call the class's method
            request = _new(Request)
            request.scope, request._body = self.connection[0], body
        else:
            request = kind.from_scope(self.connection[0], body)
        request.json_module = app.json
        if self.notable is not None:
            request.notable = self.notable
        if self.found is not None:
            request.url_rule, args = self.found
            request.view_args = {} if args is None else args
        self._request = request
        return request

    if not t.TYPE_CHECKING:
        _request = _Asked()

    @property
    def body(self) -> RequestBody:
        """The request's body."""
        return t.cast("RequestBody", self.request._body)

    @property
    def environ(self) -> t.Any:
        """The request's WSGI environ."""
        return self.request.environ

    @property
    def ends_connection(self) -> bool:
        """Whether no other request can follow on the connection."""
        return self.is_touched and self.request.ends_connection

    @property
    def is_open(self) -> bool:
        """Whether the request has files that are to be closed."""
        return self.is_touched and self.request.is_open


class MatchedContext(ServedContext):
    """A context whose request has been matched already; made by `shortcut.call`."""

    # PERF: a call takes 280 instructions less than `object.__new__`, and 900 than a constructor's.
    if t.TYPE_CHECKING:

        def __init__(self) -> None: ...

    else:
        __init__ = object.__init__

    matched = True
    found: Matched

    #: The callbacks that have a say in it; None if none have.
    hooks: Hooks | None

    #: Whether the request may have sent a session, which the answer may have to do something about.
    sends_session: bool


def _reserve(kind: type, names: t.Iterable[str]) -> None:
    """Have all instances of a class keep these attributes in place, not in a dict of their own.

    CPython (3.11 to 3.13) has places for what the first thirty or so were given, and no others.
    PERF: 1,600 instructions of a request that is asked for after so many that were not.
    """
    first: t.Any = object.__new__(kind)
    for name in names:
        setattr(first, name, None)


_reserve(
    MatchedContext,
    (
        *("app", "found", "hooks", "declared", "is_touched", "sends_session", "connection"),
        *("notable", "_request", "_opened_session", "is_finalized", "is_over", "_lane"),
    ),
)
