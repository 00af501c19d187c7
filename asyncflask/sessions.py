"""Sessions: what an app remembers of a visitor from one request to the next.

`SessionInterface` says how a session is opened and saved, and which attributes its cookie has.
`SecureCookieSessionInterface`, the default, keeps everything in the cookie: readable by the
visitor, but signed, so that it cannot be changed. The cookies are Flask's, byte for byte.
"""

from __future__ import annotations

import hashlib
import typing as t
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from functools import wraps

from itsdangerous import URLSafeTimedSerializer
from werkzeug.datastructures import CallbackDict

from . import one_cookie
from .json.tag import TaggedJSONSerializer
from .sansio.app import App
from .signing import kept_serializer, make_serializer, plain_payload
from .wrappers import Request, Response


class SessionMixin(MutableMapping[str, t.Any]):
    """What a session is beside a mapping. Mix it into a dict to make a session class."""

    #: Whether the session was made for this request. Not every interface knows; here: False.
    new = False

    #: Whether the session was changed, so that it has to be saved. Not every class can tell, so
    #: that it is True here.
    modified = True

    #: Whether the request asked for the session. If so, the answer depends on who asks, and says
    #: ``Vary: Cookie``.
    accessed = False

    @property
    def permanent(self) -> bool:
        """Whether the session outlives the browser's, for ``PERMANENT_SESSION_LIFETIME``."""
        value: bool = self.get("_permanent", False)
        return value

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["_permanent"] = bool(value)


def _note_change(session: SecureCookieSession) -> None:
    session.modified = True


class SecureCookieSession(CallbackDict[str, t.Any], SessionMixin):
    """A session that knows whether it was read (`accessed`) and changed (`modified`).

    Only changes of the session itself are noticed. After a change of something inside it, such as
    ``session["cart"].append(...)``, set ``session.modified = True``.

    :param initial: what the cookie held.
    """

    modified = False

    def __init__(self, initial: Mapping[str, t.Any] | None = None) -> None:
        super().__init__(initial, _note_change)


def _noting_access(name: str) -> Callable[..., t.Any]:
    """Return the dict method `name`, which says also that the session was looked at."""
    method = getattr(CallbackDict, name)

    @wraps(method)
    def look(self: SecureCookieSession, *args: t.Any, **kwargs: t.Any) -> t.Any:
        self.accessed = True
        return method(self, *args, **kwargs)

    return look


# NOTE: the request context sets `accessed` too. This is for code that was handed the session and
# never asks a context. Key-only looks count: `"user" in session` is an answer (CVE-2026-27205).
for _name in (
    *("__getitem__", "__contains__", "__iter__", "__reversed__", "__len__", "__eq__", "__ne__"),
    *("__or__", "__ror__", "get", "keys", "items", "values", "copy"),
    *("setdefault", "pop", "popitem"),
):
    setattr(SecureCookieSession, _name, _noting_access(_name))


class NullSession(SecureCookieSession):
    """The session where there can be none: empty to read, and an error that says why to change."""

    def _fail(self, *args: t.Any, **kwargs: t.Any) -> t.NoReturn:
        raise RuntimeError(
            "The session is unavailable because no secret key was set: what is put into it would"
            " be lost. Set app.secret_key to a long random value, such as the output of"
            " `python -c 'import secrets; print(secrets.token_hex())'`."
        )

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = update = setdefault = _fail
    del _fail


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
        fallbacks = app.config["SECRET_KEY_FALLBACKS"] or ()
        facts = (
            (*fallbacks, key),  # itsdangerous signs with the last one
            self.salt,
            self.serializer,
            self.key_derivation,
            self.digest_method,
        )
        try:
            return kept_serializer(*facts)
        except TypeError:  # some serializer or key cannot be hashed, and so not looked up
            return make_serializer(*facts)

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
        return text is None or b"_permanent" in text or b"\\" in text

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

    def _added_headers(self, app: App, session: SessionMixin) -> list[tuple[str, str]] | None:
        """Return the headers that `save_session` adds to a response that has neither of them.

        :returns: None if there is more to it.
        """
        accessed = session.accessed
        try:
            cookie = self._cookie(app, session)
        finally:
            session.accessed = accessed
        if cookie is None:
            return [_VARY] if accessed else []
        name, value, expires, attributes = cookie
        if value is None:
            return None
        limit = app.config["MAX_COOKIE_SIZE"]
        header = one_cookie.written_like_before(name, value, expires, attributes, limit)
        if header is None:
            return None
        added = ("Set-Cookie", header)
        return [_VARY, added] if accessed else [added, _VARY]

    def _cookie(self, app: App, session: SessionMixin) -> _Cookie | None:
        """Return the cookie to set or delete, if the session asks for it."""
        emptied = not session
        if not (session.modified if emptied else self.should_set_cookie(app, session)):
            return None
        name = self.get_cookie_name(app)
        attributes = (
            self.get_cookie_domain(app),
            self.get_cookie_path(app),
            self.get_cookie_secure(app),
            self.get_cookie_httponly(app),
            self.get_cookie_samesite(app),
            self.get_cookie_partitioned(app),
        )
        if emptied:
            return name, None, None, attributes
        signer: t.Any = self.get_signing_serializer(app)
        # PERF: 1 us: the class's own methods, which `dict` would call, note that they were called.
        plain: t.Any = dict.copy if type(session) is SecureCookieSession else dict
        return (
            name,
            signer.dumps(plain(session)),
            self.get_expiration_time(app, session),
            attributes,
        )


#: A cookie's name, its value or None to delete it, when it ends, and the values of `ATTRIBUTES`.
_Cookie = tuple[str, str | None, datetime | None, tuple[t.Any, ...]]

_VARY = ("Vary", "Cookie")

_save_session = SecureCookieSessionInterface.save_session


def added_headers(app: t.Any, session: SessionMixin) -> list[tuple[str, str]] | None:
    """Return the headers that saving a session adds to a response that has none of their kind.

    PERF: a response object for them, and what it takes to send it, cost 10 us.

    :returns: None if it is for the app's session interface to say.
    """
    interface: t.Any = app.session_interface
    if getattr(interface.save_session, "__func__", None) is not _save_session:
        return None
    if interface.is_null_session(session):
        return []
    added: list[tuple[str, str]] | None = interface._added_headers(app, session)
    return added


def _named(attributes: tuple[t.Any, ...]) -> dict[str, t.Any]:
    return dict(zip(one_cookie.ATTRIBUTES, attributes, strict=True))
