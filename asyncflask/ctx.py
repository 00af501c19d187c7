"""Contexts: what is known while an app, a request or a websocket is being worked on.

States of a context, by how often it was pushed and not yet popped:

====== ================================ ==========================================
pushes what ``push`` does               what ``pop`` does
====== ================================ ==========================================
0 -> 1 signal, open session, match URL
1 -> 0                                  teardown callbacks, signal, variable reset
n -> m variable set                     variable reset
====== ================================ ==========================================

The server's path does not go through ``push``: it sets the variable itself and runs the same
two steps, `ContextHost._begin` and `ContextHost._end`, with the driver that fits the request.
"""

from __future__ import annotations

import sys
import typing as t
from contextvars import Token
from types import TracebackType

from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, RequestRedirect

from . import _current, connections, drivers, workers
from . import typing as ft
from .app_globals import _AppCtxGlobals as _AppCtxGlobals
from .config import Config
from .copying import copy_current_request_context as copy_current_request_context
from .copying import copy_current_websocket_context as copy_current_websocket_context
from .copying import requested
from .exceptions import NoHost, NoRequest
from .json.provider import JSONProvider
from .sessions import SessionInterface, SessionMixin
from .unlocked import cached_property
from .wrappers import Request, Websocket

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_unset: t.Any = object()


