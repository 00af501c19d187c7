"""Sessions: what an app remembers of a visitor from one request to the next.

`SessionInterface` says how a session is opened and saved, and which attributes its cookie has.
`SecureCookieSessionInterface`, the default, keeps everything in the cookie: readable by the
visitor, but signed, so that it cannot be changed. The cookies are Flask's, byte for byte.
"""

from __future__ import annotations

import hashlib
import typing as t
from datetime import UTC, datetime
from operator import attrgetter, itemgetter

from itsdangerous import URLSafeTimedSerializer

from . import one_cookie
from .json.tag import TaggedJSONSerializer
from .sansio.app import App
from .session_dicts import NullSession as NullSession
from .session_dicts import SecureCookieSession as SecureCookieSession
from .session_dicts import SessionMixin as SessionMixin
from .signing import kept_serializer, make_serializer, plain_payload
from .wrappers import Request, Response
from .wrappers.wire import wire_header


class SessionInterface:
    """How sessions are opened and saved. Assign an instance to ``app.session_interface``.

    Write `open_session` and `save_session`; the rest reads the configuration and seldom needs a
    change. Both may be ``async def``. Sessions are mappings with the attributes of `SessionMixin`.

    Requests of one visitor run at the same time: if a store is shared between them, the interface
    must keep their reads and writes from mixing.
    """

    #: What `make_null_session` makes and `is_null_session` looks for.
    null_session_class = NullSession

    #: Whether sessions are pickled, and so may hold any object. Extensions ask.
    pickle_based = False

    def make_null_session(self, app: App) -> NullSession:
        """Return the session to use when `open_session` returned None."""
        return self.null_session_class()

    def is_null_session(self, obj: object) -> bool:
        """Whether `obj` is a null session, which is never saved."""
        return isinstance(obj, self.null_session_class)

    def get_cookie_name(self, app: App) -> str:
        """The cookie's name: ``SESSION_COOKIE_NAME``."""
        value: str = app.config["SESSION_COOKIE_NAME"]
        return value

    def get_cookie_domain(self, app: App) -> str | None:
        """The domain whose hosts get the cookie: ``SESSION_COOKIE_DOMAIN``.

        None: only the host that set it. A domain: its subdomains too.
        """
        value: str | None = app.config["SESSION_COOKIE_DOMAIN"]
        return value

    def get_cookie_path(self, app: App) -> str:
        """The path below which the cookie is sent.

        That is ``SESSION_COOKIE_PATH``, or else ``APPLICATION_ROOT``.
        """
        value: str = app.config["SESSION_COOKIE_PATH"] or app.config["APPLICATION_ROOT"]
        return value

    def get_cookie_httponly(self, app: App) -> bool:
        """Whether scripts in the page cannot read the cookie: ``SESSION_COOKIE_HTTPONLY``."""
        value: bool = app.config["SESSION_COOKIE_HTTPONLY"]
        return value

    def get_cookie_secure(self, app: App) -> bool:
        """Whether the cookie is sent over HTTPS only: ``SESSION_COOKIE_SECURE``."""
        value: bool = app.config["SESSION_COOKIE_SECURE"]
        return value

    def get_cookie_samesite(self, app: App) -> str | None:
        """Which requests from other sites carry the cookie: ``SESSION_COOKIE_SAMESITE``.

        ``"Strict"``, ``"Lax"``, ``"None"``, or None to leave it to the browser.
        """
        value: str | None = app.config["SESSION_COOKIE_SAMESITE"]
        return value

    def get_cookie_partitioned(self, app: App) -> bool:
        """Whether each embedding site has its own cookie: ``SESSION_COOKIE_PARTITIONED``."""
        value: bool = app.config["SESSION_COOKIE_PARTITIONED"]
        return value

    def get_expiration_time(self, app: App, session: SessionMixin) -> datetime | None:
        """When the browser forgets the cookie; None: when it is closed.

        A permanent session lasts ``PERMANENT_SESSION_LIFETIME`` from now.
        """
        if not session.permanent:
            return None
        return datetime.now(UTC) + app.permanent_session_lifetime

    def should_set_cookie(self, app: App, session: SessionMixin) -> bool:
        """Whether the response carries the cookie.

        It does if the session was modified, or if it is permanent and
        ``SESSION_REFRESH_EACH_REQUEST`` starts its lifetime anew.
        """
        if session.modified:
            return True
        return session.permanent and bool(app.config["SESSION_REFRESH_EACH_REQUEST"])

    def open_session(
        self, app: App, request: Request
    ) -> SessionMixin | t.Awaitable[SessionMixin | None] | None:
        """Return the request's session; every interface writes its own, plain or ``async def``.

        Called when the request's session is first needed, with the request context active.

        :returns: the session, or None if there can be none: a null session is used then.
        """
        raise NotImplementedError

    def save_session(
        self, app: App, session: SessionMixin, response: Response
    ) -> t.Awaitable[None] | None:
        """Save a session and set what the response needs; every interface writes its own.

        Called after the view and the ``after_request`` functions, unless it is a null session.
        """
        raise NotImplementedError


