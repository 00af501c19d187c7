"""Every place, every kind of exception, sync and async: the handler that a ``try`` would choose.

A group is an exception like others: the handler of `ExceptionGroup` or of `Exception` gets it as it
is, and that of what it holds does not. What nothing handles is a 500 and one line in the log; what
is raised in the middle of a body cuts it. Whatever happens, every teardown function runs, also
if one of them raises, and nothing is told of a task or a future that nobody asked for its error.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import typing as t
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import anyio.lowlevel
import pytest

from asyncflask import Blueprint, Flask, Response, request, streaming_response

from .server import PATIENCE, STACKS, Site, serving
from .trio_server import TrioServer, serving_on_trio
from .wire import request as raw_request


class Own(Exception):
    """An exception of the app's own."""


KINDS: dict[str, Callable[[], BaseException]] = {
    "plain": Own,
    "group of one": lambda: ExceptionGroup("one", [Own()]),
    "group of two": lambda: ExceptionGroup("two", [Own(), LookupError()]),
    "cancelled": asyncio.CancelledError,
}

PLACES = ["before", "view", "after", "teardown", "generator", "block"]

#: For which exceptions there are handlers.
HANDLED: dict[str, list[type[Exception]]] = {
    "all three": [Own, ExceptionGroup, Exception],
    "no groups": [Own, Exception],
    "its own": [Own],
    "none": [],
}

SITES: dict[str, Callable[[t.Any], AbstractContextManager[Site]]] = {
    "-".join(stack): partial(serving, loop=stack[0], http=stack[1]) for stack in STACKS
}
SITES["trio"] = serving_on_trio


def raise_at(place: str) -> None:
    """Raise what the request asks for, if it is to be raised here."""
    if request.args["place"] == place:
        raise KINDS[request.args["kind"]]()


def name_of(error: BaseException) -> str:
    """Return what a handler was given, without what it holds being looked for."""
    original = getattr(error, "original_exception", None)
    held = getattr(error, "exceptions", ())
    return type(error).__name__ + (f"({name_of(original)})" if original else f"{len(held)}")


def make_app(handled: list[type[Exception]], torn_down: threading.Semaphore) -> Flask:
    app = Flask(__name__)
    for views in (sync_views(handled, torn_down), async_views(handled, torn_down)):
        app.register_blueprint(views, url_prefix=f"/{views.name}")
    return app


def sync_views(handled: list[type[Exception]], torn_down: threading.Semaphore) -> Blueprint:
    views = Blueprint("sync", __name__)

    @views.before_request
    def before() -> None:
        raise_at("before")

    @views.after_request
    def after(response: Response) -> Response:
        raise_at("after")
        return response

    @views.teardown_request
    def last(error: BaseException | None) -> None:
        torn_down.release()

    @views.teardown_request
    def teardown(error: BaseException | None) -> None:
        raise_at("teardown")

    @views.teardown_request
    def first(error: BaseException | None) -> None:
        torn_down.release()

    @views.get("/")
    def view() -> t.Any:
        raise_at("view")
        return body() if request.args["place"] == "generator" else "made"

    def body() -> Iterator[str]:
        yield "begun"
        raise_at("generator")

    for kind in handled:
        views.register_error_handler(kind, handler(kind))
    return views


def handler(kind: type[Exception]) -> t.Any:
    def handle(error: Exception) -> tuple[str, int]:
        return f"{kind.__name__} got {name_of(error)}", 418

    return handle