class ContextHost(drivers.SyncHost, drivers.PoolHost, t.Protocol):
    """What a context needs of its app."""

    name: str
    config: Config
    json: JSONProvider
    app_ctx_globals_class: type[_AppCtxGlobals]
    request_class: type[Request]
    session_interface: SessionInterface

    @property
    def _matcher(self) -> t.Any: ...

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Bind the URL map."""

    async def _begin(self, ctx: AppContext, driver: drivers.Driver) -> None: ...

    async def _end(
        self, ctx: AppContext, driver: drivers.Driver, error: BaseException | None
    ) -> None: ...


class AppContext:
    """What is current for one app, and for one request if there is one.

    Made by `Flask.app_context`, `Flask.test_request_context` and by the server; not by hand.

    :param app: the app.
    :param request: the request being handled, if any.
    :param session: its session, if it is already open.
    """

    _outer: AppContext | None = None  # what was current when this was pushed by hand
    _shared: AppContext | None = None  # the outer context of the same app that lends its `g`
    _driver: drivers.LoopDriver | None = None  # what calls the callbacks of an ``async with`` block
    _lane: workers.Lane | None = None  # where this request's sync code runs, once there is any

    def __init__(
        self,
        app: ContextHost,
        *,
        request: Request | None = None,
        session: SessionMixin | None = None,
    ) -> None:
        self.app: t.Any = app
        self._request = request
        if session is not None:
            self._opened_session = session

    #: The session, if something has asked for it.
    _opened_session: SessionMixin | None = None

    #: The messages that were flashed to this request, if something has asked for them.
    flashes: list[tuple[str, str]] | None = None

    #: What ended the request, if nothing handled it; the teardown functions get it.
    error: BaseException | None = None

    #: The websocket that the request asks for, if it does.
    websocket: Websocket | None = None

    #: Which hooks are run, and who hears of it.
    kind: connections.Kind = connections.HTTP

    #: The response that has begun while the view is still at work on it, if it has.
    answered: t.Any = None

    #: What a WSGI server has given to begin a response with.
    start_response: t.Any = None

    #: Whether the client was seen to leave, and the view's work was ended for that.
    client_left = False

    #: Whether the URL was matched already; whether there is a response, so that no error handler
    #: gets what is raised; whether the teardown functions have run.
    matched = is_finalized = is_over = False

    #: What the URLs of its pages depend on, if some were built: a `built_urls.Linking`.
    linking: t.Any = None

    #: Whether what a view returned may be sent without a response object.
    allows_plain = False

    #: What `after_this_request` registered, if it did.
    after_functions: list[ft.AfterRequestCallable[t.Any]] | None = None

    @cached_property
    def _request(self) -> Request | None:
        return None

    @cached_property
    def g(self) -> _AppCtxGlobals:
        """The namespace that `asyncflask.g` reads; made when it is first asked for."""
        made: _AppCtxGlobals = self.app.app_ctx_globals_class()
        return made

    @cached_property
    def _cv_tokens(self) -> list[tuple[Token[t.Any], AppContext | None]]:
        return []

    @property
    def _after_request_functions(self) -> list[ft.AfterRequestCallable[t.Any]]:
        if self.after_functions is None:
            self.after_functions = []
        return self.after_functions

    @cached_property
    def url_adapter(self) -> MapAdapter | None:
        """Matches and builds URLs; None outside a request unless `SERVER_NAME` is set."""
        try:
            made: MapAdapter | None = self.app.create_url_adapter(self._request)
        except HTTPException as error:
            if self._request is None:
                raise
            self._request.routing_exception = error
            return None
        return made

    @property
    def has_request(self) -> bool:
        """Whether this context carries a request."""
        return self._request is not None

    @property
    def request(self) -> Request:
        """The request being handled.

        :raises RuntimeError: if this context carries none.
        """
        if self._request is None:
            raise NoRequest(_current.NO_REQUEST)
        return self._request

    @property
    def session(self) -> SessionMixin:
        """The request's session, marked as accessed (so that caches vary by cookie)."""
        session = self._opened_session
        if session is None:
            session = self._session
        session.accessed = True
        return session

    @property
    def _session(self) -> SessionMixin:
        """The session, opened now if nothing has asked for it before."""
        if self._opened_session is None:
            app, interface = self.app, self.app.session_interface
            if app._session_is_lazy:
                opened = interface.open_session(app, self.request)
            elif self.error is None:
                opened = app._call_at_once(interface.open_session, app, self.request)
            else:  # that it could not be opened is what ended the request
                opened = None
            self._opened_session = interface.make_null_session(app) if opened is None else opened
        return t.cast("SessionMixin", self._opened_session)

    @_session.setter
    def _session(self, value: SessionMixin | None) -> None:
        self._opened_session = value

    def match_simply(self) -> bool:
        """Match the URL if that takes no code but our own; return whether it did."""
        if not self.matched:
            self.matched = self.app._match_simply(self)
        return self.matched

    def match(self) -> None:
        """Match the URL, if that was not done yet."""
        if not self.match_simply():
            self.matched = True
            if self.url_adapter is not None:
                self.match_request()

    def match_request(self) -> None:
        """Match the URL; a mismatch is kept and raised when the request is dispatched."""
        adapter, request = self.url_adapter, self.request
        if adapter is None:
            return
        try:
            request.url_rule, args = adapter.match(return_rule=True)
            request.view_args = dict(args)
        except HTTPException as error:
            lost = isinstance(error, RequestRedirect) and not request.host
            request.routing_exception = NoHost() if lost else error

    def forget_errors(self) -> None:
        """Let go of errors whose frames refer to this context, which would be a circle."""
        if self.error is not None:
            self.error = None
        if self._request is not None:
            missed = self._request.routing_exception
            if missed is not None:
                missed.__traceback__ = missed.__context__ = None
            environ = vars(self._request).get("environ")
            if environ is not None:
                environ.pop("werkzeug.request", None)

    def copy(self) -> AppContext:
        """Return a context of its own for the same request and session, for another task."""
        copied = AppContext(self.app, request=self._request, session=self._opened_session)
        if self.websocket is not None:
            copied.websocket, copied.kind = self.websocket, self.kind
        return copied

    def push(self) -> None:
        """Make this context current in this thread or task."""
        self._enter()
        if len(self._cv_tokens) == 1:
            drivers.drive(self.app._begin(self, drivers.ThreadDriver(self.app)))

    def pop(self, exc: BaseException | None = _unset) -> None:
        """Undo `push`; the last one runs the teardown callbacks.

        :param exc: the exception that ended the work, handed to them; by default the one being
            handled where this is called.
        :raises AssertionError: if another context was pushed after this and not yet popped.
        """
        if exc is _unset:
            exc = sys.exc_info()[1]
        try:
            if len(self._cv_tokens) == 1:
                drivers.drive(self.app._end(self, drivers.ThreadDriver(self.app), exc))
        finally:
            self._leave()

    def _enter(self) -> None:
        outer = _current.context.get(None)
        around = _current.app_context()
        token = _current.context.set(self)
        self._cv_tokens.append((token, self._outer))
        self._outer = self._outer if outer is self else outer
        if len(self._cv_tokens) == 1 and self._request is not None and around is not self:
            self._share(around)

    def _share(self, around: AppContext | None) -> None:
        """Borrow the `g` of a surrounding context of the same app, as Flask 3.1 does."""
        self._shared = around if around is not None and around.app is self.app else None
        if self._shared is not None:
            self.__dict__["g"] = self._shared.g

    def _leave(self) -> None:
        token, outer = self._cv_tokens.pop()
        found = _current.context.get(None)
        _current.context.reset(token)
        self._outer = outer
        if not self._cv_tokens:
            self._shared = None
        if found is not self:
            raise AssertionError(
                f"Popped {self!r}, but {found!r} is the innermost context: contexts are popped"
                " in the reverse order of their pushes, in the same thread or task."
            )

    def __enter__(self) -> t.Self:
        self.push()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.pop(exc_value)

    async def __aenter__(self) -> t.Self:
        self._enter()
        if len(self._cv_tokens) == 1:
            self._driver = drivers.LoopDriver(self.app)
            try:
                await self.app._begin(self, self._driver)
            except BaseException:
                self._driver.close()
                self._leave()
                raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        try:
            if len(self._cv_tokens) == 1 and self._driver is not None:
                try:
                    await self.app._end(self, self._driver, exc_value)
                finally:
                    self._driver.close()
        finally:
            self._leave()

    def __repr__(self) -> str:
        if self._request is None:
            return f"<{type(self).__name__} of {self.app.name}>"
        request = self._request
        return f"<{type(self).__name__} {request.url!r} [{request.method}] of {self.app.name}>"


