"""Many more sync requests than threads, all of them after the same few resources."""

from __future__ import annotations

import asyncio
import queue
import resource
import threading
import time
import typing as t
from collections import Counter
from collections.abc import Iterator

import pytest

from asyncflask import Blueprint, Flask, g

from .. import awake
from ..conftest import Live
from .load import Client, load
from .server import PATIENCE, STACKS, HttpName, LoopName
from .wire import request

stacks = pytest.mark.parametrize(("loop", "http"), STACKS)

CROWD = 2_000
RESOURCES = 10

#: Seconds that the crowd gets to come in, and each of it to get its answer: the machine may have
#: other work. A deadlock takes for ever.
CROWDED = 40.0

#: Seconds within which an async view answers, whatever sync code does. Far from what it takes.
AWAKE = 5.0


@pytest.fixture
def many_files() -> Iterator[None]:
    """Allow for two descriptors a connection, since client and server are one process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * CROWD + 500
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"a process may open {hard} files here, and {needed} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Pool:
    """A few resources, each for one request at a time, like the connections to a database.

    None is there before `fill`.
    """

    def __init__(self) -> None:
        self._free: queue.Queue[int] = queue.Queue()
        self.holders: Counter[int] = Counter()
        self.shared: list[int] = []

    def fill(self) -> None:
        for number in range(RESOURCES):
            self._free.put(number)

    def acquire(self) -> None:
        g.number = self._free.get(timeout=60)
        self.holders[g.number] += 1
        if self.holders[g.number] > 1:
            self.shared.append(g.number)

    def release(self, error: BaseException | None) -> None:
        self.holders[g.number] -= 1
        self._free.put(g.number)

    @property
    def is_full(self) -> bool:
        return self._free.qsize() == RESOURCES


def app_with(pool: Pool) -> Flask:
    app = Flask(__name__)
    app.config["SYNC_QUEUE_LIMIT"] = 2 * CROWD

    @app.get("/free")
    async def free() -> str:
        return "free"

    crowd = Blueprint("crowd", __name__)
    crowd.before_request(pool.acquire)
    crowd.teardown_request(pool.release)

    async def on_loop() -> int:
        await asyncio.sleep(0)
        return int(g.number)

    @crowd.get("/sync")
    def sync_view() -> str:
        return f"had {app.async_to_sync(on_loop)()}"

    @crowd.get("/async")
    async def async_view() -> str:
        return f"had {await on_loop()}"

    app.register_blueprint(crowd)
    return app


@stacks
@pytest.mark.time_limit(60)
@pytest.mark.loop_limit(5.0)  # 2,000 connections come in at once, on the loop of the clients too
@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_crowd_that_calls_back_while_it_holds_a_resource_gets_through(
    live: Live, loop: LoopName, http: HttpName, kind: str
) -> None:
    """2,000 requests are there before the first goes on; meanwhile an async view answers."""
    pool = Pool()
    server = live(app_with(pool), loop=loop, http=http, backlog=CROWD)
    answers: Counter[bytes] = Counter()
    slowest = 0.0

    async def work(number: int, client: Client) -> None:
        nonlocal slowest
        if number:
            reply = await client.ask(request("GET", f"/{kind}"), CROWDED)
            answers[reply.body[:3] if reply.status == 200 else reply.body] += 1
            return
        while answers.total() < CROWD:
            began = awake.now()
            assert (await client.ask(request("GET", "/free"))).body == b"free"
            slowest = max(slowest, awake.now() - began)

    def wait_and_fill() -> None:
        server.work_on(CROWD, CROWDED)
        pool.fill()

    filler = threading.Thread(target=wait_and_fill)
    filler.start()
    load(server.address, CROWD + 1, work)
    filler.join()
    server.rest()
    assert answers == {b"had": CROWD}
    assert pool.shared == []
    assert pool.is_full
    assert slowest < AWAKE


@stacks
def test_beyond_the_queue_limit_a_crowd_is_refused_at_once(
    live: Live, loop: LoopName, http: HttpName
) -> None:
    """40 at work, 50 waiting, and 110 that hear of it while none of the others goes on."""
    gate = threading.Event()
    app = Flask(__name__)
    app.config["SYNC_QUEUE_LIMIT"] = 50
    answers: Counter[tuple[int, str]] = Counter()

    @app.get("/sync")
    def sync_view() -> str:
        assert gate.wait(PATIENCE)
        return "passed"

    @app.get("/health")
    async def health() -> dict[str, t.Any]:
        return app.sync_metrics._asdict()

    server = live(app, loop=loop, http=http)
    metrics: dict[str, t.Any] = {}

    async def fill(number: int, client: Client) -> None:
        reply = await client.ask(request("GET", "/sync"))
        answers[reply.status, reply.raw_header("retry-after")] += 1

    def wait_for(**expected: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while metrics.items() & expected.items() != expected.items():
            assert time.monotonic() < deadline, f"{metrics} and not {expected}"
            metrics.update(server.get("/health").json)

    first = threading.Thread(target=load, args=(server.address, 40, fill))
    second = threading.Thread(target=load, args=(server.address, 50, fill))
    try:
        first.start()
        wait_for(in_use=40, waiting=0)
        second.start()
        wait_for(in_use=40, waiting=50)
        load(server.address, 110, fill)
        assert answers == {(503, "1"): 110}
        wait_for(in_use=40, waiting=50, rejected=110, limit=40, queue_limit=50)
    finally:
        gate.set()
        first.join()
        second.join()
    assert answers == {(503, "1"): 110, (200, ""): 90}
    wait_for(in_use=0, waiting=0, held=0, rejected=110)
