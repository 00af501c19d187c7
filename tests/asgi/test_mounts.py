"""Mounted apps: which requests are theirs, what they are told, and what is no app."""

from __future__ import annotations

import logging
import re
import types
import typing as t
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import anyio
import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route, Router
from starlette.types import Message, Receive, Scope, Send
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import create_environ, run_wsgi_app
from werkzeug.wrappers import Request as WSGIRequest
from werkzeug.wrappers import Response as WSGIResponse

from asyncflask import Blueprint, Flask, g, request, url_for
from asyncflask.testing import AsyncClient

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


async def plain_asgi(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what the app was told of its place."""
    raw_path = scope["raw_path"].decode()
    await PlainTextResponse(f"{scope['root_path']}|{scope['path']}|{raw_path}")(
        scope, receive, send
    )


def plain_wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with what the app was told of its place."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode("latin-1")]


def scope_for(path: str, **more: t.Any) -> dict[str, t.Any]:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": b"as received",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"here")],
        "server": ("here", 80),
        "client": ("127.0.0.1", 1),
    }
    return scope | more


def over_asgi(app: t.Any, path: str, **more: t.Any) -> tuple[int, str]:
    """Ask an app as an ASGI server does: with a decoded path."""
    sent: list[Message] = []

    async def receive() -> Message:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    async def ask() -> None:
        async with AsyncClient(app):  # for the lifespan
            await app(scope_for(path, **more), receive, send)

    anyio.run(ask)
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], body.decode()


def over_wsgi(app: t.Any, path: str, root_path: str = "") -> tuple[int, str]:
    """Ask an app as a WSGI server does: with the decoded path's bytes as characters."""
    environ = create_environ(base_url="http://here/")
    environ["SCRIPT_NAME"] = root_path.encode().decode("latin-1")
    path_below = path.removeprefix(root_path)
    environ["PATH_INFO"] = path_below.encode().decode("latin-1")
    chunks, status, _ = run_wsgi_app(app, environ, buffered=True)
    return int(status.split()[0]), b"".join(chunks).decode()


both_ways = pytest.mark.parametrize("ask", [over_asgi, over_wsgi])
Ask = Callable[..., tuple[int, str]]


def place() -> dict[str, str]:
    return {"root": request.script_root, "path": request.path, "url": url_for("place")}


def own(name: str = "own") -> Flask:
    app = Flask(name, static_folder=None)
    app.add_url_rule("/", "place", place)
    app.add_url_rule("/<path:rest>", "rest", lambda rest: place())
    return app


@pytest.fixture
def app() -> Flask:
    app = Flask("outer", static_folder=None)
    app.add_url_rule("/", "index", lambda: "index")
    app.add_url_rule("/<path:rest>", "rest", lambda rest: f"own {rest}")
    return app


# Which requests are a mounted app's


@both_ways
@pytest.mark.parametrize("kind", [plain_asgi, plain_wsgi])
@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("/legacy", ""),
        ("/legacy/", "/"),
        ("/legacy/x", "/x"),
        ("/legacy/x/", "/x/"),
        ("/legacy//x", "//x"),
        ("/legacy/../x", "/../x"),
        ("/legacy/legacy", "/legacy"),
        ("/legacy/été", "/été"),
    ],
)
def test_what_is_below_the_prefix(app: Flask, ask: Ask, kind: t.Any, path: str, below: str) -> None:
    app.mount("/legacy", kind)
    told = f"/legacy|{path}|as received" if kind is plain_asgi else f"/legacy|{below}"
    if ask is over_wsgi and kind is plain_asgi:
        told = f"/legacy|{path}|" + path.encode().decode("latin-1")
        status, text = ask(app, path)
        assert (status, text.split("|")[:2]) == (200, told.split("|")[:2])
    else:
        assert ask(app, path) == (200, told)


@both_ways
@pytest.mark.parametrize(
    "path", ["/legacy2", "/LEGACY", "/Legacy/x", "/leg", "/x/legacy", "/legacy\u0301", "/ legacy"]
)
def test_what_is_not(app: Flask, ask: Ask, path: str) -> None:
    app.mount("/legacy", plain_wsgi)
    assert ask(app, path) == (200, f"own {path[1:]}")


