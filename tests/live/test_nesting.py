"""Sync code that calls async code that calls sync code: to any depth, from anywhere, in one thread.

There are far fewer threads than requests. If any step down took another thread, all would stop; the
time limit that every test has would show where.
"""

from __future__ import annotations

import asyncio
import threading
import time
import typing as t
from collections import Counter
from collections.abc import Iterator
from contextvars import copy_context

import pytest

from asyncflask import Flask, g, pools, render_template_string, stream_with_context
from asyncflask import request as current_request
from asyncflask.templating import render_template_string_async

from .. import awake
from ..conftest import Live
from .load import Client, load
from .server import PATIENCE, STACKS, HttpName, LoopName, serving
from .wire import request

stacks = pytest.mark.parametrize(("loop", "http"), STACKS)

DEPTH = 8
CLIENTS = 40

#: Requests of each client to each place: 1,000 to a place with what is fast.
ROUNDS = {"uvloop": 25, "asyncio": 3}


class Nest:
    """Goes down, and notes how deep it came and in which threads its sync code ran.

    A step down is two: sync code waits for a coroutine, which opens an app context, whose teardown
    function is sync code and goes on.

    :param app: the app whose contexts it opens.
    """

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.reached: Counter[tuple[str, int, bool]] = Counter()
        app.teardown_appcontext(self._step)

    def down(self, where: str, depth: int = DEPTH) -> None:
        """Go down, from sync code, and come back."""
        threads: list[int] = [threading.get_ident()]
        self.app.async_to_sync(self.on_loop)(depth, threads)
        self.reached[where, len(threads) - 1, len({*threads}) == 1] += 1

    async def on_loop(self, depth: int, threads: list[int]) -> None:
        """Go down, from async code."""
        await asyncio.sleep(0)
        if depth:
            async with self.app.app_context():
                g.nest = (depth, threads)

    def _step(self, error: BaseException | None) -> None:
        if "nest" in g:
            depth, threads = g.nest
            threads.append(threading.get_ident())
            self.app.async_to_sync(self.on_loop)(depth - 1, threads)


#: Where a request goes down, with the path that does.
PLACES = ["view", "before", "after", "teardown", "error", "template", "stream", "mixed", "wide"]


