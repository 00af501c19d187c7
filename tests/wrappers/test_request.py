"""What a handler of either kind asks of its connection."""

from __future__ import annotations

import threading
import typing as t

import anyio
import anyio.lowlevel
import pytest
from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadRequest, SecurityError
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import create_environ

from asyncflask import Flask, request, stream_with_context
from asyncflask.bodies import Body
from asyncflask.wrappers import Request

from ..played import Played, part
from ..scopes import scope

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)

HINT = "http.response.early_hint"
LINK = "</style.css>; rel=preload; as=style"


def make_app(bridged: bool) -> Flask:
    app = Flask("connection")
    if bridged:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]

    @app.route("/async", methods=["GET", "POST"])
    async def view() -> list[bool]:
        found = [await request.is_disconnected()]
        await anyio.sleep(0.01)
        return [*found, await request.is_disconnected()]

    @app.route("/sync", methods=["GET", "POST"])
    def sync_view() -> list[bool]:
        found = [request.is_disconnected()]
        app.async_to_sync(anyio.sleep)(0.01)
        return [*found, request.is_disconnected()]

    @app.get("/hints/async")
    async def hints() -> list[bool]:
        return [await request.send_early_hints([LINK, "</x.js>; rel=preload"])]

    @app.get("/hints/sync")
    def sync_hints() -> list[bool]:
        return [request.send_early_hints([LINK, "</x.js>; rel=preload"])]

    return app


@pytest.fixture(params=[False, True], ids=["direct", "bridged"])
def app(request: pytest.FixtureRequest) -> Flask:
    return make_app(request.param)


@pytest.mark.parametrize("path", ["/async", "/sync"])
async def test_a_client_that_is_there(app: Flask, path: str) -> None:
    played = await Played(part(b"")).play(app, path)
    assert played.body.split() == b"[false,false]".split()
    await app._budgets.close()


@pytest.mark.parametrize("path", ["/async", "/sync"])
async def test_a_client_that_has_left(app: Flask, path: str) -> None:
    played = Played(part(b""))
    played.gone.set()
    await played.play(app, path)
    assert played.body.strip() == b"[true,true]"
    await app._budgets.close()


@pytest.mark.parametrize("path", ["/async", "/sync"])
async def test_a_client_that_leaves_meanwhile(app: Flask, path: str) -> None:
    played = Played(part(b""))
    async with anyio.create_task_group() as group:
        group.start_soon(played.play, app, path)
        await played.asked.wait()
        await anyio.sleep(0.001)
        played.gone.set()
    assert played.body.strip() == b"[false,true]"
    await app._budgets.close()


async def test_the_body_stays_for_who_reads_it(app: Flask) -> None:
    @app.post("/read")
    def read() -> list[t.Any]:
        return [request.is_disconnected(), request.get_data(as_text=True)]

    played = Played(part(b"a", more=True), part(b"b"))
    await played.play(app, "/read", "POST", [(b"transfer-encoding", b"chunked")])
    assert played.body.split() == b'[false,"ab"]'.split()
    await app._budgets.close()


@pytest.mark.parametrize("path", ["/hints/async", "/hints/sync"])
async def test_hints_go_ahead_of_the_response(app: Flask, path: str) -> None:
    played = await Played(part(b"")).play(app, path, extensions=[HINT])
    assert played.kinds == ["early_hint", "start", "body"]
    assert played.sent[0]["links"] == [LINK.encode(), b"</x.js>; rel=preload"]
    assert played.body.strip() == b"[true]"
    await app._budgets.close()


@pytest.mark.parametrize("path", ["/hints/async", "/hints/sync"])
async def test_hints_are_dropped_where_they_are_not_offered(app: Flask, path: str) -> None:
    played = await Played(part(b"")).play(app, path)
    assert played.kinds == ["start", "body"]
    assert played.body.strip() == b"[false]"
    await app._budgets.close()


async def test_no_hint_follows_the_response_s_start() -> None:
    app = make_app(bridged=False)

    @app.get("/late")
    async def late() -> t.Any:
        @stream_with_context
        async def body() -> t.AsyncIterator[str]:
            yield ""
            yield str(await request.send_early_hints([LINK]))

        return body()

    played = await Played(part(b"")).play(app, "/late", extensions=[HINT])
    assert "early_hint" not in played.kinds
    assert played.body == b"False"
    await app._budgets.close()