@both_ways
@pytest.mark.parametrize("path", ["//legacy", "//legacy/x", "/x//legacy"])
def test_doubled_slashes_lead_to_the_app_s_own_routes(ask: Ask, path: str) -> None:
    app = Flask("outer", static_folder=None)
    app.mount("/legacy", plain_wsgi)
    assert ask(app, path)[0] == 404


@both_ways
def test_the_longest_prefix_wins_whatever_the_order(app: Flask, ask: Ask) -> None:
    for prefix in ("/a", "/a/b/c", "/a/b"):
        app.mount(prefix, plain_wsgi)
    paths = ["/a", "/a/bc", "/a/b", "/a/b/cd", "/a/b/c", "/a/b/c/d"]
    found = [ask(app, path)[1].split("|")[0] for path in paths]
    assert found == ["/a", "/a", "/a/b", "/a/b", "/a/b/c", "/a/b/c"]


@both_ways
@pytest.mark.parametrize(
    "prefix", ["/déjà vu", "/déjà%20vu", "/d%C3%A9j%c3%a0%20vu", "/d%C3%A9j%C3%A0 vu/"]
)
def test_escaped_and_other_characters_in_the_prefix(app: Flask, ask: Ask, prefix: str) -> None:
    app.mount(prefix, own())
    status, text = ask(app, "/déjà vu/x")
    assert status == 200
    assert '"root":"/d\\u00e9j\\u00e0 vu"' in text
    assert '"path":"/x"' in text


def test_an_escaped_slash_is_a_slash(app: Flask) -> None:
    app.mount("/legacy", plain_wsgi)
    client = app.test_client()
    assert client.get("/legacy%2Fx").text == "/legacy|/x"
    assert client.get("/legacy%252Fx").text == "own legacy%2Fx"


@both_ways
def test_mounts_come_before_routes_and_hooks(app: Flask, ask: Ask) -> None:
    @app.before_request
    def refuse() -> tuple[str, int]:
        return "refused", 403

    app.mount("/legacy", plain_wsgi)
    assert ask(app, "/legacy/x")[0] == 200
    assert ask(app, "/other") == (403, "refused")


def test_asterisk_is_nobody_s(app: Flask) -> None:
    app.mount("/legacy", plain_asgi)
    assert over_asgi(app, "*", method="OPTIONS") == (200, "")


# What mounted apps are told


@both_ways
@pytest.mark.parametrize("below", ["/", "/x"])
def test_urls_in_apps_of_our_own_in_one_another(ask: Ask, below: str) -> None:
    outer, middle, inner = own("outer"), own("middle"), own("inner")
    outer.mount("/a", middle)
    middle.mount("/b", inner)
    status, text = ask(outer, "/srv/a/b" + below, root_path="/srv")
    assert (status, text) == (
        200,
        f'{{"path":"{below}","root":"/srv/a/b","url":"/srv/a/b/"}}\n',
    )
    # The prefix itself is the app's too; a rule for "/" adds the slash, as any rule that has one.
    assert ask(outer, "/srv/a/b", root_path="/srv")[0] == 308


@pytest.mark.parametrize("path", ["/srv/legacy/x", "/legacy/x"])
@pytest.mark.parametrize("root_path", ["/srv", "/srv/"])
def test_root_path_of_the_server_or_of_middleware_that_leaves_the_path(
    app: Flask, path: str, root_path: str
) -> None:
    app.mount("/legacy", plain_asgi)
    told = "/srv/legacy|/srv/legacy/x|as received"
    assert over_asgi(app, path, root_path=root_path) == (200, told)


def test_root_path_that_is_only_the_start_of_a_segment(app: Flask) -> None:
    app.mount("/srv2", plain_asgi)
    told = "/srv/srv2|/srv/srv2/x|as received"
    assert over_asgi(app, "/srv2/x", root_path="/srv") == (200, told)


def test_the_environ_of_the_app_around_stays_as_it_is(app: Flask) -> None:
    app.mount("/legacy", plain_wsgi)
    environ = create_environ("/legacy/x")
    before = dict(environ)
    run_wsgi_app(app, environ)
    assert environ.keys() - before.keys() <= {"wsgi.input_terminated"}
    assert {key: environ[key] for key in before} == before


