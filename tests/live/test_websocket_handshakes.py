"""Handshakes: who is let in, who is not, and what either is told."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus

from asyncflask import (
    Blueprint,
    Flask,
    Response,
    abort,
    g,
    jsonify,
    request,
    session,
    url_for,
    websocket,
)

from .server import PATIENCE, LiveServer, serving
from .sockets import OLD, UPGRADE, Heard, RawSocket, Stack, open_socket
from .wire import Answer, Connection
from .wire import request as raw_request

pytestmark = pytest.mark.filterwarnings(OLD)


class Banned(Exception):
    """Raised for who must not come in."""


def make_app(heard: Heard) -> Flask:
    app = Flask(__name__)
    app.secret_key = "a key that only this test has"
    add_hooks(app, heard)
    add_handlers(app)
    add_denials(app)
    add_views(app)
    app.register_blueprint(make_rooms())
    return app


def add_hooks(app: Flask, heard: Heard) -> None:
    @app.before_websocket
    async def guard() -> t.Any:
        g.before = ["app"]
        how = request.args.get("before")
        if how == "deny":
            return "not today", 403, {"X-Why": "a hook"}
        if how == "abort":
            abort(401)
        if how == "raise":
            raise Banned
        return None

    @app.after_websocket
    async def stamp(response: Response | None) -> Response | None:
        if response is not None:
            response.headers["X-Stamp"] = "after"
        return response

    @app.teardown_websocket
    async def note(error: BaseException | None) -> None:
        heard.put(type(error))

    @app.errorhandler(Banned)
    async def banned(error: Banned) -> t.Any:
        return {"banned": True}, 451


def add_handlers(app: Flask) -> None:
    @app.websocket("/chat")
    async def chat() -> None:
        offered = websocket.requested_subprotocols
        chosen = "v2.chat" if "v2.chat" in offered else None
        await websocket.accept([("X-Offered", ",".join(offered))], subprotocol=chosen)
        await websocket.send(str(websocket.subprotocol))

    @app.websocket("/headers")
    async def headers() -> None:
        await websocket.accept(
            [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Path=/"), ("X-Own", "yes")]
        )

    @app.websocket("/plain")
    async def plain() -> None:
        await websocket.send("let in")

    @app.websocket("/who")
    async def who() -> None:
        session["seen"] = True  # nothing can be stored: the handshake's answer is under way
        await websocket.send_json(
            name=session.get("name"),
            cookie=request.cookies.get("flavour"),
            args=request.args.to_dict(),
            header=websocket.headers["X-Custom"],
            path=request.path,
            same=websocket.request == request,
        )

    @app.websocket("/item/<int:number>/<path:rest>")
    async def item(number: int, rest: str) -> None:
        await websocket.send_json([number, rest])

    @app.websocket("/links")
    async def links() -> None:
        await websocket.send_json(
            [
                url_for("item", number=1, rest="a/b"),
                url_for("rooms.room", name="x", _external=True),
                url_for("page", _external=True),
            ]
        )

    @app.websocket("/both")
    async def both_socket() -> None:
        await websocket.send("socket")

    @app.get("/both")
    async def both_page() -> str:
        return "page"


def add_denials(app: Flask) -> None:
    @app.websocket("/rejects")
    async def rejects() -> None:
        await websocket.reject(429, {"Retry-After": "5", "X-Own": "yes"}, b"slow down")

    @app.websocket("/sync/rejects")
    def rejects_in_thread() -> None:
        here: t.Any = websocket
        here.reject(429, {"Retry-After": "5", "X-Own": "yes"}, "slow down")

    @app.websocket("/returns")
    async def returns() -> t.Any:
        return {"full": True}, 409, {"X-Own": "yes"}

    @app.websocket("/aborts")
    async def aborts() -> None:
        abort(410, "long gone")

    @app.websocket("/closes")
    async def closes() -> None:
        await websocket.close(4000, "never seen")

    @app.websocket("/nothing")
    async def nothing() -> None:
        pass

    @app.websocket("/streams")
    async def streams() -> Response:
        return Response(iter(["one ", "two ", "three"]), 403)

    @app.websocket("/raises")
    async def raises() -> None:
        raise KeyError("secret")


def add_views(app: Flask) -> None:
    @app.get("/page")
    async def page() -> str:
        return url_for("plain", _external=True)

    @app.get("/login/<name>")
    async def login(name: str) -> str:
        session["name"] = name
        return ""

    @app.errorhandler(404)
    async def missing(error: Exception) -> t.Any:
        return jsonify(missing=request.path), 404


def make_rooms() -> Blueprint:
    rooms = Blueprint("rooms", __name__, url_prefix="/rooms")

    @rooms.before_websocket
    async def before() -> None:
        g.before.append("rooms")

    @rooms.websocket("/<name>")
    async def room(name: str) -> None:
        await websocket.send_json(room=name, before=g.before, endpoint=request.endpoint)

    return rooms


@pytest.fixture(scope="module")
def server(socket_stack: Stack, heard: Heard) -> Iterator[LiveServer]:
    with serving(make_app(heard), **socket_stack._asdict()) as server:
        yield server


@pytest.fixture(autouse=True)
def at_rest(server: LiveServer, heard: Heard) -> Iterator[None]:
    heard.forget()
    yield
    server.rest()


def refused(server: LiveServer, path: str, **options: t.Any) -> t.Any:
    """Return the response to a handshake that is refused."""
    with pytest.raises(InvalidStatus) as found:
        open_socket(server, path, **options)
    return found.value.response


def answered(server: LiveServer, path: str, *headers: str, host: str = "here") -> Answer:
    """Return the response to a handshake, of which nothing but its headers is known."""
    with Connection(server.address) as connection:
        connection.send(raw_request("GET", path, *UPGRADE, *headers, host=host))
        return connection.answer()


def is_let_in(server: LiveServer, *headers: str, host: str = "here") -> bool:
    """Whether a handshake with these headers is answered with a websocket."""
    with Connection(server.address) as connection:
        connection.send(raw_request("GET", "/plain", *UPGRADE, *headers, host=host))
        status = connection.receive(12)
        assert status in (b"HTTP/1.1 101", b"HTTP/1.1 403", b"HTTP/1.1 400"), status
        return status == b"HTTP/1.1 101"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["v1.chat", "v2.chat"], "v2.chat"),
        (["v2.chat"], "v2.chat"),
        (["v1.chat"], None),
        ([], None),
    ],
)
def test_subprotocols(server: LiveServer, offered: t.Any, chosen: str | None) -> None:
    with open_socket(server, "/chat", subprotocols=offered or None) as socket:
        assert socket.subprotocol == chosen
        assert socket.response is not None
        assert socket.response.headers["X-Offered"] == ",".join(offered)
        assert socket.recv(PATIENCE) == str(chosen)


def test_headers_of_an_acceptance(server: LiveServer) -> None:
    with open_socket(server, "/headers") as socket:
        assert socket.response is not None
        headers = socket.response.headers
        assert headers.get_all("Set-Cookie") == ["a=1; Path=/", "b=2; Path=/"]
        assert headers["X-Own"] == "yes"


@pytest.mark.parametrize("path", ["/rejects", "/sync/rejects"])
def test_reject(server: LiveServer, heard: Heard, path: str) -> None:
    response = refused(server, path)
    assert response.status_code == 429
    assert response.headers["Retry-After"] == "5"
    assert response.headers["X-Own"] == "yes"
    assert response.body == b"slow down"
    assert heard.next() is type(None)


def test_what_a_handler_returns_denies(server: LiveServer, heard: Heard) -> None:
    response = refused(server, "/returns")
    assert response.status_code == 409
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Own"] == "yes"
    assert response.headers["X-Stamp"] == "after"
    assert response.body == b'{"full":true}\n'
    assert heard.next() is type(None)


def test_a_streamed_response_denies(server: LiveServer, heard: Heard) -> None:
    response = refused(server, "/streams")
    assert (response.status_code, response.body) == (403, b"one two three")
    assert heard.next() is type(None)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/plain?before=deny", 403, b"not today"),
        ("/plain?before=abort", 401, b"Unauthorized"),
        ("/plain?before=raise", 451, b'{"banned":true}'),
        ("/aborts", 410, b"long gone"),
        ("/closes", 403, b""),
        ("/nothing", 403, b""),
        ("/nowhere", 404, b'{"missing":"/nowhere"}'),
        ("/item/none/x", 404, b'{"missing":"/item/none/x"}'),
    ],
)
def test_denials(server: LiveServer, heard: Heard, path: str, status: int, body: bytes) -> None:
    response = refused(server, path)
    assert response.status_code == status
    assert body in response.body
    assert heard.next() is type(None)


def test_a_failure_before_the_acceptance(
    server: LiveServer, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    response = refused(server, "/raises")
    assert response.status_code == 500
    assert b"secret" not in response.body
    assert heard.next() is KeyError
    server.rest()
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_what_a_handler_knows(server: LiveServer) -> None:
    cookie = server.get("/login/ada").header("Set-Cookie")
    assert cookie is not None
    headers = {"Cookie": f"{cookie.partition(';')[0]}; flavour=oat", "X-Custom": "own"}
    with open_socket(server, "/who?a=1&b=%C3%A9", additional_headers=headers) as socket:
        assert '"name":"ada"' in (told := str(socket.recv(PATIENCE))).replace(" ", "")
        for piece in ('"cookie":"oat"', '"a":"1"', '"path":"/who"', '"same":true', '"own"'):
            assert piece in told.replace(" ", "")


def test_converters(server: LiveServer) -> None:
    with open_socket(server, "/item/42/a/b%20c") as socket:
        assert str(socket.recv(PATIENCE)).replace(" ", "") == '[42,"a/bc"]'


def test_blueprints(server: LiveServer) -> None:
    with open_socket(server, "/rooms/den") as socket:
        told = str(socket.recv(PATIENCE)).replace(" ", "")
        assert told == '{"before":["app","rooms"],"endpoint":"rooms.room","room":"den"}'


def test_urls(server: LiveServer) -> None:
    host, port = server.address
    assert server.get("/page", host=f"{host}:{port}").text == f"ws://{host}:{port}/plain"
    with open_socket(server, "/links") as socket:
        told = str(socket.recv(PATIENCE)).replace(" ", "")
    assert f'"ws://{host}:{port}/rooms/x"' in told
    assert f'"http://{host}:{port}/page"' in told
    assert "/item/1/a/b" in told


def test_one_rule_for_both(server: LiveServer) -> None:
    with open_socket(server, "/both") as socket:
        assert socket.recv(PATIENCE) == "socket"
    assert server.get("/both").text == "page"


def test_a_request_for_a_websocket(server: LiveServer) -> None:
    """What asks for no upgrade, or in vain, gets an answer of HTTP."""
    for headers in ((), UPGRADE[:1], UPGRADE[2:]):
        answer = server.get("/plain", *headers)
        assert 400 <= answer.status < 500
    assert 400 <= server.get("/plain", *UPGRADE[:2]).status < 500


def test_a_websocket_for_a_page(server: LiveServer, heard: Heard) -> None:
    assert 400 <= refused(server, "/page").status_code < 500


def test_a_length_is_not_believed(server: LiveServer) -> None:
    """A handshake has no body; nothing waits for one."""
    with RawSocket(server, "/plain", "Content-Length: 0").opened() as socket:
        assert socket.frame() == (1, b"let in")


def test_two_hosts(server: LiveServer) -> None:
    assert not is_let_in(server, "Host: there")


ORIGINS = [
    # origin, host, and whether one may connect to the other
    ("http://here", "here", True),
    ("http://HERE", "here", True),
    ("http://here", "here:80", True),
    ("http://here:80", "here", True),
    ("http://here:5000", "here:5000", True),
    ("https://here", "here", True),
    ("https://here:443", "here", True),
    ("https://here", "here:443", True),
    ("http://[::1]:5000", "[::1]:5000", True),
    ("http://here:5000", "here", False),
    ("http://here", "here:5000", False),
    ("http://there", "here", False),
    ("http://sub.here", "here", False),
    ("http://here.evil.example", "here", False),
    ("http://evilhere", "here", False),
    ("http://here@evil.example", "here", False),
    ("http://evil.example#here", "here", False),
    ("http://evil.example/here", "here", False),
    ("here", "here", False),
    ("//here", "here", False),
    ("file://here", "here", False),
    ("null", "here", False),
    ("null", "null", False),
    ("", "here", False),
    ("http://here:x", "here", False),
    ("http://here http://evil.example", "here", False),
    ("http://", "here", False),
]


@pytest.mark.parametrize(("origin", "host", "allowed"), ORIGINS)
def test_origins(server: LiveServer, heard: Heard, origin: str, host: str, allowed: bool) -> None:
    assert is_let_in(server, f"Origin: {origin}", host=host) is allowed
    if not allowed:
        answer = answered(server, "/plain", f"Origin: {origin}", host=host)
        assert answer.status == 403
        assert "WEBSOCKET_ALLOWED_ORIGINS" in answer.text
        server.rest()
        assert heard.empty()  # nothing has begun


def test_two_origins(server: LiveServer) -> None:
    assert not is_let_in(server, "Origin: http://here", "Origin: http://evil.example")
    assert not is_let_in(server, "Origin: http://evil.example", "Origin: http://here")


def test_clients_that_are_no_browsers_send_no_origin(server: LiveServer) -> None:
    assert is_let_in(server)


@pytest.mark.parametrize(
    ("setting", "origin", "allowed"),
    [
        (["https://partner.example"], "https://partner.example", True),
        (["https://partner.example"], "https://PARTNER.example", True),
        (["https://partner.example/"], "https://partner.example", True),
        (["https://partner.example"], "http://partner.example", False),
        (["https://partner.example"], "https://partner.example:444", False),
        (["https://partner.example"], "https://x.partner.example", False),
        (["https://partner.example"], "http://here", False),
        (["https://partner.example"], "null", False),
        (["null"], "null", True),
        (["*"], "https://anybody.example", True),
        (["*"], "null", True),
        ([], "http://here", False),
    ],
)
def test_allowed_origins(
    server: LiveServer,
    monkeypatch: pytest.MonkeyPatch,
    setting: list[str],
    origin: str,
    allowed: bool,
) -> None:
    monkeypatch.setitem(server.app.config, "WEBSOCKET_ALLOWED_ORIGINS", setting)
    assert is_let_in(server, f"Origin: {origin}") is allowed


def test_trusted_hosts(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(server.app.config, "TRUSTED_HOSTS", ["good.example"])
    assert is_let_in(server, host="good.example")
    assert not is_let_in(server, host="evil.example")
    assert answered(server, "/plain", host="evil.example").status == 400


def test_nothing_is_logged_as_an_error(
    server: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A denial is an answer."""
    paths = ("/rejects", "/sync/rejects", "/returns", "/nowhere", "/closes", "/plain?before=deny")
    for path in paths:
        refused(server, path)
    answered(server, "/plain", "Origin: http://evil.example")
    server.rest()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
