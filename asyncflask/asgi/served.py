"""The context of a request that comes over ASGI."""

from __future__ import annotations

import typing as t
from contextvars import Context

from ..ctx import AppContext
from ..dispatch.plan import Hooks
from ..unlocked import cached_property
from ..wrappers import Request
from ..wrappers.scope import notable_headers
from .arrivals import Message, Receive
from .body import RequestBody, Send

#: A connection: its scope, ``receive`` and ``send``, and the context variables as the server has
#: set them.
Connection = tuple[Message, Receive, Send, Context]

#: The rule that a request matches, and its arguments; None for none.
Matched = tuple[t.Any, dict[str, t.Any] | None]


class ServedContext(AppContext):
    """A context whose request is made when something asks for it.

    PERF: 0.3 us for a request that nobody looks at; with its request made, 1.5 us.

    :param app: the app.
    :param connection: where the request comes from.
    """

    allows_plain = True

    #: What the request matches, if that is known when this is made.
    found: Matched | None = None

    #: Whether something has asked for the request, or for anything that needs it.
    is_touched = False

    #: Whether the response has begun before the request is made.
    is_answered = False

    connection: Connection

    #: Whether the request has a body.
    has_body = False

    def __init__(self, app: t.Any, connection: Connection) -> None:
        self.app, self.connection = app, connection

    @cached_property
    def notable(self) -> dict[bytes, list[bytes]]:
        """The headers that decide how the request is handled."""
        return notable_headers(self.connection[0]["headers"])

    def _make_request(self) -> Request:
        scope, receive, send, entered = self.connection
        app, notable, self.is_touched = self.app, self.notable, True
        body = RequestBody(notable, receive, entered, send)
        if not body.complete:
            body.timeout = app.config["BODY_TIMEOUT"]
        if self.is_answered:
            body.answered = True
        request: Request = app.request_class.from_scope(scope, body)
        request.notable, request.json_module = notable, app.json
        if self.found is not None:
            rule, args = self.found
            request.url_rule, request.view_args = rule, {} if args is None else args
        self._request = request
        return request

    if not t.TYPE_CHECKING:
        _request = cached_property(_make_request)

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
    """A context whose request has been matched already; made by `shortcut.begin`."""

    matched = True
    found: Matched

    #: The callbacks that have a say in it; None if none have.
    hooks: Hooks | None = None

    #: Whether the request may have sent a session, which the answer may have to do something about.
    sends_session = False