#: What the payload of session cookies is written with.
session_json_serializer = TaggedJSONSerializer()


def _lazy_sha1(string: bytes = b"") -> t.Any:
    """Return a SHA-1 hash.

    A function, since builds for FIPS have no SHA-1 to name at import; apps there set another
    `SecureCookieSessionInterface.digest_method`.
    """
    return hashlib.sha1(string)


class SecureCookieSessionInterface(SessionInterface):
    """Sessions in signed cookies, as itsdangerous signs them.

    A cookie that was changed, cut, signed with an unknown key, or is older than
    ``PERMANENT_SESSION_LIFETIME`` is an empty session.
    """

    #: Mixed into the secret key, so that nothing else signed with it passes for a session.
    salt = "cookie-session"

    #: The hash of the signature.
    digest_method = staticmethod(_lazy_sha1)

    #: How the signing key is derived from the secret key, a name that itsdangerous knows.
    key_derivation = "hmac"

    #: What writes the session as text: ``dumps`` and ``loads``. Add types with
    #: `TaggedJSONSerializer.register`.
    serializer: t.Any = session_json_serializer

    #: The sessions' class.
    session_class = SecureCookieSession

    def get_signing_serializer(self, app: App) -> URLSafeTimedSerializer | None:
        """Return what signs and reads cookies, or None if the app has no secret key.

        The secret key signs; cookies signed with one of ``SECRET_KEY_FALLBACKS`` are read too.
        The object is kept and shared: do not change it.
        """
        key = app.secret_key
        if not key:
            return None
        fallbacks, traits = app.config["SECRET_KEY_FALLBACKS"], _traits(self)
        if fallbacks:
            return _serializer((*fallbacks, key), traits)  # itsdangerous signs with the last one
        last, last_traits, made = _last
        # PERF: 2,000 instructions less where nothing has changed since the request before.
        return made if last is key and last_traits == traits else _serializer((key,), traits)

    def open_session(self, app: App, request: Request) -> SecureCookieSession | None:
        """Return the session that the request's cookie holds.

        :returns: an empty one if there is no good cookie, None if the app has no secret key.
        """
        serializer = self.get_signing_serializer(app)
        if serializer is None:
            return None
        cookie = one_cookie.sent_cookie(request, self.get_cookie_name(app))
        if not cookie:
            return self.session_class()
        max_age = int(app.permanent_session_lifetime.total_seconds())
        try:
            return self.session_class(serializer.loads(cookie, max_age=max_age))
        except Exception:  # the cookie is a visitor's: whatever is wrong with it is no error here
            return self.session_class()

    def may_refresh(self, app: App, request: Request) -> bool:
        """Whether a request that never asked for its session may have to have it refreshed.

        It has to if the session is permanent, which most often is seen without opening it.
        PERF: 2 us for a request that only sends the cookie, where to open it takes 6, and a
        response object for it 10 more.
        """
        if not app.config["SESSION_REFRESH_EACH_REQUEST"]:
            return False
        cookie = one_cookie.sent_cookie(request, self.get_cookie_name(app))
        if not cookie:
            return False
        text = plain_payload(cookie)
        return text is None or text.find(b"_permanent") >= 0 or _BACKSLASH in text

    def save_session(self, app: App, session: SessionMixin, response: Response) -> None:
        """Set, refresh or delete the cookie, as the session asks for."""
        accessed = session.accessed
        if accessed:
            one_cookie.vary_by_cookie(response)
        try:
            cookie = self._cookie(app, session)
        finally:
            session.accessed = accessed  # what this method reads is no access by the app
        if cookie is None:
            return
        name, value, expires, attributes = cookie
        if value is None:
            response.delete_cookie(name, **_named(attributes))
        elif not one_cookie.add_like_before(response, name, value, expires, attributes):
            response.set_cookie(name, value, expires=expires, **_named(attributes))
        if not accessed:
            one_cookie.vary_by_cookie(response)

    def _header(self, app: App, session: SessionMixin) -> t.Any:
        """Return the header in which `save_session` sends a cookie.

        :returns: None if it sends none, `_MORE` if there is more to it.
        """
        accessed = session.accessed
        try:
            cookie = self._cookie(app, session)
        finally:
            session.accessed = accessed
        if cookie is None:
            return None
        name, value, expires, attributes = cookie
        if value is None:
            return _MORE
        limit = app.config["MAX_COOKIE_SIZE"]
        written = one_cookie.written_like_before(name, value, expires, attributes, limit)
        return _MORE if written is None else wire_header("Set-Cookie", written)

    def _usual_header(self, app: t.Any, session: SecureCookieSession) -> t.Any:
        """Return what `_header` does, for what everything is as here.

        PERF: 30,000 instructions less, as each setting is asked for once for all requests.
        """
        plain = dict(_items(session))
        if plain.get("_permanent"):  # its date is another one each second
            return self._header(app, session)
        if not session.modified:
            return None
        signer: t.Any = self.get_signing_serializer(app)
        if not plain or signer is None:
            return _MORE
        settings = _settings(app.config)
        known = app._session_cookie
        # NOTE: the first three have to be the same: ``True`` is equal to 1, and written otherwise.
        if (
            known is None
            or known[0] != settings
            or known[0][0] is not settings[0]
            or known[0][1] is not settings[1]
            or known[0][2] is not settings[2]
        ):
            name, limit = self.get_cookie_name(app), app.config["MAX_COOKIE_SIZE"]
            known = settings, one_cookie.sent_around(name, self._attributes(app), limit)
            app._session_cookie = known
        if known[1] is None:
            return _MORE
        before, behind, room = known[1]
        value = signer.signed(plain)
        return (b"set-cookie", before + value + behind) if len(value) <= room else _MORE

    def _cookie(self, app: App, session: SessionMixin) -> _Cookie | None:
        """Return the cookie to set or delete, if the session asks for it."""
        emptied = not session
        if not (session.modified if emptied else self.should_set_cookie(app, session)):
            return None
        name, attributes = self.get_cookie_name(app), self._attributes(app)
        if emptied:
            return name, None, None, attributes
        signer: t.Any = self.get_signing_serializer(app)
        # PERF: 1 us: the class's own methods, which `dict` would call, note that they were called.
        plain = _items(session) if type(session) is SecureCookieSession else session
        return (
            name,
            signer.dumps(dict(plain)),
            self.get_expiration_time(app, session),
            attributes,
        )

    def _attributes(self, app: App) -> tuple[t.Any, ...]:
        """Return the values of `one_cookie.ATTRIBUTES`."""
        return (
            self.get_cookie_domain(app),
            self.get_cookie_path(app),
            self.get_cookie_secure(app),
            self.get_cookie_httponly(app),
            self.get_cookie_samesite(app),
            self.get_cookie_partitioned(app),
        )


