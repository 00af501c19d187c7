"""Whatever is raised around a websocket, wherever: the right handler, all teardown functions."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import typing as t
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from asyncflask import Blueprint, Flask, Response, request, websocket

from ..conftest import Live
from .server import PATIENCE, LiveServer, serving
from .sockets import OLD, SOCKET_STACKS, Heard, RawSocket, Stack, open_socket

pytestmark = pytest.mark.filterwarnings(OLD)
stacks = pytest.mark.parametrize("socket_stack", SOCKET_STACKS, ids="-".join)

#: The websocket as sync code sees it, whose methods return what they do.
here: t.Any = websocket


class Own(Exception):
    """An exception that only this test knows."""


class Derived(Own):
    """One that a handler of `Own` gets."""


WHAT: dict[str, Callable[[], BaseException]] = {
    "plain": Own,
    "derived": Derived,
    "one": lambda: ExceptionGroup("one", [Own()]),
    "two": lambda: ExceptionGroup("two", [Own(), KeyError()]),
    "cancelled": asyncio.CancelledError,
}

#: Places that have error handlers, as far as the websocket may be open by then, and others.
BEFORE = ["before", "view"]
BEHIND = ["accepted view", "source"]
UNHANDLED = ["after", "teardown"]


def raise_at(place: str) -> None:
    """Raise what the handshake asks for, if it is to be raised here."""
    if request.args["place"] == place:
        raise WHAT[request.args["what"]]()


def make_app(torn_down: threading.Semaphore, heard: Heard) -> Flask:
    """Return an app that raises wherever it is asked to."""
    app = Flask(__name__)

    @app.teardown_websocket
    def last(error: BaseException | None) -> None:
        torn_down.release()

    app.register_blueprint(on_loop(torn_down))
    app.register_blueprint(in_thread(torn_down))

    @app.errorhandler(Own)
    def own(error: Own) -> t.Any:
        heard.put(type(error))
        return "own", 418

    @app.errorhandler(ExceptionGroup)
    async def group(error: ExceptionGroup[t.Any]) -> t.Any:
        heard.put(type(error))
        return "group", 503

    return app


def on_loop(torn_down: threading.Semaphore) -> Blueprint:
    blueprint = Blueprint("async", __name__, url_prefix="/async")

    @blueprint.teardown_websocket
    async def behind(error: BaseException | None) -> None:
        torn_down.release()

    @blueprint.before_websocket
    async def before() -> None:
        raise_at("before")

    @blueprint.after_websocket
    async def after(response: Response | None) -> Response | None:
        raise_at("after")
        return response

    @blueprint.teardown_websocket
    async def teardown(error: BaseException | None) -> None:
        raise_at("teardown")

    async def source() -> AsyncIterator[str]:
        yield "one"
        raise_at("source")

    @blueprint.websocket("")
    async def view() -> None:
        raise_at("view")
        await websocket.accept()
        raise_at("accepted view")
        if request.args["place"] == "source":
            async with websocket.sending(source()):
                await websocket.receive()

    return blueprint


def in_thread(torn_down: threading.Semaphore) -> Blueprint:
    blueprint = Blueprint("sync", __name__, url_prefix="/sync")

    @blueprint.teardown_websocket
    def behind(error: BaseException | None) -> None:
        torn_down.release()

    @blueprint.before_websocket
    def before() -> None:
        raise_at("before")

    @blueprint.after_websocket
    def after(response: Response | None) -> Response | None:
        raise_at("after")
        return response

    @blueprint.teardown_websocket
    def teardown(error: BaseException | None) -> None:
        raise_at("teardown")

    @blueprint.websocket("")
    def view() -> None:
        raise_at("view")
        here.accept()
        raise_at("accepted view")

    return blueprint


@pytest.fixture(scope="module")
def torn_down() -> threading.Semaphore:
    return threading.Semaphore(0)


@pytest.fixture(scope="module")
def handling(
    socket_stack: Stack, torn_down: threading.Semaphore, heard: Heard
) -> Iterator[LiveServer]:
    """A server of the app."""
    with serving(make_app(torn_down, heard), **socket_stack._asdict()) as server:
        yield server


@pytest.fixture(scope="module")
def bare(socket_stack: Stack, torn_down: threading.Semaphore, heard: Heard) -> Iterator[LiveServer]:
    """A server of the app without its error handlers."""
    app = make_app(torn_down, heard)
    app.error_handler_spec.clear()
    with serving(app, **socket_stack._asdict()) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_unheard(
    torn_down: threading.Semaphore, heard: Heard, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Fail the test after which a teardown function has run twice, or an error is unheard of."""
    yield
    gc.collect()
    assert heard.empty()
    assert not torn_down.acquire(blocking=False)
    assert "never" not in caplog.text


