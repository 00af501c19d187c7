"""Callbacks on the shortcut: the same messages and events as on the long way, in the same order."""

from __future__ import annotations

import gc
import threading
import time
import typing as t
import weakref

import anyio
import anyio.lowlevel
import pytest
import werkzeug
from werkzeug.datastructures import Headers

from asyncflask import (
    Blueprint,
    Flask,
    Response,
    abort,
    after_this_request,
    g,
    jsonify,
    redirect,
    request,
    session,
    stream_with_context,
)
from asyncflask.asgi import shortcut
from asyncflask.asgi.served import MatchedContext
from asyncflask.signals import forget_unheard, request_finished

from ..played import Played, part
from ..scopes import scope

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)

#: What makes a request take the long way: its length is known only at its end.
LONG = [(b"transfer-encoding", b"chunked")]
SHORT = [(b"content-length", b"3")]


class Site:
    """An app whose callbacks are noted; plain functions, or coroutine functions."""

    def __init__(self, is_async: bool) -> None:
        self.is_async = is_async
        self.app, self.events = Flask("shortened"), list[t.Any]()
        self.app.secret_key = "k"
        self.outer, self.inner = Blueprint("outer", __name__), Blueprint("inner", __name__)
        self.value: t.Callable[[], t.Any] = lambda: "x"

    def noted(self, name: str, does: t.Callable[..., t.Any] = lambda *args: None) -> t.Any:
        """Return a callback that is noted with the error that it gets, and with its thread."""

        def plain(*args: t.Any, **named: t.Any) -> t.Any:
            errors = [type(each) for each in args if isinstance(each, BaseException)]
            assert (threading.current_thread() is threading.main_thread()) is self.is_async
            self.events.append((name, errors, named))
            return does(*args)

        async def on_loop(*args: t.Any, **named: t.Any) -> t.Any:
            return plain(*args, **named)

        return on_loop if self.is_async else plain

    def quiet(self) -> None:
        """Register two callbacks of each kind, which change nothing, in each place."""
        for each, name in ((self.app, "app"), (self.outer, "outer"), (self.inner, "inner")):
            for number in (1, 2):
                where: t.Any = each
                where.before_request(self.noted(f"{name} before {number}"))
                where.after_request(self.noted(f"{name} after {number}", lambda same: same))
                where.teardown_request(self.noted(f"{name} teardown {number}"))
        self.app.teardown_appcontext(self.noted("end 1"))
        self.app.teardown_appcontext(self.noted("end 2"))

    def ending(self) -> None:
        """Register callbacks that are not to see the response."""
        self.outer.before_request(self.noted("outer before"))
        self.inner.teardown_request(self.noted("inner teardown"))
        self.app.teardown_appcontext(self.noted("end"))

    def serve(self) -> Flask:
        view = self.noted("view", lambda *_: self.value())
        self.inner.add_url_rule("/<int:number>", "view", view, methods=["GET", "POST"])
        self.outer.register_blueprint(self.inner, url_prefix="/inner")
        self.app.register_blueprint(self.outer, url_prefix="/outer")
        self.app.register_error_handler(LookupError, self.noted("handler", lambda _: ("lost", 410)))
        self.app._got_first_request = True  # the first takes the long way
        return self.app


#: What a site does, by name; and whether it may take the shortcut.
Deed = t.Callable[[Site], t.Any]
DEEDS: dict[str, Deed] = {}


def deed(func: Deed) -> Deed:
    DEEDS[func.__name__] = func
    return func