def make_app() -> tuple[Flask, Nest]:
    app = Flask(__name__)
    app.config["SYNC_WORKERS"] = 4
    nest = Nest(app)
    add_hooks(app, nest)

    @app.template_global()
    def down() -> str:
        nest.down("template")
        return "x"

    @app.get("/view")
    def view() -> str:
        nest.down("view")
        return "x"

    @app.get("/before")
    @app.get("/after")
    @app.get("/teardown")
    def nothing() -> str:
        return "x"

    @app.get("/error")
    def error() -> str:
        raise KeyError

    @app.get("/template")
    def template() -> str:
        return render_template_string("{{ down() }}")

    @app.get("/stream")
    def stream() -> Iterator[str]:
        def body() -> Iterator[str]:
            nest.down("stream")
            yield "x"

        return stream_with_context(body())

    @app.get("/mixed")
    async def mixed() -> str:
        await nest.on_loop(1, [])
        return "x"

    @app.get("/wide")
    def wide() -> str:
        async def several() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(nest.on_loop(DEPTH // 4, []))

        app.async_to_sync(several)()
        nest.reached["wide", DEPTH, True] += 1
        return "x"

    return app, nest


def add_hooks(app: Flask, nest: Nest) -> None:
    """Add hooks that go down for the path that is named for them."""

    def is_for(name: str) -> bool:
        return bool(g.path == f"/{name}")

    @app.before_request
    def before() -> None:
        g.path = current_request.path
        if is_for("before"):
            nest.down("before")

    @app.after_request
    def after(response: t.Any) -> t.Any:
        if is_for("after") or is_for("mixed"):
            nest.down(g.path[1:])
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        if is_for("teardown"):
            nest.down("teardown")

    @app.errorhandler(KeyError)
    def handle(error: KeyError) -> str:
        nest.down("error")
        return "x"


@stacks
@pytest.mark.time_limit(60)
@pytest.mark.loop_limit(5.0)
def test_a_server_with_four_threads_goes_down_from_everywhere(
    live: Live, loop: LoopName, http: HttpName
) -> None:
    app, nest = make_app()
    server = live(app, loop=loop, http=http)

    rounds = ROUNDS[loop]

    async def work(number: int, client: Client) -> None:
        for turn in range(rounds * len(PLACES)):
            path = PLACES[(number + turn) % len(PLACES)]
            reply = await client.ask(request("GET", f"/{path}"))
            assert (reply.status, reply.body) == (200, b"x")

    load(server.address, CLIENTS, work)
    server.rest()
    assert nest.reached == {(place, DEPTH, True): CLIENTS * rounds for place in PLACES}


def test_the_test_client_goes_down_from_everywhere() -> None:
    app, nest = make_app()
    client = app.test_client()
    for _ in range(10):
        for place in PLACES:
            assert client.get(f"/{place}").text == "x"
    assert nest.reached == {(place, DEPTH, True): 10 for place in PLACES}


async def test_the_async_client_goes_down_from_everywhere() -> None:
    app, nest = make_app()
    async with app.async_client() as client:
        for _ in range(10):
            for place in PLACES:
                assert (await client.get(f"/{place}")).text == "x"
    assert nest.reached == {(place, DEPTH, True): 10 for place in PLACES}


def test_a_command_goes_down() -> None:
    app, nest = make_app()

    @app.cli.command("sync")
    def sync_command() -> None:
        nest.down("command")

    @app.cli.command("async")
    async def async_command() -> None:
        await nest.on_loop(DEPTH, [])
        nest.reached["command", DEPTH, True] += 1

    for name in ("sync", "async"):
        result = app.test_cli_runner().invoke(args=[name])
        assert result.exception is None
    assert nest.reached == {("command", DEPTH, True): 2}


def test_plain_threads_go_down() -> None:
    """8 threads x 125: each waits for the process's own loop, and does what is asked for there."""
    app, nest = make_app()

    def main() -> None:
        for _ in range(125):
            with app.app_context():
                nest.down("thread")

    threads = [threading.Thread(target=main) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert nest.reached == {("thread", DEPTH, True): 1000}


def app_with_rendering() -> Flask:
    """Make an app with templates that are rendered on a loop and say where sync code ran."""
    app = Flask(__name__)
    app.before_request(nothing)

    @app.context_processor
    def thread() -> dict[str, int]:
        return {"thread": threading.get_ident()}

    async def render() -> int:
        return int(await render_template_string_async("{{ thread }}"))

    @app.get("/own_thread")
    def own_thread() -> str:
        found: list[bool] = []

        def work() -> None:
            found.append(app.async_to_sync(render)() == threading.get_ident())

        context = copy_context()
        other = threading.Thread(target=context.run, args=(work,))
        other.start()
        other.join()
        return str(found)

    @app.get("/to_thread")
    async def to_thread() -> str:
        def work() -> bool:
            return bool(app.async_to_sync(render)() == threading.get_ident())

        return str([await asyncio.to_thread(work)])

    @app.get("/gathered")
    async def gathered() -> str:
        return str([len({*await asyncio.gather(*[render() for _ in range(5)])}) == 1])

    @app.get("/on_the_loop")
    async def on_the_loop() -> str:  # it should await; it gets its answer all the same
        return str([app.async_to_sync(render)() == threading.get_ident()])

    return app


def nothing() -> None:
    """Be sync code, which makes the server's side open a lane for the request."""


@stacks
@pytest.mark.parametrize("path", ["own_thread", "to_thread", "gathered", "on_the_loop"])
def test_sync_code_runs_in_the_thread_that_waits_whichever_that_is(
    live: Live, loop: LoopName, http: HttpName, path: str
) -> None:
    """A thread that is not the request's waits for another loop, where its lane is of no use."""
    server = live(app_with_rendering(), loop=loop, http=http)
    for _ in range(5):
        assert server.get(f"/{path}").text == "[True]"


@stacks
def test_a_task_that_outlives_what_was_waited_for_finds_a_thread(
    live: Live, loop: LoopName, http: HttpName
) -> None:
    app, nest = make_app()
    tasks: list[asyncio.Task[None]] = []
    go_on: list[asyncio.Event] = []

    @app.get("/start")
    def start() -> str:
        async def later() -> None:
            go_on.append(asyncio.Event())
            await go_on[0].wait()
            await nest.on_loop(DEPTH, [])

        async def begin() -> None:
            tasks.append(asyncio.create_task(later()))
            await asyncio.sleep(0)

        app.async_to_sync(begin)()
        return "x"

    @app.get("/end")
    async def end() -> str:
        go_on[0].set()
        await asyncio.wait_for(tasks[0], PATIENCE)
        return "x"

    server = live(app, loop=loop, http=http)
    assert [server.get(path).text for path in ("/start", "/end")] == ["x", "x"]
    deadline = time.monotonic() + PATIENCE
    while server.on_loop(lambda: app.sync_metrics).held:
        assert time.monotonic() < deadline, "a thread is kept"


@stacks
@pytest.mark.parametrize("path", ["view", "stream"])
def test_a_server_that_stops_ends_what_is_deep_down(
    loop: LoopName, http: HttpName, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More requests than threads wait at the bottom; their teardown functions go down again."""
    monkeypatch.setattr(pools, "JOIN_SECONDS", PATIENCE / 4)  # for a busy machine
    app = Flask(__name__)
    app.config["SYNC_WORKERS"] = 4
    nest = Nest(app)
    waiting = threading.Semaphore(0)

    async def bottom() -> None:
        waiting.release()
        await asyncio.get_running_loop().create_future()

    async def on_loop(depth: int) -> None:
        if depth:
            async with app.app_context():
                g.rest = depth
        else:
            await bottom()

    @app.teardown_appcontext
    def go_on(error: BaseException | None) -> None:
        if "rest" in g:
            app.async_to_sync(on_loop)(g.rest - 1)

    @app.get("/view")
    def view() -> str:
        app.async_to_sync(on_loop)(DEPTH)
        return "never"

    @app.get("/stream")
    def stream() -> Iterator[str]:
        yield "begun"
        app.async_to_sync(on_loop)(DEPTH)

    @app.teardown_request
    def down(error: BaseException | None) -> None:
        nest.down("teardown")

    server = serving(app, loop, http, timeout_graceful_shutdown=0)
    with server as running:
        connections = [running.connect() for _ in range(6)]
        for connection in connections:
            connection.send(request("GET", f"/{path}"))
        for _ in range(4):
            assert waiting.acquire(timeout=PATIENCE)
        running.work_on(6)
        began = awake.now()
        running.stop()
        assert awake.now() - began < PATIENCE / 2
        for connection in connections:
            connection.socket.close()
    assert {*nest.reached} == {("teardown", DEPTH, True)}