def test_subclasses_that_have_their_own_call_in_one_another() -> None:
    calls = []

    class Noted(Flask):
        def __call__(self, environ: t.Any, start_response: t.Any) -> t.Any:
            calls.append((self.name, environ["SCRIPT_NAME"]))
            return super().__call__(environ, start_response)

    outer, inner = Noted("outer"), Noted("inner")
    inner.add_url_rule("/", "place", place)
    outer.mount("/in", inner)
    assert outer.test_client().get("/in/").status_code == 200
    assert calls == [("outer", ""), ("inner", "/in")]


def starlette_app() -> Starlette:
    async def show(request: Request) -> JSONResponse:
        return JSONResponse(
            [str(request.url_for("show", x=1)), str(request.url), str(request.base_url)]
        )

    return Starlette(routes=[Route("/show/{x}", show, name="show"), Route("/", show, name="home")])


def test_urls_in_starlette(app: Flask) -> None:
    app.mount("/api", starlette_app())
    status, text = over_asgi(app, "/srv/api/show/2", root_path="/srv")
    assert status == 200
    assert text == (
        '["http://here/srv/api/show/1","http://here/srv/api/show/2","http://here/srv/api/"]'
    )


def test_urls_in_starlette_in_ours_in_starlette() -> None:
    ours = own()
    ours.mount("/inner", starlette_app())
    outer = Starlette(routes=[Mount("/outer", ours), Route("/show/{x}", plain_asgi, name="show")])
    status, text = over_asgi(outer, "/outer/inner/show/2")
    assert status == 200
    assert text.startswith('["http://here/outer/inner/show/1",')
    status, text = over_asgi(outer, "/outer/x")
    assert '"url":"/outer/"' in text


def test_starlette_without_the_slash_redirects_by_its_own_rules(app: Flask) -> None:
    app.mount("/api", starlette_app())
    app.mount("/strict", Router([Route("/", plain_asgi)], redirect_slashes=False))
    answer = app.test_client().get("/api?q=1")
    assert (answer.status_code, answer.location) == (307, "http://localhost/api/?q=1")
    assert over_asgi(app, "/strict")[0] == 404


def test_url_for_by_the_name_of_the_mount(app: Flask) -> None:
    app.mount("/été/a", plain_wsgi, name="legacy")
    with app.test_request_context("/", base_url="http://here/srv"):
        assert url_for("legacy") == "/srv/%C3%A9t%C3%A9/a/"
        assert url_for("legacy", path="x/y z", q=1) == "/srv/%C3%A9t%C3%A9/a/x/y%20z?q=1"


# WSGI middleware around the app


@pytest.mark.parametrize("ask", [partial(over_asgi, headers=[(b"x-forwarded-prefix", b"/p")])])
def test_middleware_sees_what_goes_to_a_wsgi_app(app: Flask, ask: Ask) -> None:
    app.mount("/legacy", plain_wsgi)
    app.mount("/api", plain_asgi)
    t.cast("t.Any", app).wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)
    assert ask(app, "/legacy/x") == (200, "/p/legacy|/x")
    assert ask(app, "/api/x") == (200, "/api|/api/x|as received")


@both_ways
def test_a_dispatcher_around_and_an_app_below(app: Flask, ask: Ask) -> None:
    app.mount("/legacy", plain_wsgi)
    t.cast("t.Any", app).wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/other": plain_wsgi})
    assert ask(app, "/legacy/x") == (200, "/legacy|/x")
    assert ask(app, "/other/x") == (200, "/other|/x")
    assert ask(app, "/x") == (200, "own x")


# What is raised below


