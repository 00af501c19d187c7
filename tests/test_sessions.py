"""Sessions: Flask's cookies, both ways, and nothing that a visitor sends is an error."""

from __future__ import annotations

import sys
import typing as t
from collections.abc import Callable
from types import FrameType

import flask
import flask.sessions
import pytest
from itsdangerous import URLSafeTimedSerializer
from werkzeug.datastructures import CallbackDict
from werkzeug.http import parse_cookie

from asyncflask import Flask, Request, Response, session
from asyncflask.json.tag import JSONTag, TaggedJSONSerializer
from asyncflask.sessions import (
    NullSession,
    SecureCookieSession,
    SecureCookieSessionInterface,
    SessionInterface,
    SessionMixin,
    session_json_serializer,
)

from .scopes import scope

KEY = "a secret key"
LOOKS: dict[str, Callable[[t.Any], t.Any]] = {
    "getitem": lambda s: s["a"],
    "contains": lambda s: "a" in s,
    "not contains": lambda s: "b" not in s,
    "iter": lambda s: iter(s),
    "reversed": lambda s: reversed(s),
    "len": lambda s: len(s),
    "bool": lambda s: bool(s),
    "eq": lambda s: s == {},
    "ne": lambda s: s != {},
    "or": lambda s: s | {},
    "ror": lambda s: {} | s,
    "get": lambda s: s.get("b"),
    "keys": lambda s: s.keys(),
    "items": lambda s: s.items(),
    "values": lambda s: s.values(),
    "copy": lambda s: s.copy(),
    "setdefault": lambda s: s.setdefault("a"),
    "pop nothing": lambda s: s.pop("b", None),
    "dict": lambda s: dict(s),
    "list": lambda s: [*s],
    "unpack": lambda s: {**s},
    "permanent": lambda s: s.permanent,
}
CHANGES: dict[str, Callable[[t.Any], t.Any]] = {
    "setitem": lambda s: s.__setitem__("b", 1),
    "delitem": lambda s: s.__delitem__("a"),
    "setdefault": lambda s: s.setdefault("b", 1),
    "pop": lambda s: s.pop("a"),
    "popitem": lambda s: s.popitem(),
    "update": lambda s: s.update(b=1),
    "clear": lambda s: s.clear(),
    "ior": lambda s: s.__ior__({"b": 1}),
    "permanent": lambda s: setattr(s, "permanent", True),
}


def make_app(key: t.Any = KEY, **config: t.Any) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config.update(SECRET_KEY=key, **config)
    return app


def make_flask(key: t.Any = KEY, **config: t.Any) -> flask.Flask:
    app = flask.Flask(__name__, static_folder=None)
    app.config.update(SECRET_KEY=key, **config)
    return app


def write(app: t.Any, data: dict[str, t.Any]) -> str:
    """Return the cookie for `data` as the app's interface signs it."""
    with app.app_context():
        return t.cast("str", app.session_interface.get_signing_serializer(app).dumps(data))


def open_(app: t.Any, cookie: str | None) -> t.Any:
    """Return the session of a request with that cookie."""
    headers = {} if cookie is None else {"Cookie": f"session={cookie}"}
    with app.test_request_context(headers=headers) as ctx:
        return app.session_interface.open_session(app, ctx.request)


def save(app: t.Any, session: t.Any) -> Response:
    with app.test_request_context():
        response = app.response_class()
        app.session_interface.save_session(app, session, response)
        return t.cast("Response", response)