def ask(server: LiveServer, kind: str, place: str, what: str) -> int | None:
    """Open a websocket where something is raised; return the status, or the code, that ends it."""
    path = f"{kind}?place={place.replace(' ', '+')}&what={what}"
    try:
        with open_socket(server, path) as socket:
            try:
                while True:
                    socket.recv(PATIENCE)
            except ConnectionClosed:
                return socket.close_code
    except InvalidStatus as denied:
        return denied.response.status_code
    finally:
        server.rest()


def wait_for_teardowns(torn_down: threading.Semaphore) -> None:
    for _ in range(2):
        assert torn_down.acquire(timeout=PATIENCE)


def errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what was logged with an exception, once for each."""
    return [record for record in caplog.records if record.exc_info]


RAISED = ["plain", "derived", "one", "two"]
PLACES = [
    *(("/async", place) for place in (*BEFORE, *BEHIND)),
    *(("/sync", place) for place in (*BEFORE, "accepted view")),
]


@pytest.mark.parametrize("what", RAISED)
@pytest.mark.parametrize(("kind", "place"), PLACES)
def test_the_handler_that_a_try_would_choose(
    handling: LiveServer,
    torn_down: threading.Semaphore,
    heard: Heard,
    kind: str,
    place: str,
    what: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The class of what was raised decides; no group is unwrapped, and none is made."""
    ended = ask(handling, kind, place, what)
    of_own = what in ("plain", "derived")
    if place in BEFORE:
        assert ended == (418 if of_own else 503)
    else:
        assert ended == (1008 if of_own else 1013)
    wait_for_teardowns(torn_down)
    assert heard.next() is type(WHAT[what]())
    assert errors(caplog) == []


