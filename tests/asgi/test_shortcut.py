"""The shortcut answers as the long way does: same messages, same events, same thread."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
import typing as t

import pytest
from starlette.responses import PlainTextResponse
from werkzeug.exceptions import NotFound

from asyncflask import (
    Flask,
    Response,
    abort,
    after_this_request,
    redirect,
    request,
    session,
    stream_with_context,
)
from asyncflask.asgi import shortcut, shortlane
from asyncflask.signals import forget_unheard, request_finished, request_tearing_down

from ..scopes import scope
from .test_http import Exchange, part

var: contextvars.ContextVar[str] = contextvars.ContextVar("shortcut", default="server")

#: What a view does, by name; it gets the app and the list of events.
Deed = t.Callable[[Flask, list[t.Any]], t.Any]
DEEDS: dict[str, Deed] = {}

#: The headers that a request has besides, and whether it may take the shortcut.
WAYS = {
    "shortcut": ([], True),
    "another cookie": ([(b"cookie", b"other=1")], True),
    "exchange": ([(b"transfer-encoding", b"chunked")], False),
    "no body": ([(b"content-length", b"0")], True),
    "body": ([(b"content-length", b"1")], True),
    "session cookie": ([(b"cookie", b"session=none")], True),
}


#: Events that know their thread.
IN_THREAD = ("view", "handler", "chunk")


def deed(func: Deed) -> Deed:
    DEEDS[func.__name__] = func
    return func


VALUES: dict[str, t.Any] = {
    "text": "grüße",
    "data": b"\x00\xff",
    "empty": "",
    "mapping": {"a": [1, "ü"]},
    "array": [1, 2],
    "nothing": None,
    "number": 7,
    "no_json": {"a": object()},
    "created": ("made", 201, {"X-Made": "yes"}),
    "no_content": ("", 204),
    "an_error": NotFound(),
}


def giving(value: t.Any) -> Deed:
    return lambda app, events: value


DEEDS.update((name, giving(value)) for name, value in VALUES.items())

DEEDS["response"] = lambda app, events: Response("own", mimetype="text/x-own")
DEEDS["starlette"] = lambda app, events: PlainTextResponse("theirs", 202)
DEEDS["redirection"] = lambda app, events: redirect("/elsewhere")
DEEDS["aborted"] = lambda app, events: abort(404)
DEEDS["handled"] = lambda app, events: [][1]
DEEDS["unhandled"] = lambda app, events: 1 / 0


@deed
def stream(app: Flask, events: list[t.Any]) -> t.Any:
    def chunks() -> t.Iterator[str]:
        events.append(("chunk", threading.get_ident()))
        yield "a"
        yield request.path

    return stream_with_context(chunks())


@deed
def closing(app: Flask, events: list[t.Any]) -> t.Any:
    response = Response("x")
    response.call_on_close(lambda: events.append("closed"))
    return response


@deed
def reads_session(app: Flask, events: list[t.Any]) -> t.Any:
    return session.get("user", "nobody")


@deed
def writes_session(app: Flask, events: list[t.Any]) -> t.Any:
    session["user"] = "ada"
    return "x"


@deed
def after_this(app: Flask, events: list[t.Any]) -> t.Any:
    @after_this_request
    def change(response: t.Any) -> t.Any:
        events.append("after this")
        response.headers["X-After"] = "1"
        return response

    return "x"


@deed
def registers_after(app: Flask, events: list[t.Any]) -> t.Any:
    def change(response: t.Any) -> t.Any:
        events.append("after")
        return Response("changed")

    app.after_request_funcs.setdefault(None, []).append(change)
    return "x"


@deed
def registers_teardown(app: Flask, events: list[t.Any]) -> t.Any:
    app.teardown_request_funcs.setdefault(None, []).append(
        lambda error: events.append(("teardown", error))
    )
    return {"a": 1}


@deed
def registers_appcontext_teardown(app: Flask, events: list[t.Any]) -> t.Any:
    app.teardown_appcontext_funcs.append(lambda error: events.append(("teardown", type(error))))
    return 1 / 0


@deed
def listens_to_the_response(app: Flask, events: list[t.Any]) -> t.Any:
    def heard(sender: t.Any, response: t.Any, **_: t.Any) -> None:
        events.append(response.get_data())

    app.extensions["heard"] = heard  # signals keep weak references
    request_finished.connect(heard, app)
    return "x"


@deed
def listens_to_the_end(app: Flask, events: list[t.Any]) -> t.Any:
    def heard(sender: t.Any, exc: t.Any, **_: t.Any) -> None:
        events.append(("end", exc))

    app.extensions["heard"] = heard
    request_tearing_down.connect(heard, app)
    return b"x"


@deed
def reads_the_form(app: Flask, events: list[t.Any]) -> t.Any:
    return dict(request.form)


@deed
def knows_its_rule(app: Flask, events: list[t.Any]) -> t.Any:
    return [request.endpoint, request.view_args, str(request.url_rule), request.host, request.url]


@deed
def sets_a_variable(app: Flask, events: list[t.Any]) -> t.Any:
    var.set("view")
    return "x"


@deed
def sets_a_variable_and_streams(app: Flask, events: list[t.Any]) -> t.Any:
    var.set("view")
    return Response(value for value in "xy")


@deed
def coroutine(app: Flask, events: list[t.Any]) -> t.Any:
    async def value() -> str:
        await asyncio.sleep(0)
        return str(request.path)

    return value()


def make_app(does: Deed, is_async: bool) -> tuple[Flask, list[t.Any]]:
    app, events = Flask(__name__), list[t.Any]()
    app.secret_key = "k"

    def sync_view(**args: t.Any) -> t.Any:
        events.append(("view", threading.get_ident()))
        return does(app, events)

    async def async_view(**args: t.Any) -> t.Any:
        await asyncio.sleep(0)
        value = sync_view()
        return await value if asyncio.iscoroutine(value) else value

    app.add_url_rule("/a/<int:number>", "view", async_view if is_async else sync_view)

    @app.errorhandler(IndexError)
    def handle(error: IndexError) -> tuple[str, int]:
        events.append(("handler", threading.get_ident()))
        return "handled", 410

    return app, events


def takes_shortcut(app: Flask, asked: t.Any) -> bool:
    """Whether a request's view has the only say, or an exchange handles it."""
    begun: t.Any = shortcut.call(app, asked, Exchange().receive, Exchange().send)
    begun.close()
    return begun.cr_code in (shortcut._on_loop.__code__, shortlane.serve.__code__)


