"""What an app's attributes decide about its requests, derived once and not for each of them.

Extensions and tests replace methods, classes and interfaces on an app, on its class or on `Flask`
itself, at any time: whatever is derived from one of these is dropped when it is set, and derived
anew when it is asked for.
"""

from __future__ import annotations

import typing as t
from functools import cached_property

from . import signals, watched
from .built_urls import find_here
from .ctx import AppContext
from .dispatch.plan import NOT_OURS
from .dispatch.returns import json_writer
from .dispatch.steps import OVERRIDABLE, find_overridden
from .json.provider import needs_no_response
from .matcher import Matcher
from .middleware import Middleware
from .mounts import Mounts
from .overridable import OverridableSteps
from .routing import Map, has_custom_converters
from .sessions import SecureCookieSessionInterface, SessionInterface
from .watched import Watched, WatchedList
from .wrappers import Request, Response
from .wrappers.scope import is_plain_host

#: The entries of an app, which middleware replaces.
_ENTRIES = ("asgi_app", "wsgi_app")

#: The methods whose own implementation others know how to do without.
METHODS = (
    *OVERRIDABLE,
    *_ENTRIES,
    "create_url_adapter",
    "inject_url_defaults",
    "url_for",
)

_ATTRIBUTES = (
    "_middleware",
    "_mounts",
    "_wsgi_call",
    "config",
    "json",
    "request_class",
    "response_class",
    "session_interface",
    "url_map",
    "view_functions",
)

#: What is registered with an app, and may have a say in each of its requests.
_REGISTRIES = (
    "before_request_funcs",
    "after_request_funcs",
    "teardown_request_funcs",
    "url_value_preprocessors",
    "teardown_appcontext_funcs",
)

#: What is asked of a session interface for each request, whoever uses the session.
_OF_EACH_SESSION = frozenset({"open_session", "save_session", "is_null_session"})

_DECIDING = frozenset({*METHODS, *_ATTRIBUTES})
_DERIVED = (
    "_answers_plainly",
    "_asgi_is_own",
    "_converts_in_thread",
    "_links_plainly",
    "_matcher",
    "_overridden",
    "_say",
    "_session_is_lazy",
    "_sight",
    "_socket_matcher",
    "_wraps_wsgi",
)


class Sight:
    """What an app's requests are judged by at first sight, as long as nothing of it changes.

    PERF: a look at all of it took 2,000 instructions of each request, and this takes 300.

    :param say: see `Deciding._say`.
    :param matcher: what matches paths; None for an app whose requests all go the whole way.
    :param json: the content type and the writer of JSON; None if they may change untold.
    """

    __slots__ = ("is_busy", "json", "matcher", "say", "tells")

    def __init__(
        self,
        say: tuple[t.Any, ...],
        matcher: Matcher | None,
        json: tuple[tuple[bytes, bytes], t.Callable[[t.Any], bytes]] | None,
    ) -> None:
        self.say, self.matcher, self.json = say, matcher, json
        #: Whether anybody but a view has a say, or may have it untold.
        told = all(isinstance(each, Watched) for each in say[:-1])
        self.is_busy = any(say) or not told
        #: Whether there is another one as soon as any of those who have a say are others.
        self.tells = told and all(
            type(funcs) is WatchedList for registry in say[:-2] for funcs in [*registry.values()]
        )