def async_views(handled: list[type[Exception]], torn_down: threading.Semaphore) -> Blueprint:
    views = Blueprint("async", __name__)

    @views.before_request
    async def before() -> None:
        raise_at("before")

    @views.after_request
    async def after(response: Response) -> Response:
        raise_at("after")
        return response

    @views.teardown_request
    async def last(error: BaseException | None) -> None:
        torn_down.release()

    @views.teardown_request
    async def teardown(error: BaseException | None) -> None:
        await anyio.lowlevel.checkpoint()
        raise_at("teardown")

    @views.teardown_request
    async def first(error: BaseException | None) -> None:
        await anyio.lowlevel.checkpoint()
        torn_down.release()

    @views.get("/")
    async def view() -> t.Any:
        await anyio.lowlevel.checkpoint()
        raise_at("view")
        if request.args["place"] == "block":
            async with streaming_response() as out:
                await out.send("begun")
                raise_at("block")
        return body() if request.args["place"] == "generator" else "made"

    async def body() -> AsyncIterator[str]:
        yield "begun"
        raise_at("generator")

    for kind in handled:
        views.register_error_handler(kind, async_handler(kind))
    return views


def async_handler(kind: type[Exception]) -> t.Any:
    handle = handler(kind)

    async def handle_on_loop(error: Exception) -> tuple[str, int]:
        await anyio.lowlevel.checkpoint()
        return t.cast("tuple[str, int]", handle(error))

    return handle_on_loop


def expected(place: str, kind: str, handled: list[type[Exception]]) -> str | None:
    """Return what the handler says that a ``try`` would choose; None if there is none."""
    error = KINDS[kind]()
    if not isinstance(error, Exception) or place == "teardown":  # the response was made before
        return None
    name = name_of(error)
    if place == "after":  # of the whole app, a 500 is to be made (as in Flask)
        name = f"InternalServerError({name})"
        return f"Exception got {name}" if Exception in handled else None
    for each in handled:
        try:
            raise error
        except each:
            return f"{each.__name__} got {name}"
        except Exception:
            continue
    return None


@pytest.fixture(scope="module")
def torn_down() -> threading.Semaphore:
    return threading.Semaphore(0)


@pytest.fixture(scope="module", params=SITES)
def make_site(request: pytest.FixtureRequest) -> t.Any:
    return SITES[request.param]


@pytest.fixture(scope="module", params=HANDLED)
def handled(request: pytest.FixtureRequest) -> list[type[Exception]]:
    return HANDLED[request.param]


@pytest.fixture(scope="module")
def site(
    make_site: t.Any, handled: list[type[Exception]], torn_down: threading.Semaphore
) -> Iterator[Site]:
    with make_site(make_app(handled, torn_down)) as site:
        yield site


#: Each place in code of both kinds; an `async with` block is in no plain function.
CELLS = [(place, kind) for place in PLACES for kind in ("sync", "async")]
CELLS.remove(("block", "sync"))


@pytest.mark.parametrize(("place", "flavour"), CELLS)
def test_cell(
    site: Site,
    handled: list[type[Exception]],
    torn_down: threading.Semaphore,
    place: str,
    flavour: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for kind in KINDS:
        if kind == "cancelled" and isinstance(site, TrioServer):
            continue  # nobody can raise trio's, and asyncio's means nothing to it
        sent = ask(site, flavour, place, kind)
        for _ in range(2):
            assert torn_down.acquire(timeout=PATIENCE), kind
        if place in ("generator", "block"):
            assert sent.startswith(b"HTTP/1.1 200 "), kind
            assert b"begun" in sent, kind
            assert not sent.endswith(b"0\r\n\r\n"), "it cannot be told from a whole one"
        else:
            wanted = expected(place, kind, handled)
            status, end = (500, b"") if wanted is None else (418, wanted.encode())
            assert sent.startswith(b"HTTP/1.1 %d " % status), (kind, sent)
            assert sent.endswith(end), kind
    gc.collect()
    for record in caplog.records:
        assert record.levelno == logging.ERROR
        assert "never" not in record.getMessage(), record
    assert not torn_down.acquire(blocking=False)


def ask(site: Site, flavour: str, place: str, kind: str) -> bytes:
    """Return all that the server sends."""
    with site.connect() as connection:
        query = f"place={place}&kind={kind.replace(' ', '+')}"
        connection.send(raw_request("GET", f"/{flavour}/?{query}", "Connection: close"))
        return connection.rest()