async def answer(does: Deed, way: str, is_async: bool) -> tuple[list[t.Any], list[t.Any]]:
    """Return what was sent and what happened; see that both were in the right thread, context."""
    app, events = make_app(does, is_async)
    headers, is_short = WAYS[way]
    asked = scope("/a/1", headers=headers)
    assert not takes_shortcut(app, asked), "the first request ends the setup"
    app._got_first_request = True
    assert takes_shortcut(app, asked) is is_short
    exchange, variables = Exchange(part(b"x")), list[str]()

    async def send(message: t.Any) -> None:
        noted = [] if message.get("more_body") else variables  # but for a body's pieces
        noted.append(var.get())
        await asyncio.sleep(0)
        noted.append(var.get())
        await exchange.send(message)

    await app(asked, exchange.receive, send)
    await app._budgets.close()
    for signal in (request_finished, request_tearing_down):  # whoever listens, to whichever app
        signal.disconnect(app.extensions.get("heard", print))
    forget_unheard()
    assert set(variables) == {"server"}
    if not is_async:  # the view, its error handler and its stream: in one thread, and not in this
        threads = {event[1] for event in events if event[0] in IN_THREAD}
        assert len(threads) == 1
        assert threading.get_ident() not in threads
    assert not exchange.sent[-1].get("more_body")
    sent = [exchange.sent[0], exchange.body]  # a stream's pieces may be sent in one, or not
    return sent, [event[0] if event[0] in IN_THREAD else event for event in events]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("name", [*DEEDS])
async def test_every_way_gives_the_same_answer(
    name: str, is_async: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1.6e9)  # the cookies' time is the same
    first, *others = [
        await asyncio.create_task(answer(DEEDS[name], way, is_async)) for way in WAYS
    ]  # a task each, as servers have it
    assert first[0]
    for other in others:
        assert other == first