#: A cookie's name, its value or None to delete it, when it ends, and the values of `ATTRIBUTES`.
_Cookie = tuple[str, str | None, datetime | None, tuple[t.Any, ...]]

_VARY, _MORE = (b"vary", b"Cookie"), object()
(_BACKSLASH,) = b"\\"

_items = dict.items  # itself, even where copies by `dict` ask the class's own methods
_save_session = SecureCookieSessionInterface.save_session

#: What an interface signs with.
_traits = attrgetter("salt", "serializer", "key_derivation", "digest_method")

#: What of an interface has a say in how a session is saved.
_methods = attrgetter(
    *("null_session_class", "is_null_session", "save_session", "should_set_cookie"),
    *("get_signing_serializer", "get_expiration_time", "get_cookie_name", "get_cookie_domain"),
    *("get_cookie_path", "get_cookie_secure", "get_cookie_httponly", "get_cookie_samesite"),
    "get_cookie_partitioned",
)
_own_methods = _methods(SecureCookieSessionInterface)

#: The settings that these methods read, but for dates.
_settings = itemgetter(
    *("SESSION_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "SESSION_COOKIE_PARTITIONED"),
    *("SESSION_COOKIE_NAME", "SESSION_COOKIE_DOMAIN", "SESSION_COOKIE_PATH", "APPLICATION_ROOT"),
    *("SESSION_COOKIE_SAMESITE", "MAX_COOKIE_SIZE"),
)

#: The only key that `_serializer` had last, with what traits, and what it returned.
_last: tuple[t.Any, t.Any, t.Any] = (None, None, None)


def _serializer(keys: tuple[t.Any, ...], traits: tuple[t.Any, ...]) -> URLSafeTimedSerializer:
    """Return what signs and reads cookies.

    :param keys: the secret keys, oldest first.
    :param traits: the other arguments of `signing.make_serializer`.
    """
    global _last
    try:
        made = kept_serializer(keys, *traits)
    except TypeError:  # some serializer or key cannot be hashed, and so not looked up
        return make_serializer(keys, *traits)
    if len(keys) == 1:
        _last = keys[0], traits, made
    return made


def added_headers(app: t.Any, session: SessionMixin) -> list[tuple[bytes, bytes]] | None:
    """Return the headers that saving a session adds to a response that has none of their kind.

    PERF: a response object for them, and what it takes to send it, cost 10 us.

    :returns: None if it is for the app's session interface to say.
    """
    interface: t.Any = app.session_interface
    accessed = session.accessed
    if (
        type(session) is SecureCookieSession
        and not vars(interface)
        and _methods(type(interface)) == _own_methods
    ):
        header = interface._usual_header(app, session)
    elif getattr(interface.save_session, "__func__", None) is not _save_session:
        return None
    elif interface.is_null_session(session):
        return []
    else:
        header = interface._header(app, session)
    if header is None:
        return [_VARY] if accessed else []
    if header is _MORE:
        return None
    return [_VARY, header] if accessed else [header, _VARY]


def _named(attributes: tuple[t.Any, ...]) -> dict[str, t.Any]:
    return dict(zip(one_cookie.ATTRIBUTES, attributes, strict=True))