@pytest.mark.parametrize("what", RAISED)
@pytest.mark.parametrize(("kind", "place"), PLACES)
def test_no_handler(
    bare: LiveServer,
    torn_down: threading.Semaphore,
    kind: str,
    place: str,
    what: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert ask(bare, kind, place, what) == (500 if place in BEFORE else 1011)
    wait_for_teardowns(torn_down)
    assert [type(record.exc_info[1]) for record in errors(caplog) if record.exc_info] == [
        type(WHAT[what]())
    ]


@pytest.mark.parametrize("what", RAISED)
@pytest.mark.parametrize("place", UNHANDLED)
@pytest.mark.parametrize("kind", ["/async", "/sync"])
def test_behind_the_handler(
    handling: LiveServer,
    torn_down: threading.Semaphore,
    kind: str,
    place: str,
    what: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As with requests, error handlers are for what comes before; the websocket is open still."""
    assert ask(handling, kind, place, what) == 1011
    wait_for_teardowns(torn_down)
    # As in Flask, the hook runs over what its failure has led to: what fails again is told again.
    assert len(errors(caplog)) == (2 if place == "after" else 1)


@pytest.mark.parametrize("place", [*BEFORE, *BEHIND, *UNHANDLED])
@pytest.mark.parametrize("kind", ["/async", "/sync"])
def test_cancelled_by_hand(
    handling: LiveServer, torn_down: threading.Semaphore, kind: str, place: str
) -> None:
    """What means the end of a task is for no handler; the server ends the websocket."""
    if (kind, place) == ("/sync", "source"):
        pytest.skip("only coroutines send beside something else")
    ended = ask(handling, kind, place, "cancelled")
    assert ended == 500 if place in BEFORE else ended in (1006, 1011)
    wait_for_teardowns(torn_down)


@pytest.mark.parametrize("kind", ["/async", "/sync"])
@pytest.mark.parametrize("place", BEFORE)
def test_propagating_before_the_acceptance(
    bare: LiveServer,
    torn_down: threading.Semaphore,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    place: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(bare.app.config, "PROPAGATE_EXCEPTIONS", True)
    assert ask(bare, kind, place, "plain") == 500
    wait_for_teardowns(torn_down)
    assert [record.name for record in errors(caplog)] == ["uvicorn.error"]


@pytest.mark.parametrize(
    ("kind", "place"),
    [("/async", "accepted view"), ("/async", "source"), ("/sync", "accepted view")],
)
def test_propagating_behind_the_acceptance(
    bare: LiveServer,
    torn_down: threading.Semaphore,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    place: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(bare.app.config, "PROPAGATE_EXCEPTIONS", True)
    assert ask(bare, kind, place, "one") == 1011
    wait_for_teardowns(torn_down)
    assert [record.name for record in errors(caplog)] == ["uvicorn.error"]


WAITING = ["before", "view", "receive", "source", "after", "teardown"]


@stacks
@pytest.mark.parametrize("place", WAITING)
def test_cancelled_by_the_server(
    live: Live, socket_stack: Stack, place: str, torn_down: threading.Semaphore
) -> None:
    """Its task ends where it waits; all teardown functions run, that one's too."""
    app = Flask(__name__)
    waiting, closed = threading.Event(), threading.Event()
    hooks = ["before", "after", "teardown"]

    async def wait_at(here: str) -> None:
        if here == place:
            waiting.set()
            await asyncio.Event().wait()

    async def source() -> AsyncIterator[str]:
        try:
            yield "one"
            await wait_at("source")
        finally:
            closed.set()

    @app.teardown_websocket
    async def last(error: BaseException | None) -> None:
        torn_down.release()

    @app.before_websocket
    async def before() -> None:
        await wait_at("before")

    @app.after_websocket
    async def after(response: Response | None) -> Response | None:
        await wait_at("after")
        return response

    @app.teardown_websocket
    async def teardown(error: BaseException | None) -> None:
        await wait_at("teardown")

    @app.teardown_websocket
    async def first(error: BaseException | None) -> None:
        torn_down.release()

    @app.websocket("/")
    async def view() -> None:
        await websocket.accept()
        await wait_at("view")
        if place == "receive":
            waiting.set()
        if place not in hooks:
            async with websocket.sending(source()):
                await websocket.receive()

    server = live(app, **socket_stack._asdict())
    with RawSocket(server, "/") as client:
        assert waiting.wait(PATIENCE)
        cancel_all(server)
        client.rest()
    wait_for_teardowns(torn_down)
    assert closed.is_set() is (place in ("receive", "source"))
    server.rest()


@stacks
def test_a_waiting_thread_is_cancelled_by_the_server(
    live: Live, socket_stack: Stack, torn_down: threading.Semaphore, heard: Heard
) -> None:
    app = Flask(__name__)
    waiting = threading.Event()

    @app.teardown_websocket
    def last(error: BaseException | None) -> None:
        torn_down.release()

    @app.teardown_websocket
    def first(error: BaseException | None) -> None:
        torn_down.release()

    @app.websocket("/")
    def view() -> None:
        here.accept()
        waiting.set()
        try:
            here.receive()
        finally:
            heard.put("woken")

    server = live(app, **socket_stack._asdict())
    with RawSocket(server, "/") as client:
        assert waiting.wait(PATIENCE)
        cancel_all(server)
        client.rest()
    wait_for_teardowns(torn_down)
    assert heard.next() == "woken"
    server.rest()


def cancel_all(server: LiveServer) -> None:
    """Do what uvicorn does when the time for a shutdown is over."""
    server.on_loop(lambda: [task.cancel() for task in server.server_state.tasks])
