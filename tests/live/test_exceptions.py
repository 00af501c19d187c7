"""Whatever is raised, wherever: an answer, all teardown functions, and a server that serves on."""

from __future__ import annotations

import asyncio
import logging
import threading
import typing as t
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from asyncflask import Flask, Response, request

from .server import PATIENCE, STACKS, LiveServer, serving
from .wire import request as raw_request


class Own(Exception):
    """An exception that nothing knows."""


KINDS: dict[str, Callable[[], BaseException]] = {
    "exception": Own,
    "group": lambda: ExceptionGroup("several", [Own()]),
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "GeneratorExit": GeneratorExit,
    "CancelledError": asyncio.CancelledError,
    "BaseException": BaseException,
    "TimeoutError": TimeoutError,
    "ConnectionResetError": ConnectionResetError,
    "RecursionError": RecursionError,
}


def raise_at(place: str) -> None:
    """Raise what the request asks for, if it is to be raised here."""
    if request.args["place"] == place:
        raise KINDS[request.args["kind"]]()


def make_app(torn_down: threading.Semaphore, bridged: bool) -> Flask:
    app = Flask(__name__)
    if bridged:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]

    @app.teardown_request
    def last(error: BaseException | None) -> None:
        torn_down.release()

    add_hooks(app)
    add_handlers(app)

    @app.teardown_request
    def first(error: BaseException | None) -> None:
        torn_down.release()

    @app.get("/sync")
    def sync_view() -> t.Any:
        return respond()

    @app.get("/async")
    async def async_view() -> t.Any:
        return respond()

    return app


def respond() -> t.Any:
    """Do what any view does, or what the place calls for."""
    place = request.args["place"]
    raise_at("view")
    if place.endswith("handler"):
        raise KeyError if place == "sync handler" else IndexError
    made: dict[str, Callable[[], t.Any]] = {"stream": body, "stream on the loop": body_on_loop}
    response = Response(made.get(place, lambda: "made")())
    response.call_on_close(lambda: raise_at("close"))
    return response


def body() -> Iterator[str]:
    yield "begun"
    raise_at("stream")
    yield "not reached"


async def body_on_loop() -> AsyncIterator[str]:
    yield "begun"
    await asyncio.sleep(0)
    raise_at("stream on the loop")
    yield "not reached"


def add_hooks(app: Flask) -> None:
    @app.before_request
    def before() -> None:
        raise_at("sync before")

    @app.before_request
    async def before_on_loop() -> None:
        raise_at("async before")

    @app.after_request
    def after(response: Response) -> Response:
        raise_at("sync after")
        return response

    @app.after_request
    async def after_on_loop(response: Response) -> Response:
        raise_at("async after")
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        raise_at("sync teardown")

    @app.teardown_request
    async def teardown_on_loop(error: BaseException | None) -> None:
        raise_at("async teardown")


def add_handlers(app: Flask) -> None:
    @app.errorhandler(KeyError)
    def handle(error: Exception) -> str:
        raise_at("sync handler")
        return ""

    @app.errorhandler(IndexError)
    async def handle_on_loop(error: Exception) -> str:
        raise_at("async handler")
        return ""


@pytest.fixture(scope="module")
def torn_down() -> threading.Semaphore:
    return threading.Semaphore(0)


@pytest.fixture(scope="module", params=STACKS, ids="-".join)
def stack(request: pytest.FixtureRequest) -> t.Any:
    return request.param


@pytest.fixture(scope="module", params=[False, True], ids=["direct", "bridged"])
def target(
    request: pytest.FixtureRequest, stack: t.Any, torn_down: threading.Semaphore
) -> Iterator[LiveServer]:
    with serving(make_app(torn_down, request.param), *stack) as server:
        yield server


HANDLED = ["view"] + [
    f"{kind} {what}"
    for what in ("before", "after", "teardown", "handler")
    for kind in ("sync", "async")
]


def ask(target: LiveServer, path: str, place: str, kind: str) -> bytes:
    """Return all that the server sends."""
    with target.connect() as connection:
        query = f"place={place.replace(' ', '+')}&kind={kind}"
        connection.send(raw_request("GET", f"{path}?{query}", "Connection: close"))
        return connection.rest()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_what_is_raised_before_the_answer_is_a_500(
    target: LiveServer,
    torn_down: threading.Semaphore,
    path: str,
    kind: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for place in HANDLED:
        caplog.clear()
        assert ask(target, path, place, kind).startswith(b"HTTP/1.1 500 "), place
        for _ in range(2):
            assert torn_down.acquire(timeout=PATIENCE), place
        target.rest()
        # Flask runs the hooks over the 500 too: what fails there again is told again.
        assert {record.levelno for record in caplog.records} == {logging.ERROR}, place
        assert len(caplog.records) <= (2 if "after" in place else 1), place


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_what_is_raised_in_the_middle_of_a_stream_cuts_it(
    target: LiveServer,
    torn_down: threading.Semaphore,
    path: str,
    kind: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The client can tell that it has not got the whole: the last chunk does not come."""
    for place in ("stream", "stream on the loop"):
        caplog.clear()
        sent = ask(target, path, place, kind)
        assert sent.startswith(b"HTTP/1.1 200 ")
        assert b"begun" in sent
        assert not sent.endswith(b"0\r\n\r\n")
        for _ in range(2):
            assert torn_down.acquire(timeout=PATIENCE), place
        target.rest()
        assert any(record.exc_info for record in caplog.records), place


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_what_is_raised_when_all_is_sent_changes_nothing(
    target: LiveServer, torn_down: threading.Semaphore, path: str, kind: str
) -> None:
    sent = ask(target, path, "close", kind)
    assert sent.startswith(b"HTTP/1.1 200 ")
    assert sent.endswith(b"made")
    for _ in range(2):
        assert torn_down.acquire(timeout=PATIENCE)