VALUES: dict[str, t.Callable[[], t.Any]] = {
    "text": lambda: "grüße",
    "data": lambda: b"\xff",
    "mapping": lambda: {"a": [1, "ü"]},
    "no_json": lambda: {"a": object()},
    "nothing": lambda: None,
    "created": lambda: ({"made": True}, 201, {"X-Made": "yes"}),
    "no_content": lambda: ("", 204),
    "wrong_tuple": lambda: ("x", 200, {}, 4),
    "wrong_header": lambda: ("x", {"X-Bad": "a\r\nb"}),
    "response": lambda: Response("own", mimetype="text/x-own"),
    "json": lambda: jsonify(a=1),
    "array": lambda: [1, "ü"],
    "long": lambda: "x" * 70_000,
    "pieces": lambda: Response(t.cast("list[str]", ["gr", "üße".encode()]), 203),
    "werkzeugs": lambda: werkzeug.Response("other", 201),
    "application": lambda: werkzeug.Response("called").__call__,
    "not_modified": lambda: ("left over", 304, {"ETag": '"a"'}),
    "own_type": lambda: ("{}", {"content-type": "application/x-own"}),
    "own_length": lambda: ("x", {"Content-Length": "1", "X-A": ["1", "2"]}),
    "wrong_status": lambda: ("x", 99),
    "redirection": lambda: redirect("/elsewhere"),
    "missing": lambda: abort(404),
    "lost": lambda: [][1],
    "broken": lambda: 1 / 0,
    "session_read": lambda: session.get("user", "nobody"),
    "session_written": lambda: session.setdefault("user", "ada"),
    "form": lambda: dict(request.form),
    "body": lambda: request.get_data(),
    "stream": lambda: stream_with_context(each for each in ("a", request.path)),
}


def giving(value: t.Callable[[], t.Any], register: Deed) -> Deed:
    def does(site: Site) -> None:
        site.value = value
        register(site)

    return does


for _name, _value in VALUES.items():
    DEEDS[f"{_name} alone"] = giving(_value, lambda site: None)
    DEEDS[f"{_name} among callbacks"] = giving(_value, Site.quiet)
    DEEDS[f"{_name} between callbacks"] = giving(_value, Site.ending)


@deed
def closing(site: Site) -> None:
    site.quiet()

    def value() -> Response:
        response = Response("x")
        response.call_on_close(lambda: site.events.append("closed"))
        return response

    site.value = value


@deed
def only_before(site: Site) -> None:
    site.app.before_request(site.noted("before", lambda: setattr(g, "user", "ada")))
    site.value = lambda: g.user


@deed
def only_after(site: Site) -> None:
    site.app.after_request(site.noted("after", lambda response: response))


@deed
def only_teardown(site: Site) -> None:
    site.app.teardown_request(site.noted("teardown"))


@deed
def only_of_another_blueprint(site: Site) -> None:
    other = Blueprint("other", __name__)
    other.before_request(site.noted("before"))
    site.app.register_blueprint(other)


@deed
def answered_before(site: Site) -> None:
    site.outer.before_request(site.noted("answers", lambda: ("taken", 403)))
    site.quiet()


@deed
def raised_before(site: Site) -> None:
    site.quiet()
    site.outer.before_request(site.noted("raises", lambda: 1 / 0))


@deed
def aborted_before(site: Site) -> None:
    site.quiet()
    site.app.before_request(site.noted("aborts", lambda: abort(401)))


@deed
def handled_before(site: Site) -> None:
    site.quiet()
    site.app.before_request(site.noted("raises", lambda: [][1]))


@deed
def arguments_changed_before(site: Site) -> None:
    site.quiet()
    site.app.before_request(
        site.noted("changes", lambda: setattr(request, "view_args", {"number": 7}))
    )


@deed
def session_read_before(site: Site) -> None:
    site.quiet()
    site.app.before_request(site.noted("reads", lambda: setattr(g, "user", session.get("user"))))


@deed
def session_written_after(site: Site) -> None:
    def write(response: Response) -> Response:
        session["seen"] = True
        return response

    site.app.after_request(site.noted("writes", write))


@deed
def header_set_after(site: Site) -> None:
    def change(response: Response) -> Response:
        response.headers["X-Path"] = request.path
        response.set_cookie("a", "b")
        return response

    site.app.after_request(site.noted("changes", change))


@deed
def bad_header_set_after(site: Site) -> None:
    def change(response: Response) -> Response:
        response.headers._list.append(("X Bad", "x"))
        return response

    site.quiet()
    site.app.after_request(site.noted("changes", change))


@deed
def body_set_after(site: Site) -> None:
    site.app.after_request(site.noted("sets", lambda response: response.set_data("y") or response))


@deed
def body_replaced_after(site: Site) -> None:
    def change(response: Response) -> Response:
        response.response = [b"z"]
        return response

    site.app.after_request(site.noted("replaces", change))


@deed
def replaced_after(site: Site) -> None:
    site.quiet()
    site.app.after_request(site.noted("replaces", lambda response: Response("other", 203)))


