"""Other ways between sync and async code, in views: anyio's and asgiref's."""

from __future__ import annotations

import threading
import typing as t
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest
from asgiref.sync import async_to_sync, sync_to_async

from asyncflask import Flask, g, workers
from asyncflask.exceptions import LoopCancelled

from .load import Client, load
from .server import PATIENCE, STACKS, Site, serving
from .trio_server import serving_on_trio
from .wire import request

var: ContextVar[str] = ContextVar("var", default="unset")

#: Each view is asked for by so many clients at once, so often; there are `THREADS` threads.
CLIENTS, ROUNDS, THREADS = 16, 5, 2


def make_app() -> Flask:
    app = Flask(__name__)
    app.config["SYNC_WORKERS"] = THREADS
    app.teardown_appcontext(nothing)
    add_anyio_views(app)
    add_asgiref_views(app)
    return app


def nothing(error: BaseException | None) -> None:
    """Be sync code that runs at the end of each context."""


def add_anyio_views(app: Flask) -> None:
    @app.get("/run")
    def run() -> str:
        async def on_loop(value: str) -> tuple[int, str]:
            await anyio.lowlevel.checkpoint()
            async with app.app_context():  # whose teardown function comes back to this thread
                g.thread = threading.get_ident()
            found, _ = var.get(), var.set("back")
            return threading.get_ident(), found + value

        var.set("there ")
        loop, found = anyio.from_thread.run(on_loop, "and")
        assert loop != threading.get_ident()
        return f"{found} {var.get()}"

    @app.get("/run_sync")
    def run_sync() -> str:
        loop = anyio.from_thread.run_sync(threading.get_ident)
        assert loop != threading.get_ident()
        anyio.from_thread.check_cancelled()
        return "there and back"

    @app.get("/fails")
    def fails() -> str:
        async def fail() -> None:
            raise LookupError("there and back")

        try:
            anyio.from_thread.run(fail)
        except LookupError as error:
            return str(error)
        return "no error"

    @app.get("/threads")
    def threads() -> str:
        async def on_loop() -> int:
            return await anyio.to_thread.run_sync(in_thread)

        def in_thread() -> int:  # one of anyio's own
            return anyio.from_thread.run(deepest)

        async def deepest() -> int:
            return t.cast("int", await anyio.to_thread.run_sync(threading.get_ident))

        assert app.async_to_sync(on_loop)() != threading.get_ident()
        return "there and back"


def add_asgiref_views(app: Flask) -> None:
    """Add views with asgiref's functions, which know asyncio only."""

    def deep(depth: int) -> int:
        return async_to_sync(on_loop)(depth - 1) + 1 if depth else 0

    async def on_loop(depth: int) -> int:
        return int(await sync_to_async(deep)(depth)) + 1

    @app.get("/asgiref")
    def from_sync() -> str:
        assert deep(3) == 6
        return "there and back"

    @app.get("/async_asgiref")
    async def from_async() -> str:
        assert await on_loop(3) == 7
        return "there and back"

    @app.get("/asgiref_and_ours")
    def both() -> str:
        async def ours() -> int:
            async with app.app_context():
                return int(await sync_to_async(deep)(1))

        assert app.async_to_sync(ours)() == 2
        assert async_to_sync(ours)() == 2
        return "there and back"


ANYIO = ["/run", "/run_sync", "/fails", "/threads"]
ASGIREF = ["/asgiref", "/async_asgiref", "/asgiref_and_ours"]


@pytest.fixture(params=["trio", *map("-".join, STACKS)])
def server(request: pytest.FixtureRequest) -> Iterator[Callable[[Flask], t.Any]]:
    """How to serve an app: on trio, or in one of uvicorn's ways."""
    if request.param == "trio":
        yield serving_on_trio
    else:
        loop, http = request.param.split("-")
        yield lambda app: serving(app, loop, http)


def ask_all(site: Site, paths: list[str]) -> None:
    async def work(number: int, client: Client) -> None:
        for turn in range(ROUNDS * len(paths)):
            path = paths[(number + turn) % len(paths)]
            reply = await client.ask(request("GET", path))
            assert (reply.status, reply.body) == (200, b"there and back"), path

    load(site.address, CLIENTS, work)


@pytest.mark.loop_limit(5.0)
@pytest.mark.grace(15.0)  # for the threads that anyio keeps for 10 seconds
def test_anyio_finds_the_way_from_a_worker_thread(server: Callable[[Flask], t.Any]) -> None:
    with server(make_app()) as site:
        ask_all(site, ANYIO)


@pytest.mark.parametrize(("loop", "http"), STACKS)
@pytest.mark.loop_limit(5.0)
def test_asgiref_goes_down_and_comes_back(loop: t.Any, http: t.Any) -> None:
    with serving(make_app(), loop, http) as site:
        ask_all(site, ASGIREF)


@pytest.mark.anyio
async def test_anyio_tells_a_thread_that_its_work_is_not_wanted() -> None:
    """`check_cancelled` raises once whoever waits for the thread is cancelled; not before."""
    app = Flask(__name__)
    begun, checked = threading.Event(), threading.Event()
    lane = workers.Lane(app._pool())
    ended: list[bool] = []

    def work() -> None:
        anyio.from_thread.check_cancelled()
        begun.set()
        assert checked.wait(PATIENCE)
        try:
            anyio.from_thread.check_cancelled()
        except LoopCancelled:
            ended.append(lane.interrupted)
            raise

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(lane.run, work)
            await anyio.to_thread.run_sync(begun.wait)
            scope.cancel()
            group.start_soon(set_when_interrupted, lane, checked)
    assert scope.cancelled_caught
    assert ended == [True]
    await app._budgets.close()


async def set_when_interrupted(lane: workers.Lane, event: threading.Event) -> None:
    with anyio.CancelScope(shield=True):
        while not lane.interrupted:
            await anyio.lowlevel.checkpoint()
        event.set()