class TestAccess:
    @pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
    def test_every_look_is_noticed(self, look: Callable[[t.Any], t.Any]) -> None:
        opened = SecureCookieSession({"a": 1})
        assert not opened.accessed
        look(opened)
        assert opened.accessed
        assert not opened.modified

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_every_change_is_noticed(self, change: Callable[[t.Any], t.Any]) -> None:
        opened = SecureCookieSession({"a": 1})
        change(opened)
        assert opened.modified

    @pytest.mark.parametrize(
        "operation", [*LOOKS.values(), *CHANGES.values()], ids=[*LOOKS, *CHANGES]
    )
    def test_every_operation_varies_the_response(self, operation: Callable[[t.Any], t.Any]) -> None:
        app = make_app()

        @app.get("/")
        def index() -> str:
            operation(session)
            return "ok"

        client = app.test_client()
        client.set_cookie("session", write(app, {"a": 1}))
        response = client.get("/")
        assert response.status_code == 200
        assert response.headers.getlist("Vary") == ["Cookie"]

    def test_saving_is_no_access(self) -> None:
        app = make_app()
        opened = SecureCookieSession({"a": 1, "_permanent": True})
        response = save(app, opened)
        assert not opened.accessed
        assert response.headers["Vary"] == "Cookie"  # for the cookie that keeps it alive

    def test_a_view_that_does_not_ask_is_cachable(self) -> None:
        app = make_app()
        app.add_url_rule("/", view_func=lambda: "hello")
        client = app.test_client()
        client.set_cookie("session", write(app, {"a": 1}))
        response = client.get("/")
        assert "Vary" not in response.headers
        assert "Set-Cookie" not in response.headers

    def test_a_view_that_does_not_ask_reads_no_cookie(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = make_app()
        app.add_url_rule("/", view_func=lambda: "hello")
        client = app.test_client()
        client.set_cookie("session", write(app, {"a": 1}))
        opened = []
        monkeypatch.setattr(
            SecureCookieSessionInterface, "open_session", lambda *args: opened.append(args)
        )
        assert client.get("/").data == b"hello"
        assert not opened
        client.set_cookie("session", write(app, {"a": 1, "_permanent": True}))
        assert client.get("/").data == b"hello"
        assert opened  # it may have to be refreshed
        del opened[:]
        app.config["SESSION_REFRESH_EACH_REQUEST"] = False
        assert client.get("/").data == b"hello"
        assert not opened

    @pytest.mark.parametrize("key", [None, KEY])
    async def test_a_request_without_a_cookie_costs_nothing(self, key: str | None) -> None:
        """The calls are those of an app that cannot have a session, whatever it is called."""
        counts = []
        for app in (make_app(None), make_app(key)):

            async def index() -> str:
                return "hello"

            app.add_url_rule("/", view_func=index)
            counts.append(await calls_of_a_request(app))
        assert counts[0] == counts[1]
        assert not [name for name in counts[1] if "session" in name]

    def test_nested_changes_need_a_word(self) -> None:
        opened = SecureCookieSession({"list": []})
        opened["list"].append(1)
        assert not opened.modified


class TestSave:
    def test_an_empty_untouched_session_is_nothing(self) -> None:
        headers = save(make_app(), SecureCookieSession()).headers
        assert headers == Response().headers

    def test_an_emptied_session_is_deleted(self) -> None:
        opened = SecureCookieSession({"a": 1})
        opened.clear()
        response = save(make_app(), opened)
        assert response.headers["Set-Cookie"].startswith("session=; Expires=Thu, 01 Jan 1970")
        assert response.headers["Vary"] == "Cookie"

    @pytest.mark.parametrize("refresh", [True, False])
    def test_a_permanent_session_is_refreshed(self, refresh: bool) -> None:
        app = make_app(SESSION_REFRESH_EACH_REQUEST=refresh)
        app.add_url_rule("/", view_func=lambda: "")
        client = app.test_client()
        client.set_cookie("session", write(app, {"a": 1, "_permanent": True}))
        response = client.get("/")
        assert ("Set-Cookie" in response.headers) is refresh
        assert (response.headers.get("Vary") == "Cookie") is refresh

    def test_the_cookie_of_a_view(self) -> None:
        app = make_app()

        @app.get("/set")
        async def set_() -> str:
            session["user"] = "ada"
            return "set"

        @app.get("/get")
        def get() -> str:
            return t.cast("str", session["user"])

        client = app.test_client()
        client.get("/set")
        assert client.get("/get").data == b"ada"
        cookie = client.get_cookie("session")
        assert cookie is not None
        assert open_(make_flask(), cookie.value) == {"user": "ada"}

    def test_browser_sessions_do_not_expire_by_date(self) -> None:
        opened = SecureCookieSession()
        opened["a"] = 1
        assert "Expires" not in save(make_app(), opened).headers["Set-Cookie"]


class TestNullSession:
    def test_opens_where_there_is_no_key(self) -> None:
        app = make_app(None)
        assert open_(app, None) is None
        with app.test_request_context():
            assert isinstance(session._get_current_object(), NullSession)  # type: ignore[attr-defined]

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_cannot_be_changed(self, change: Callable[[t.Any], t.Any]) -> None:
        with pytest.raises(RuntimeError, match=r"session is unavailable because no secret key"):
            change(NullSession())

    def test_can_be_read(self) -> None:
        null = NullSession()
        assert null.get("a") is None
        assert "a" not in null
        assert not null.permanent

    def test_is_recognised(self) -> None:
        interface = SessionInterface()
        assert interface.is_null_session(interface.make_null_session(make_app()))
        assert not interface.is_null_session(SecureCookieSession())


class TestSigningSerializer:
    def test_is_kept(self) -> None:
        app, interface = make_app(), SecureCookieSessionInterface()
        serializer = interface.get_signing_serializer(app)
        assert isinstance(serializer, URLSafeTimedSerializer)
        assert interface.get_signing_serializer(app) is serializer
        assert interface.get_signing_serializer(make_app("other")) is not serializer
        interface.salt = "other"
        assert interface.get_signing_serializer(app) is not serializer

    def test_overridden_is_honoured(self) -> None:
        class Own(SecureCookieSessionInterface):
            def get_signing_serializer(self, app: t.Any) -> URLSafeTimedSerializer:
                return URLSafeTimedSerializer("own key", salt="own")

        app = make_app()
        app.session_interface = Own()
        opened = open_(app, None)
        opened["a"] = [1]
        header = save(app, opened).headers["Set-Cookie"]
        value = parse_cookie(header)["session"]
        assert URLSafeTimedSerializer("own key", salt="own").loads(value) == {"a": [1]}
        assert open_(app, value) == {"a": [1]}

    def test_a_serializer_that_cannot_be_looked_up(self) -> None:
        class Unhashable(TaggedJSONSerializer):
            __slots__ = ()
            __hash__ = None  # type: ignore[assignment]

        app, interface = make_app(), SecureCookieSessionInterface()
        interface.serializer = Unhashable()
        app.session_interface = interface
        assert open_(make_flask(), write(app, {"a": (1,)})) == {"a": (1,)}

    def test_tags_registered_later_are_used(self) -> None:
        class Pair(tuple[int, int]):
            __slots__ = ()

        class TagPair(JSONTag):
            __slots__ = ()
            key = " p"

            def check(self, value: t.Any) -> bool:
                return isinstance(value, Pair)

            def to_json(self, value: t.Any) -> t.Any:
                return [*value]

            def to_python(self, value: t.Any) -> t.Any:
                return Pair(value)

        app, interface = make_app(), SecureCookieSessionInterface()
        interface.serializer = TaggedJSONSerializer()
        app.session_interface = interface
        assert type(open_(app, write(app, {"p": Pair((1, 2))}))["p"]) is tuple
        interface.serializer.register(TagPair, index=0)
        assert type(open_(app, write(app, {"p": Pair((1, 2))}))["p"]) is Pair

    def test_the_default_serializer_is_shared(self) -> None:
        assert SecureCookieSessionInterface.serializer is session_json_serializer


class TestOwnInterface:
    def test_a_store_on_the_server(self) -> None:
        store: dict[str, dict[str, t.Any]] = {}

        class StoredSession(CallbackDict[str, t.Any], SessionMixin):
            sid = ""

        class Stored(SessionInterface):
            def open_session(self, app: t.Any, request: Request) -> StoredSession:
                opened = StoredSession(store.get(sid := request.cookies.get("sid", "new")))
                opened.sid = sid
                return opened

            def save_session(self, app: t.Any, session: t.Any, response: Response) -> None:
                store[session.sid] = dict(session)
                response.set_cookie("sid", session.sid)

        app = make_app(None)
        app.session_interface = Stored()

        @app.get("/")
        def index() -> str:
            session["n"] = session.get("n", 0) + 1
            return str(session["n"])

        client = app.test_client()
        assert [client.get("/").data for _ in range(3)] == [b"1", b"2", b"3"]
        assert store == {"new": {"n": 3}}

    def test_the_base_class_does_neither(self) -> None:
        interface = SessionInterface()
        with pytest.raises(NotImplementedError):
            interface.open_session(t.cast("t.Any", None), t.cast("t.Any", None))
        with pytest.raises(NotImplementedError):
            interface.save_session(*t.cast("t.Any", (None, None, None)))

    def test_the_mixins_defaults(self) -> None:
        class Simple(dict[str, t.Any], SessionMixin):
            pass

        simple = Simple()
        assert (simple.new, simple.modified, simple.accessed, simple.permanent) == (
            False,
            True,
            False,
            False,
        )
        simple.permanent = t.cast("bool", 1)
        assert simple == {"_permanent": True}


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("get_cookie_name", "SESSION_COOKIE_NAME", "n"),
        ("get_cookie_domain", "SESSION_COOKIE_DOMAIN", "d"),
        ("get_cookie_path", "SESSION_COOKIE_PATH", "/p"),
        ("get_cookie_path", "APPLICATION_ROOT", "/root"),
        ("get_cookie_httponly", "SESSION_COOKIE_HTTPONLY", False),
        ("get_cookie_secure", "SESSION_COOKIE_SECURE", True),
        ("get_cookie_samesite", "SESSION_COOKIE_SAMESITE", "Lax"),
        ("get_cookie_partitioned", "SESSION_COOKIE_PARTITIONED", True),
    ],
)
def test_cookie_attributes_come_from_the_config(method: str, name: str, value: t.Any) -> None:
    app = make_app(**{name: value})
    assert getattr(SessionInterface(), method)(app) == value


async def calls_of_a_request(app: Flask) -> list[str]:
    """Return the functions that are called for a request that sends no cookie."""
    calls: list[str] = []

    def note(frame: FrameType, event: str, arg: object) -> None:
        if event == "call":
            calls.append(frame.f_code.co_name)

    async def receive() -> dict[str, t.Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, t.Any]) -> None:
        sent.append(message)

    for _ in range(3):  # the first ones make what the others find
        sent: list[dict[str, t.Any]] = []
        calls.clear()
        sys.setprofile(note)
        try:
            await app(scope("/"), receive, send)
        finally:
            sys.setprofile(None)
        assert sent[1]["body"] == b"hello"
    return calls
