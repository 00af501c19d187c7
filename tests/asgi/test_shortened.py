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


def giving(value: t.Callable[[], t.Any], is_quiet: bool) -> Deed:
    def does(site: Site) -> None:
        site.value = value
        if is_quiet:
            site.quiet()

    return does


for _name, _value in VALUES.items():
    DEEDS[f"{_name} alone"] = giving(_value, is_quiet=False)
    DEEDS[f"{_name} among callbacks"] = giving(_value, is_quiet=True)


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
    """Return the name of what handles a request."""
    exchange = Played()
    begun: t.Any = shortcut.begin(app, scope(path, **more), exchange.receive, exchange.send)
    if begun is None:
        return "none"
    begun.close()
    return str(begun.cr_code.co_qualname)


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
    app.before_request_funcs = {}
    assert taken(app) == way
    assert site.app.url_map._rules_by_endpoint["outer.inner.view"][0].hooks.before == []  # type: ignore[attr-defined]
    app.url_value_preprocessors["outer"].append(print)
    assert taken(app) == "Exchange.serve"


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


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_an_error_leaves_no_circle(is_async: bool) -> None:
    site, seen = Site(is_async), list[weakref.ref[t.Any]]()
    site.quiet()

    def fail() -> t.NoReturn:
        proxy: t.Any = request
        seen.append(weakref.ref(proxy._get_current_object()))
        raise LookupError  # one that is not handled is kept by what captures the log

    site.value = fail
    app = site.serve()
    gc.collect()
    gc.disable()
    try:
        await Played().play(app, "/outer/inner/1")
        with anyio.fail_after(10):
            while seen[0]() is not None:  # the thread lets go of it a moment later
                await anyio.lowlevel.checkpoint()
    finally:
        gc.enable()
    await app._budgets.close()