class RequestContext(AppContext):
    """A context made from a WSGI environ: Flask 3.1's constructor for the same one context.

    :param app: the app.
    :param environ: the request's WSGI environ (PEP 3333).
    :param request: a request to use in place of one made from `environ`.
    :param session: an open session to use.
    """

    def __init__(
        self,
        app: ContextHost,
        environ: WSGIEnvironment,
        request: Request | None = None,
        session: SessionMixin | None = None,
    ) -> None:
        if request is None:
            request = app.request_class(environ)
            request.json_module = app.json
        super().__init__(app, request=request, session=session)
        if app._matcher is None or app.config["TRUSTED_HOSTS"] is not None:
            _ = self.url_adapter  # as in Flask: an untrusted host is known before the push

    def copy(self) -> RequestContext:
        """Return a context of its own for the same request and session, for another task."""
        request = self.request
        return type(self)(self.app, request.environ, request, self._opened_session)


def after_this_request(f: ft.AfterRequestCallable[t.Any]) -> ft.AfterRequestCallable[t.Any]:
    """Call `f` with the response of the request being handled, and send what it returns.

    :param f: takes the response and returns it, or another one; may be ``async def``.
    :raises RuntimeError: if no request is being handled.
    """
    requested("after_this_request")._after_request_functions.append(f)
    return f


def has_request_context() -> bool:
    """Whether a request is being handled here, so that `request` and `session` work.

    A websocket begins with a request: there, too, they work.
    """
    return _current.request_context() is not None


def has_websocket_context() -> bool:
    """Whether a websocket is being served here, so that `websocket` works."""
    return _current.websocket_context() is not None


def has_app_context() -> bool:
    """Whether an app context is active here, so that `current_app` and `g` work."""
    return _current.app_context() is not None