@pytest.mark.parametrize("link", [LINK + "\r\nX-Evil: 1", "\n", "<a>\x00"])
async def test_a_hint_is_one_header(app: Flask, link: str) -> None:
    @app.get("/evil")
    async def evil() -> str:
        with pytest.raises(ValueError, match="cannot be sent"):
            await request.send_early_hints([link])
        return "refused"

    played = await Played(part(b"")).play(app, "/evil", extensions=[HINT])
    assert (played.kinds, played.body) == (["start", "body"], b"refused")
    await app._budgets.close()


def test_under_wsgi_nothing_is_known_and_nothing_sent() -> None:
    client = make_app(bridged=False).test_client()
    for path in ("/async", "/sync", "/hints/async", "/hints/sync"):
        assert {*t.cast("list[bool]", client.get(path).json)} == {False}, path
    for path in ("/async", "/sync"):
        assert {*t.cast("list[bool]", client.post(path, data=b"x").json)} == {False}, path


async def test_under_wsgi_in_a_test_that_is_async() -> None:
    app = make_app(bridged=False)

    @app.get("/once")
    def once() -> list[bool]:
        return [request.is_disconnected()]

    for path in ("/once", "/hints/sync", "/hints/async"):
        assert app.test_client().get(path).json == [False], path


async def test_in_a_thread_of_one_s_own_it_says_so() -> None:
    app = Flask("connection")
    errors: list[str] = []

    @app.get("/")
    async def view() -> str:
        asked: t.Any = request._get_current_object()  # type: ignore[attr-defined]

        def work() -> None:
            with pytest.raises(RuntimeError) as caught:
                asked.is_disconnected()
            errors.append(str(caught.value))

        thread = threading.Thread(target=work)
        thread.start()
        await anyio.to_thread.run_sync(thread.join)
        return ""

    await Played(part(b"")).play(app)
    assert "a thread that is not its own" in errors[0]


def test_a_request_made_by_hand_offers_nothing() -> None:
    assert Request(create_environ()).offers(HINT) is False
    assert Request(create_environ()).is_disconnected() is False


async def test_a_server_without_extensions_offers_nothing(app: Flask) -> None:
    played = Played(part(b""))
    await app({**scope("/hints/async"), "extensions": None}, played.receive, played.send)
    assert played.body.strip() == b"[false]"
    await app._budgets.close()


def made(host: bytes, **more: t.Any) -> Request:
    """Return a request for a host, of which nothing has been looked at."""
    asked = scope(**more)
    asked["headers"] = [(b"host", host), (b"x-other", b"1")]
    return Request.from_scope(asked, t.cast("Body", None))


@pytest.mark.parametrize("scheme", ["http", "https", "ws", "wss"])
@pytest.mark.parametrize(
    "host",
    [
        *(b"a.example", b"A.Example:80", b"a.example:443", b"[::1]:8000", b"", b"a b", b"\xe4"),
        *(b"a:0", b"a." * 200 + b"example"),
    ],
)
def test_the_host_is_the_one_that_werkzeug_finds(host: bytes, scheme: str) -> None:
    asked, known = made(host, scheme=scheme), made(host, scheme=scheme)
    assert known.headers["Host"] == host.decode("latin-1")  # with them werkzeug's own way is taken
    assert asked.host == known.host
    assert "headers" not in vars(asked)


def test_the_host_comes_from_headers_that_somebody_has_put_there() -> None:
    asked = made(b"a.example")
    asked.headers = Headers({"Host": "b.example"})
    assert asked.host == "b.example"


def test_the_host_is_the_server_s_where_none_was_sent() -> None:
    asked = made(b"a.example", server=("::1", 8000))
    assert asked.scope is not None
    asked.scope["headers"] = []
    assert asked.host == "[::1]:8000"


def test_a_host_that_is_not_trusted_is_refused() -> None:
    asked = made(b"a.example")
    asked.trusted_hosts = ["b.example"]
    with pytest.raises(SecurityError):
        _ = asked.host


def test_two_hosts_are_refused() -> None:
    asked = made(b"a.example")
    assert asked.scope is not None
    asked.scope["headers"].append((b"host", b"b.example"))
    with pytest.raises(BadRequest, match="2 Host headers"):
        _ = asked.host
