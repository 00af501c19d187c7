"""A handler that nothing comes before is called at once, and all else is as with a hook before."""

from __future__ import annotations

import sys
import typing as t
from collections.abc import Callable

import anyio
import pytest
from werkzeug.exceptions import ImATeapot

import asyncflask
from asyncflask import Flask, WebSocketDisconnect, abort, has_websocket_context, websocket

from ..sockets import Client, leave, play, socket_scope, text

pytestmark = pytest.mark.anyio


def awaiting() -> list[str]:
    """Return who awaits the caller, as far as the exchange; innermost first."""
    names: list[str] = []
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_qualname != "SocketExchange.serve":
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names


async def nothing(*args: t.Any) -> None:
    pass


async def test_nobody_is_in_between() -> None:
    app, seen = Flask("sockets"), list[list[str]]()

    @app.websocket("/<int:number>")
    async def handler(number: int) -> None:
        seen.append(awaiting())

    @app.teardown_websocket
    async def teardown(error: t.Any) -> None:
        assert has_websocket_context()

    await play(app, "/1")  # the app's first
    await play(app, "/2")
    assert seen == [[], []]
    assert not has_websocket_context()


def hook(app: Flask) -> None:
    app.before_websocket(nothing)


def processor(app: Flask) -> None:
    app.url_value_preprocessor(nothing)


def listener(app: Flask) -> None:
    async def listen(sender: t.Any) -> None:
        pass

    app.extensions["kept"] = listen
    asyncflask.websocket_started.connect(listen, app)


def opened_sessions(app: Flask) -> None:
    class Interface(asyncflask.sessions.SecureCookieSessionInterface):
        pass

    app.session_interface = Interface()


@pytest.mark.parametrize("before", [hook, processor, listener, opened_sessions])
async def test_what_comes_before_it_is_done_before(before: Callable[[Flask], None]) -> None:
    app, seen = Flask("sockets"), list[list[str]]()
    before(app)

    @app.websocket("/")
    async def handler() -> None:
        seen.append(awaiting())

    await play(app, "/")
    assert seen[0][-1] == "serve"  # of all exchanges: through it, the pipeline


async def test_a_sync_handler_has_its_thread() -> None:
    app, seen = Flask("sockets"), list[t.Any]()

    @app.websocket("/")
    def handler() -> None:
        seen.append(websocket.receive())

    await play(app, "/", text("x"))
    assert seen == ["x"]


async def ends() -> None:
    await websocket.accept()


async def answers() -> t.Any:
    return {"no": "room"}, 404


async def answers_late() -> t.Any:
    await websocket.accept()
    return "late", 404


async def aborts() -> None:
    abort(401)


async def fails() -> None:
    await websocket.receive()
    raise LookupError("it")


async def fails_early() -> None:
    raise LookupError("it")


async def drinks_tea() -> None:
    await websocket.receive()
    raise ImATeapot


async def disconnects() -> None:
    while True:
        await websocket.send(await websocket.receive())


async def loops() -> None:
    async for message in websocket:
        await websocket.send(message)


async def takes_arguments(number: int) -> None:
    pass


HANDLERS = [
    *(ends, answers, answers_late, aborts, fails, fails_early, drinks_tea, disconnects, loops),
    takes_arguments,
]


async def played(handler: t.Any, *, hooked: bool, handled: bool) -> tuple[t.Any, ...]:
    """Return what the client gets, and what the app's callbacks see."""
    app, seen = Flask("sockets"), list[t.Any]()
    app.websocket("/")(handler)
    if hooked:
        app.before_websocket(nothing)

    @app.after_websocket
    async def after(response: t.Any) -> t.Any:
        seen.append(("after", response and response.status_code, websocket.state))
        return response

    @app.teardown_websocket
    async def teardown(error: t.Any) -> None:
        seen.append(("teardown", repr(error), websocket.close_code))

    async def failed(sender: t.Any, exception: BaseException) -> None:
        seen.append(("failed", repr(exception)))

    asyncflask.got_websocket_exception.connect(failed, app)
    if handled:

        @app.errorhandler(Exception)
        async def handle(error: Exception) -> t.Any:
            seen.append(("handled", repr(error), sys.exc_info()[1] is error, error.__context__))
            return "handled", 418

    client = await play(app, "/", text("a"), text("b"), leave(1001))
    assert not has_websocket_context()
    return client.sent, seen


@pytest.mark.parametrize("handled", [False, True])
@pytest.mark.parametrize("handler", HANDLERS)
async def test_all_else_is_the_same(handler: t.Any, handled: bool) -> None:
    short, long = [
        await played(handler, hooked=hooked, handled=handled) for hooked in (False, True)
    ]
    assert short == long
    assert short[1][-1][0] == "teardown"


async def test_what_propagates_comes_out() -> None:
    app = Flask("sockets")
    app.testing = True
    app.websocket("/")(fails)
    with pytest.raises(LookupError, match="it") as raised:
        await play(app, "/", text("x"))
    assert raised.value.__context__ is None


async def test_who_is_cancelled_is_torn_down() -> None:
    app, client, seen, started = Flask("sockets"), Client(), list[t.Any](), anyio.Event()

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        started.set()
        await websocket.receive()

    @app.teardown_websocket
    async def teardown(error: BaseException | None) -> None:
        seen.append(isinstance(error, anyio.get_cancelled_exc_class()))

    async with anyio.create_task_group() as group:
        group.start_soon(app, socket_scope("/"), *client.ends)
        await started.wait()
        group.cancel_scope.cancel()
    assert group.cancel_scope.cancelled_caught
    assert seen == [True]


async def test_the_setup_is_over_when_it_is_called() -> None:
    app = Flask("sockets")

    @app.websocket("/")
    async def handler() -> None:
        with pytest.raises(AssertionError, match="setup method"):
            app.add_url_rule("/late", view_func=answers)
        raise WebSocketDisconnect(1000)

    await play(app, "/")
    assert app._got_first_request