@deed
def streamed_after(site: Site) -> None:
    site.quiet()
    site.app.after_request(site.noted("streams", lambda response: Response(iter("ab"))))


@deed
def nothing_returned_after(site: Site) -> None:
    site.quiet()
    site.app.after_request(site.noted("returns nothing"))


@deed
def raised_after(site: Site) -> None:
    site.quiet()
    site.app.after_request(site.noted("raises", lambda response: response.status_code // 0))


@deed
def lost_after(site: Site) -> None:
    """What an after-request function raises goes to no error handler."""
    site.quiet()
    site.app.after_request(site.noted("raises", lambda response: [][1]))


@deed
def raised_in_teardown(site: Site) -> None:
    site.outer.teardown_request(site.noted("raises", lambda error: 1 / 0))
    site.quiet()


@deed
def raised_twice_in_teardown(site: Site) -> None:
    site.app.teardown_appcontext(site.noted("raises", lambda error: [][1]))
    raised_in_teardown(site)


@deed
def raised_in_teardown_alone(site: Site) -> None:
    site.outer.teardown_request(site.noted("raises", lambda error: 1 / 0))
    site.ending()


@deed
def headers_replaced_after(site: Site) -> None:
    def change(response: Response) -> Response:
        response.headers = Headers([("X-A", "1"), ("content-length", "1")])
        return response

    site.app.after_request(site.noted("replaces", change))


@deed
def headers_of_another_kind_after(site: Site) -> None:
    class Own(Headers):
        def __iter__(self) -> t.Any:
            yield from super().__iter__()
            yield "X-Own", "1"

    def change(response: Response) -> Response:
        response.headers = Own(response.headers)
        return response

    site.app.after_request(site.noted("replaces", change))


@deed
def body_changed_in_place_after(site: Site) -> None:
    def change(response: Response) -> Response:
        t.cast("list[t.Any]", response.response)[:] = ["z", b"y"]
        return response

    site.app.after_request(site.noted("changes", change))


@deed
def trailers_set_after(site: Site) -> None:
    def change(response: Response) -> Response:
        response.trailers = {"X-End": "1"}
        return response

    site.app.after_request(site.noted("sets", change))


@deed
def closed_after(site: Site) -> None:
    def change(response: Response) -> Response:
        response.call_on_close(lambda: site.events.append("closed"))
        return response

    site.quiet()
    site.app.after_request(site.noted("registers", change))


@deed
def wrong_status_set_after(site: Site) -> None:
    def change(response: Response) -> Response:
        response.status_code = 99
        return response

    site.app.after_request(site.noted("sets", change))


@deed
def headers_cleared_after(site: Site) -> None:
    site.app.after_request(site.noted("clears", lambda made: made.headers.clear() or made))


@deed
def status_set_after(site: Site) -> None:
    def change(response: Response) -> Response:
        response.status = "299 Own"
        response.mimetype = "text/own"
        response.content_length = 1
        return response

    site.app.after_request(site.noted("changes", change))


@deed
def emptied_after(site: Site) -> None:
    def change(response: Response) -> Response:
        response.status_code = 204
        return response

    site.quiet()
    site.app.after_request(site.noted("empties", change))


@deed
def made_by_another_class(site: Site) -> None:
    class Own(Response):
        default_mimetype = "text/own"

        def get_wsgi_headers(self, environ: t.Any) -> Headers:
            headers = super().get_wsgi_headers(environ)
            headers["X-Own"] = "1"
            return headers

    site.app.after_request(site.noted("makes", lambda made: Own(made.get_data())))


@deed
def of_the_apps_own_class(site: Site) -> None:
    class Own(Response):
        default_mimetype = "text/own"

        def __init__(self, *args: t.Any, **named: t.Any) -> None:
            site.events.append((args, sorted(named)))
            super().__init__(*args, **named)

    site.quiet()
    site.app.response_class = Own


@deed
def registered_for_this_request_alone(site: Site) -> None:
    registered_for_this_request(site)
    for registry in (site.app, site.outer, site.inner):
        registry.after_request_funcs.clear()


@deed
def registered_for_this_request(site: Site) -> None:
    site.quiet()

    def change(response: Response) -> Response:
        site.events.append("after this")
        response.headers["X-After"] = "1"
        return response

    def value() -> str:
        after_this_request(change)
        return "x"

    site.value = value


def registering(site: Site, registry: str, func: t.Any) -> t.Callable[[], str]:
    def value() -> str:
        getattr(site.app, registry).setdefault(None, []).append(func)
        return "x"

    return value


@deed
def registered_after_meanwhile(site: Site) -> None:
    site.quiet()
    after = site.noted("late", lambda response: Response("late"))
    site.value = registering(site, "after_request_funcs", after)


@deed
def registered_teardown_meanwhile(site: Site) -> None:
    only_before(site)
    site.value = registering(site, "teardown_request_funcs", site.noted("late"))


def crowded(site: Site) -> None:
    """Register so many callbacks of other blueprints that only those of the rule are compared."""
    for number in range(20):
        other = Blueprint(f"other{number}", __name__)
        other.before_request(site.noted("another's"))
        site.app.register_blueprint(other)


@deed
def in_a_crowd(site: Site) -> None:
    crowded(site)
    site.quiet()


@deed
def registered_after_meanwhile_in_a_crowd(site: Site) -> None:
    crowded(site)
    registered_after_meanwhile(site)


@deed
def heard_meanwhile_in_a_crowd(site: Site) -> None:
    crowded(site)
    heard_meanwhile(site)


@deed
def registry_replaced_meanwhile(site: Site) -> None:
    site.quiet()
    after = site.noted("late", lambda response: Response("late"))

    def value() -> str:
        site.app.after_request_funcs = {None: [after]}
        return "x"

    site.value = value


@deed
def heard_meanwhile(site: Site) -> None:
    site.quiet()

    def hear(sender: t.Any, response: t.Any, **_: t.Any) -> None:
        site.events.append(response.get_data())

    def value() -> str:
        site.app.extensions["heard"] = hear  # signals keep weak references
        request_finished.connect(hear, site.app)
        return "x"

    site.value = value


@deed
def an_argument_taken_by_a_preprocessor(site: Site) -> None:
    site.quiet()
    site.app.url_value_preprocessor(
        site.noted("takes", lambda endpoint, args: args.update(number=args["number"] + 1))
    )


async def played(does: Deed, headers: list[tuple[bytes, bytes]], is_async: bool) -> t.Any:
    site = Site(is_async)
    does(site)
    app = site.serve()
    cookie = app.session_interface.get_signing_serializer(app).dumps({"user": "bob"})  # type: ignore[attr-defined]
    headers = [*headers, (b"content-type", b"application/x-www-form-urlencoded")]
    headers.append((b"cookie", b"session=" + cookie.encode()))
    exchange = Played(part(b"a"), part(b"=1"))
    exchange.messages[0]["more_body"] = True
    raised: t.Any = None
    try:
        await exchange.play(app, "/outer/inner/1", "POST", headers)
    except Exception as error:
        raised = type(error)
    finally:
        request_finished.disconnect(app.extensions.get("heard", print))
        forget_unheard()
        await app._budgets.close()
    start = {**exchange.sent[0], "headers": [*exchange.sent[0]["headers"]]}
    return start, exchange.body, site.events, raised


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("name", [*DEEDS])
async def test_callbacks(name: str, is_async: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1.6e9)  # the cookies' time is the same
    short = await played(DEEDS[name], SHORT, is_async)
    assert short == await played(DEEDS[name], LONG, is_async)
    for _ in range(2):  # its head was sent before
        assert short == await played(DEEDS[name], SHORT, is_async)
    assert short[0]["status"]
    assert short[2]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_order_of_callbacks(is_async: bool) -> None:
    _, body, events, _ = await played(Site.quiet, SHORT, is_async)
    names = [event[0] for event in events]
    assert body == b"x"
    ends = [f"{where} {{}} {number}" for where in ("inner", "outer", "app") for number in (2, 1)]
    assert names == [
        *(f"{where} before {number}" for where in ("app", "outer", "inner") for number in (1, 2)),
        "view",
        *(each.format("after") for each in ends),
        *(each.format("teardown") for each in ends),
        "end 2",
        "end 1",
    ]


def taken(app: Flask, path: str = "/outer/inner/1", **more: t.Any) -> str:
    """Return the name of what handles a request; of an exchange, if it is known what matches."""
    exchange = Played()
    begun: t.Any = shortcut.call(app, scope(path, **more), exchange.receive, exchange.send)
    handler = begun.cr_frame.f_locals.get("self")
    begun.close()
    unknown = handler is not None and type(handler.ctx) is not MatchedContext
    return "none" if unknown else str(begun.cr_code.co_qualname)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_who_takes_the_shortcut(is_async: bool) -> None:
    site = Site(is_async)
    site.quiet()
    app = site.serve()
    way = "_on_loop" if is_async else "serve"
    assert taken(app) == taken(app, headers=SHORT) == way
    assert taken(app, headers=LONG) == taken(app, headers=SHORT * 2) == "none"
    assert taken(app, headers=[(b"content-length", b"9" * 19)]) == "none"
    app.teardown_appcontext_funcs.append(Site(not is_async).noted("another kind"))
    assert taken(app) == "Exchange.serve"
    app.teardown_appcontext_funcs.pop()
    assert taken(app) == way
    request_finished.connect(print, app)
    assert taken(app) == "Exchange.serve"
    request_finished.disconnect(print)
    forget_unheard()
    assert taken(app) == way
    app.before_request_funcs = {}
    assert taken(app) == way
    assert site.app.url_map._rules_by_endpoint["outer.inner.view"][0].hooks.before == []  # type: ignore[attr-defined]
    app.url_value_preprocessors["outer"].append(print)
    assert taken(app) == "Exchange.serve"


@pytest.mark.parametrize("kind", ["after_request", "teardown_request"])
async def test_what_a_plain_callback_gives_to_await_is_awaited(kind: str) -> None:
    site, awaited = Site(is_async=False), list[t.Any]()

    async def later(given: t.Any) -> t.Any:
        await anyio.lowlevel.checkpoint()
        awaited.append(given)
        return given

    getattr(site.app, kind)(lambda given: later(given))
    app = site.serve()
    for _ in range(2):
        assert (await Played().play(app, "/outer/inner/1")).body == b"x"
    assert len(awaited) == 2
    await app._budgets.close()


async def test_a_coroutine_that_a_plain_callback_returns_is_awaited() -> None:
    site = Site(is_async=False)
    awaited: list[str] = []

    async def value() -> str:
        awaited.append("value")
        return "awaited"

    def callback() -> t.Any:
        return None if awaited else value()

    site.app.before_request(callback)
    assert (await Played().play(site.serve(), "/outer/inner/1")).body == b"awaited"
    assert awaited == ["value"]
    await site.app._budgets.close()


async def played_and_forgotten(app: Flask, path: str, seen: list[weakref.ref[t.Any]]) -> Played:
    """Play a request, and wait until what its view has seen is gone without the collector."""
    played = Played()
    gc.collect()
    gc.disable()
    try:
        await played.play(app, path)
        with anyio.fail_after(10):
            while seen[0]() is not None:  # the thread lets go of it a moment later
                await anyio.lowlevel.checkpoint()
    finally:
        gc.enable()
    await app._budgets.close()
    return played


@pytest.mark.parametrize("is_handled", [True, False], ids=["handled", "not"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_an_error_leaves_no_circle(
    is_async: bool, is_handled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, seen = Site(is_async), list[weakref.ref[t.Any]]()
    site.quiet()
    monkeypatch.setattr(site.app.logger, "disabled", True)  # what captures the log keeps errors

    def fail() -> t.NoReturn:
        proxy: t.Any = request
        seen.append(weakref.ref(proxy._get_current_object()))
        raise LookupError if is_handled else OverflowError

    site.value = fail
    app = site.serve()
    await played_and_forgotten(app, "/outer/inner/1", seen)


async def test_an_error_that_a_thread_handles_leaves_no_circle() -> None:
    app, seen = Flask("mixed"), list[weakref.ref[t.Any]]()

    @app.get("/")
    async def fail() -> t.NoReturn:
        proxy: t.Any = request
        seen.append(weakref.ref(proxy._get_current_object()))
        raise LookupError

    @app.errorhandler(LookupError)
    def handle(error: LookupError) -> str:
        return "handled"

    assert (await played_and_forgotten(app, "/", seen)).body == b"handled"