class Deciding(OverridableSteps):
    """An app that knows which ways its requests may take."""

    #: The implementations of `METHODS` that are asyncflask's own, by name.
    _own: t.ClassVar[dict[str, t.Any]]

    session_interface: SessionInterface
    request_class: type[Request]
    create_url_adapter: t.Any
    url_map: Map

    #: The apps mounted in this one; None as long as there are none.
    _mounts: Mounts | None = None

    #: The ASGI middleware that was added; None as long as there is none.
    _middleware: Middleware | None = None

    #: What `sessions` knows of the cookie that it set last: settings, and what they make of it.
    _session_cookie: tuple[t.Any, ...] | None = None

    #: What a subclass or a tool put in the place of ``__call__``: a WSGI callable of the class.
    _wsgi_call: t.Callable[..., t.Any] | None = None

    def __setattr__(self, name: str, value: t.Any) -> None:
        super().__setattr__(name, value)
        self._forget(name)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._forget(name)

    def _forget(self, name: str) -> None:
        """Drop what was derived from an attribute that may have changed."""
        if name in _DECIDING:
            self._drop(_DERIVED)
        elif name == "_got_first_request" or name in _REGISTRIES:
            self._drop(("_answers_plainly", "_say", "_sight"))

    def _drop(self, derived: t.Iterable[str]) -> None:
        with watched.lock:
            for name in derived:
                self.__dict__.pop(name, None)

    def _is_own(self, name: str) -> bool:
        return name not in self.__dict__ and getattr(type(self), name) is self._own[name]

    @cached_property
    def _overridden(self) -> frozenset[str]:
        """The steps of the pipeline that a subclass or this instance overrides."""
        return find_overridden(self, self._own)

    @cached_property
    def _session_is_lazy(self) -> bool:
        """Whether the session may be opened when it is first asked for: that does no I/O."""
        interface = vars(self).get("session_interface", type(self).session_interface)
        return (  # a property of a subclass may give another one each time
            type(interface) is SecureCookieSessionInterface
            and _OF_EACH_SESSION.isdisjoint(vars(interface))
        )

    @cached_property
    def _answers_plainly(self) -> bool:
        """Whether nothing of this app's own has a say in what a plain value becomes.

        The first request is no such case: it goes the whole way, and ends the app's setup.
        """
        return (
            self._got_first_request
            and not self._overridden
            and self._session_is_lazy
            and self.response_class is Response
            and needs_no_response(self.json)
        )

    @cached_property
    def _say(self) -> tuple[t.Any, ...]:
        """What is true if anybody but its view has a say in a request that goes well."""
        entered_here = self._asgi_is_own and self._mounts is None and not self._wraps_wsgi
        if not (entered_here and self._answers_plainly and self._asks_no_request):
            return NOT_OURS
        say = (*(getattr(self, name) for name in _REGISTRIES), signals.heard)
        is_told = self._config_tells and isinstance(self.view_functions, Watched)
        is_told = is_told and all(isinstance(registry, dict) for registry in say[:4])
        return say if is_told else NOT_OURS

    #: What `_look` returned, until something in it may have changed.
    _sight: Sight | None = None

    def _look(self) -> Sight:
        """Return what requests are judged by at first sight."""
        with watched.lock:
            say, matcher, json = self._say, None, None
            if say is not NOT_OURS and self.config["TRUSTED_HOSTS"] is None:
                matcher = self._matcher
            if self._answers_plainly and self._config_tells and "json" in vars(self):
                json = json_writer(self.json)
            self._sight = sight = Sight(say, matcher, json)
            watched.see(self)
        return sight

    def _look_again(self) -> None:
        """Drop what `_look` returned."""
        self._drop(("_sight",))

    @property
    def _config_tells(self) -> bool:
        """Whether the settings are those that were set, and no class of its own makes them up."""
        config: t.Any = vars(self).get("config")
        kind: t.Any = type(config)
        return issubclass(kind, Watched) and kind.__getitem__ is dict.__getitem__

    @cached_property
    def _ways(self) -> dict[t.Any, t.Any]:
        """Which way requests take, by their handlers (see `dispatch.plan`)."""
        return {}

    @property
    def _asks_no_request(self) -> bool:
        """Whether the class of requests has no say in which of them are accepted, and matched."""
        kind = self.request_class
        return kind.__init__ is Request.__init__ and kind.trusted_hosts is None

    @cached_property
    def _wraps_wsgi(self) -> bool:
        """Whether WSGI middleware was put around the app, or a subclass has its own entry."""
        return not self._is_own("wsgi_app") or type(self)._wsgi_call is not None

    @cached_property
    def _asgi_is_own(self) -> bool:
        """Whether neither ASGI middleware nor a subclass is before the app's own ASGI entry."""
        return self._middleware is None and self._is_own("asgi_app")

    @cached_property
    def _converts_in_thread(self) -> bool:
        """Whether matching a URL may run code that blocks."""
        return has_custom_converters(self.url_map)

    @cached_property
    def _links_plainly(self) -> bool:
        """Whether `url_for` is our own, and only `url_default_functions` may add to its values."""
        return self._is_own("inject_url_defaults") and self._is_own("url_for")

    def _find_url(self, endpoint: str, values: dict[str, t.Any]) -> str | None:
        """Return what `url_for` would, if it has done so before and nobody else is to be asked."""
        if not self._links_plainly or self.url_default_functions:
            return None
        return find_here(endpoint, values)

    @cached_property
    def _matcher(self) -> Matcher | None:
        """The compiled matcher, unless something decides that werkzeug's own is needed."""
        own = type(self).create_url_adapter is self._own["create_url_adapter"]
        simple = own and isinstance(self.url_map, Map) and not self.subdomain_matching
        simple = simple and type(self.url_map).bind is Map.bind
        return Matcher(self.url_map) if simple else None

    @cached_property
    def _socket_matcher(self) -> Matcher | None:
        """The same for the rules of websockets."""
        return None if self._matcher is None else Matcher(self.url_map, websocket=True)

    def _match_simply(self, ctx: AppContext) -> bool:
        """Match a request's URL with the compiled matcher; False if it must be done in full."""
        request = ctx.request
        hosts = request.notable.get(b"host")
        if hosts is not None and not is_plain_host(hosts[0]):
            return False
        if not self._asks_no_request:
            return False
        matcher = self._matcher if ctx.websocket is None else self._socket_matcher
        found = self._find_rule(request.path_info, request.sent_method, matcher)
        if found is None or type(ctx).match_request is not AppContext.match_request:
            return False
        request.url_rule, request.view_args = found
        return True

    def _find_rule(
        self, path: str, method: str, matcher: Matcher | None
    ) -> tuple[t.Any, dict[str, t.Any]] | None:
        """Return the rule and the arguments that a compiled matcher has for a path, if any."""
        if matcher is None or self.config["TRUSTED_HOSTS"] is not None:
            return None
        if matcher.changes != self.url_map.changes:
            matcher = self._recompiled(matcher)
        return None if matcher is None else matcher.find(path, method)

    def _recompiled(self, outdated: Matcher) -> Matcher | None:
        """Return the matcher of the rules as they are now."""
        self._drop(("_converts_in_thread", "_matcher", "_sight", "_socket_matcher"))
        return self._socket_matcher if outdated.websocket else self._matcher
