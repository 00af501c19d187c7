"""Sync code of one request runs in one thread, and no thread waits for ever."""

from __future__ import annotations

import asyncio
import threading
import typing as t
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from asyncflask import Blueprint, Flask, after_this_request, g, stream_with_context

from ..conftest import Live
from .database import Database
from .load import Client, load
from .server import STACKS, HttpName, LiveServer, LoopName, serving
from .wire import request

View = Callable[[], t.Any]

stacks = pytest.mark.parametrize(("loop", "http"), STACKS)


class Threads:
    """Notes in which thread each piece of a request's sync code runs."""

    def __init__(self) -> None:
        self.requests: list[tuple[list[str], set[int]]] = []

    def begin(self) -> None:
        g.ran = []
        self.note("before")

    def note(self, what: str) -> None:
        g.ran.append((what, threading.get_ident()))

    def end(self) -> None:
        self.note("teardown")
        self.requests.append(([what for what, _ in g.ran], {thread for _, thread in g.ran}))


def make_app(threads: Threads) -> Flask:
    app = Flask(__name__)

    @app.before_request
    def before() -> None:
        threads.begin()

    @app.after_request
    def after(response: t.Any) -> t.Any:
        threads.note("after")
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        threads.end()

    @app.errorhandler(KeyError)
    def handle(error: KeyError) -> tuple[str, int]:
        threads.note("handler")
        return "handled", 418

    add_views(app, threads)
    mixed = Blueprint("mixed", __name__, url_prefix="/mixed")

    @mixed.before_request
    async def wait() -> None:
        await asyncio.sleep(0)

    @mixed.after_request
    async def wait_again(response: t.Any) -> t.Any:
        await asyncio.sleep(0)
        return response

    add_views(mixed, threads)
    app.register_blueprint(mixed)
    return app


def add_views(app: Flask | Blueprint, threads: Threads) -> None:
    """Add the views of `PATHS`; those below ``/sync`` are plain functions."""

    def note_first(view: View) -> View:
        def noting() -> t.Any:
            threads.note("view")
            return view()

        return noting

    for name, view in views(threads).items():

        async def on_loop(view: View = view) -> t.Any:
            await asyncio.sleep(0)
            return view()

        app.add_url_rule(f"/sync{name}", f"sync{name}", note_first(view))
        app.add_url_rule(f"/async{name}", f"async{name}", on_loop)


def views(threads: Threads) -> dict[str, View]:
    """Return the views that there are in both kinds."""

    def body() -> Iterator[str]:
        for _ in range(5):
            threads.note("body")
            yield "x" * 100_000

    def error() -> str:
        raise KeyError

    def later() -> str:
        after_this_request(note_later)
        return "x"

    def note_later(response: t.Any) -> t.Any:
        threads.note("later")
        return response

    return {
        "": lambda: "x",
        "/stream": body,
        "/context": lambda: stream_with_context(body()),
        "/error": error,
        "/later": later,
    }


PATHS = {
    "/sync": ["before", "view", "after", "teardown"],
    "/async": ["before", "after", "teardown"],
    "/sync/stream": ["before", "view", "after", *["body"] * 5, "teardown"],
    "/sync/context": ["before", "view", "after", *["body"] * 5, "teardown"],
    "/async/stream": ["before", "after", *["body"] * 5, "teardown"],
    "/async/context": ["before", "after", *["body"] * 5, "teardown"],
    "/sync/error": ["before", "view", "handler", "after", "teardown"],
    "/async/error": ["before", "handler", "after", "teardown"],
    "/async/later": ["before", "later", "after", "teardown"],
    "/sync/later": ["before", "view", "later", "after", "teardown"],
}


@pytest.fixture(scope="module", params=STACKS, ids="-".join)
def noted(request: pytest.FixtureRequest) -> Iterator[tuple[LiveServer, Threads]]:
    threads = Threads()
    with serving(make_app(threads), *request.param) as server:
        yield server, threads


@pytest.mark.parametrize("prefix", ["", "/mixed"])
@pytest.mark.parametrize("path", PATHS)
def test_sync_code_of_a_request_runs_in_one_thread(
    noted: tuple[LiveServer, Threads], prefix: str, path: str
) -> None:
    server, threads = noted
    threads.requests.clear()
    main = {server.on_loop(threading.get_ident), threading.get_ident()}

    async def work(number: int, client: Client) -> None:
        for _ in range(5):
            assert (await client.ask(request("GET", prefix + path))).status in (200, 418)

    load(server.address, 8, work)
    server.rest()
    assert len(threads.requests) == 40
    for ran, where in threads.requests:
        assert ran == PATHS[path]
        assert len(where) == 1
        assert not where & main


def query_often(database: Database) -> Iterator[str]:
    for _ in range(3):
        yield database.query()


@stacks
@pytest.mark.time_limit(60)
@pytest.mark.loop_limit(5.0)  # 40 threads and the clients share one interpreter with the loop
def test_sqlite_connections_stay_in_their_thread(
    live: Live, loop: LoopName, http: HttpName, tmp_path: Path
) -> None:
    database = Database(tmp_path / "some.db")
    app = Flask(__name__)
    app.before_request(database.open)
    app.teardown_appcontext(database.close)
    app.add_url_rule("/sync", "sync", database.query)
    app.add_url_rule("/stream", "stream", partial(query_often, database))

    @app.get("/async")
    async def async_view() -> Iterator[str]:
        await asyncio.sleep(0)
        return query_often(database)

    server = live(app, loop=loop, http=http)

    async def work(number: int, client: Client) -> None:
        for turn in range(10):
            path = ("/sync", "/stream", "/async")[(number + turn) % 3]
            reply = await client.ask(request("GET", path))
            assert (reply.status, {*reply.body.split(b"kept")}) == (200, {b""})

    load(server.address, 100, work)
    server.rest()
    assert database.errors == []
    assert database.closing_threads == {"asyncflask-worker": 1000}


@stacks
def test_views_that_call_back_need_no_other_thread(
    live: Live, loop: LoopName, http: HttpName
) -> None:
    """200 at once, and 4 workers: if a call back into the loop took one of them, all would stop."""
    app = Flask(__name__)
    app.config["SYNC_WORKERS"] = 4

    @app.get("/")
    def view() -> str:
        def inner() -> str:
            return t.cast("str", app.async_to_sync(deepest)())

        async def deepest() -> str:
            await asyncio.sleep(0)
            return "deep"

        async def middle() -> str:
            await asyncio.sleep(0.001)
            return await deepest()

        return f"{app.async_to_sync(middle)()} {inner()}"

    server = live(app, loop=loop, http=http)
    done: list[bytes] = []

    async def work(number: int, client: Client) -> None:
        done.append((await client.ask(request("GET", "/"))).body)

    load(server.address, 200, work)
    assert done == [b"deep deep"] * 200