async def failing(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"].endswith("late"):
        await send({"type": "http.response.start", "status": 200, "headers": []})
    raise LookupError("below")


@both_ways
def test_raised_before_the_answer_it_is_answered_as_for_a_view(
    app: Flask, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    app.mount("/bad", failing)
    status, text = ask(app, "/bad/early")
    assert status == 500
    assert "Internal Server Error" in text
    assert [record.getMessage() for record in caplog.records] == ["Exception on /bad/early [GET]"]
    assert caplog.records[0].exc_info is not None


def test_raised_in_debug_mode_it_gets_the_debug_page(app: Flask) -> None:
    app.mount("/bad", failing)
    app.debug = True
    assert "LookupError: below" in over_asgi(app, "/bad/early")[1]


def test_raised_later_it_is_the_server_s_to_report(app: Flask) -> None:
    app.mount("/bad", failing)
    with pytest.raises(LookupError, match="below"):
        over_asgi(app, "/bad/late")


@both_ways
def test_raised_it_reaches_tests(app: Flask, ask: Ask) -> None:
    app.mount("/bad", failing)
    app.testing = True
    with pytest.raises(LookupError, match="below"):
        ask(app, "/bad/early")


def failing_wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    raise LookupError("below")


def test_raised_by_a_wsgi_app(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    app.mount("/bad", failing_wsgi)
    assert over_asgi(app, "/bad/x")[0] == 500
    assert [record.getMessage() for record in caplog.records] == ["Exception on /bad/x [GET]"]
    app.testing = True
    with pytest.raises(LookupError, match="below"):
        over_asgi(app, "/bad/x")


@both_ways
def test_raised_by_an_app_of_our_own_it_is_that_app_s_to_answer(
    app: Flask, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    inner = Flask("inner")
    inner.add_url_rule("/", "bad", lambda: str(1 / 0))
    inner.register_error_handler(500, lambda error: ("inner's page", 500))
    app.mount("/in", inner)
    assert ask(app, "/in/") == (500, "inner's page")
    assert caplog.records[0].name == "inner"


# Apart from one another


def test_the_context_is_the_mounted_app_s(app: Flask) -> None:
    inner = own("inner")
    seen = []

    @inner.before_request
    def note() -> None:
        seen.append("value" in g)
        g.value = 1

    app.mount("/in", inner)
    client = app.test_client()
    client.get("/in/")
    client.get("/in/")
    assert seen == [False, False]


def test_websockets_reach_asgi_apps_and_no_others(app: Flask) -> None:
    seen: list[t.Any] = []

    async def socket(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["root_path"], scope["path"], receive, send))

    app.mount("/ws", socket)
    app.mount("/legacy", plain_wsgi)
    closed: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        closed.append(message)

    async def connect(path: str) -> None:
        await app(scope_for(path, type="websocket", scheme="ws"), receive, send)

    anyio.run(connect, "/ws")
    anyio.run(connect, "/ws/x")
    assert seen == [("/ws", "/ws", receive, send), ("/ws", "/ws/x", receive, send)]
    assert closed == []
    anyio.run(connect, "/legacy/x")
    anyio.run(connect, "/x")
    assert [message["type"] for message in closed] == ["websocket.close"] * 2


def test_state_of_a_request_is_a_copy(app: Flask) -> None:
    async def change(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["changed"] = True
        await plain_asgi(scope, receive, send)

    app.mount("/api", change)
    state = {"kept": 1}
    over_asgi(app, "/api", state=state)
    assert state == {"kept": 1}


# What can be mounted, and where


class CallableASGI:
    async def __call__(self, scope: t.Any, receive: t.Any, send: t.Any) -> None: ...


class CallableWSGI:
    def __call__(self, environ: t.Any, start_response: t.Any) -> t.Any: ...


class WSGIClass:
    def __init__(self, environ: t.Any, start_response: t.Any) -> None: ...


class ASGI2:
    def __init__(self, scope: t.Any) -> None: ...


def awaitable_asgi(scope: t.Any, receive: t.Any, send: t.Any) -> t.Any: ...


async def with_more(scope: t.Any, receive: t.Any, send: t.Any, more: t.Any = None) -> None: ...


async def anything(*args: t.Any) -> None: ...


def optional_wsgi(environ: t.Any, start_response: t.Any, more: t.Any = None) -> t.Any: ...


@WSGIRequest.application
def werkzeug_wsgi(request: WSGIRequest) -> WSGIResponse:
    return WSGIResponse("werkzeug")


@pytest.mark.parametrize(
    ("kind", "protocols"),
    [
        (CallableASGI(), {"asgi"}),
        (CallableASGI().__call__, {"asgi"}),
        (awaitable_asgi, {"asgi"}),
        (with_more, {"asgi"}),
        (anything, {"asgi"}),
        (partial(with_more, more=1), {"asgi"}),
        (Starlette(), {"asgi"}),
        (Router(), {"asgi"}),
        (HTTPEndpoint, {"asgi"}),
        (PlainTextResponse("x"), {"asgi"}),
        (CallableWSGI(), {"wsgi"}),
        (CallableWSGI().__call__, {"wsgi"}),
        (WSGIClass, {"wsgi"}),
        (optional_wsgi, {"wsgi"}),
        (ProxyFix(plain_wsgi), {"wsgi"}),
        (WSGIResponse("x"), {"wsgi"}),
        (Flask("own"), {"asgi", "wsgi"}),
        (Flask("own").wsgi_app, {"wsgi"}),
        (Flask("own").asgi_app, {"asgi"}),
    ],
)
def test_what_an_app_speaks(app: Flask, kind: t.Any, protocols: set[str]) -> None:
    app.mount("/x", kind)
    assert app._mounts is not None
    (mount,) = app._mounts
    assert mount.protocols == protocols
    assert repr(mount).startswith("<Mount /x: ")


def only_scope(scope: t.Any) -> t.Any: ...


async def awaited_wsgi(environ: t.Any, start_response: t.Any) -> t.Any: ...


def any_number(*args: t.Any) -> t.Any: ...


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (ASGI2, "ASGI 2"),
        (only_scope, "ASGI 2"),
        (awaited_wsgi, "protocol='asgi'"),
        (any_number, "protocol='asgi'"),
        (werkzeug_wsgi, "protocol='asgi'"),
        (Starlette, "an instance of this class"),
        (Flask, "an instance of this class"),
        (zip, "protocol='asgi'"),
        (Blueprint("b", __name__), "register_blueprint"),
        ("app:app", "not callable"),
        (None, "not callable"),
    ],
)
def test_what_cannot_be_told(app: Flask, kind: t.Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        app.mount("/x", kind)
    assert app._mounts is None


def test_told_the_protocol(app: Flask) -> None:
    app.mount("/w", werkzeug_wsgi, protocol="wsgi")
    app.mount("/own", own(), protocol="wsgi")
    assert over_asgi(app, "/w/x") == (200, "werkzeug")
    assert over_asgi(app, "/own/x")[0] == 200
    with pytest.raises(ValueError, match="it is 'asgi' or 'wsgi'"):
        app.mount("/x", plain_wsgi, protocol=t.cast("t.Any", "http"))


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("", "none of which would be reached"),
        ("/", "none of which would be reached"),
        ("//", "none of which would be reached"),
        ("legacy", "no path"),
        ("/a//b", "no path"),
        ("//a", "no path"),
        ("/%ff", "not UTF-8"),
        ("/<tenant>", "no variable|have none"),
        ("/{tenant}/x", "have none"),
    ],
)
def test_prefixes_that_are_none(app: Flask, prefix: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        app.mount(prefix, plain_wsgi)


@pytest.mark.parametrize("again", ["/legacy", "/legacy/", "/l%65gacy"])
def test_a_prefix_is_taken_once(app: Flask, again: str) -> None:
    app.mount("/legacy", plain_wsgi)
    with pytest.raises(ValueError, match="'/legacy' is taken already, by <function plain_wsgi"):
        app.mount(again, plain_asgi)


def test_an_app_in_itself(app: Flask) -> None:
    inner = own()
    with pytest.raises(ValueError, match="inside itself"):
        app.mount("/x", app)
    app.mount("/x", inner)
    with pytest.raises(ValueError, match="inside itself"):
        inner.mount("/y", app)


def test_too_late(app: Flask) -> None:
    app.test_client().get("/")
    with pytest.raises(AssertionError, match="mount"):
        app.mount("/x", plain_wsgi)


def test_nothing_is_logged(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "outer")
    app.mount("/x", plain_wsgi)
    over_asgi(app, "/x")
    assert [record for record in caplog.records if record.name == "outer"] == []


# The documentation

PAGE = Path(__file__).parents[2] / "docs" / "mounting.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 5


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
@pytest.mark.filterwarnings("ignore::DeprecationWarning:fastapi")
def test_example(number: int) -> None:
    module = types.ModuleType("example")
    exec(EXAMPLES[number], module.__dict__)
    assert module.app._mounts is not None
