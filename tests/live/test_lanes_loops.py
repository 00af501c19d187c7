"""Worker threads belong to one event loop: on trio too, and with two servers for one app."""

from __future__ import annotations

import threading
import time
import typing as t
from collections import defaultdict

import pytest

from asyncflask import Flask, g
from asyncflask.pools import Metrics

from .load import Client, load
from .server import PATIENCE, STACKS, HttpName, LoopName, Site, serving
from .trio_server import serving_on_trio
from .wire import request


class Held:
    """An app whose sync views stand at a gate, with a health view that says how many do."""

    def __init__(self, **config: int) -> None:
        self.gate = threading.Event()
        self.app = app = Flask(__name__)
        app.config.update(config)

        @app.get("/sync")
        def sync_view() -> str:
            assert self.gate.wait(PATIENCE)
            return "passed"

        @app.get("/health")
        async def health() -> dict[str, t.Any]:
            return app.sync_metrics._asdict()

        @app.get("/sync/health")
        def sync_health() -> dict[str, t.Any]:
            return app.sync_metrics._asdict()


def wait_for(site: Site, **expected: int) -> Metrics:
    """Ask the health view until it says what is expected."""
    deadline = time.monotonic() + PATIENCE
    while True:
        metrics: dict[str, int] = site.get("/health").json
        if metrics.items() >= expected.items():
            return Metrics(**metrics)
        assert time.monotonic() < deadline, f"{metrics} and not {expected}"


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if "asyncflask" in thread.name}


def wait_for_no_more_than(before: set[threading.Thread]) -> None:
    """Wait for the threads that have come since; idle ones of an earlier test may end."""
    for thread in threads() - before:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def check_health(site: Site, held: Held) -> None:
    """Hold requests, more than there are threads and than may wait, and look at the metrics."""
    statuses: list[int] = []

    async def work(number: int, client: Client) -> None:
        statuses.append((await client.ask(request("GET", "/sync"))).status)

    assert wait_for(site) == Metrics(0, 0, 0, 0, 0, 2, 3)
    held_by: list[threading.Thread] = []
    for at_once, expected in [(2, {"in_use": 2, "waiting": 0}), (3, {"in_use": 2, "waiting": 3})]:
        thread = threading.Thread(target=load, args=(site.address, at_once, work))
        thread.start()
        held_by.append(thread)
        wait_for(site, **expected)
    try:
        load(site.address, 4, work)
        assert statuses == [503] * 4
        assert wait_for(site) == Metrics(2, 2, 0, 3, 4, 2, 3)
    finally:
        held.gate.set()
        for thread in held_by:
            thread.join()
    assert statuses[4:] == [200] * 5
    wait_for(site, threads=2, in_use=0, held=0, waiting=0, rejected=4)
    assert Metrics(**site.get("/sync/health").json).in_use == 1


@pytest.mark.parametrize(("loop", "http"), STACKS)
def test_a_health_view_shows_what_is_held(loop: LoopName, http: HttpName) -> None:
    before = threads()
    held = Held(SYNC_WORKERS=2, SYNC_QUEUE_LIMIT=3)
    with serving(held.app, loop, http) as site:
        check_health(site, held)
    wait_for_no_more_than(before)


def test_a_health_view_shows_what_is_held_on_trio() -> None:
    before = threads()
    held = Held(SYNC_WORKERS=2, SYNC_QUEUE_LIMIT=3)
    with serving_on_trio(held.app) as site:
        check_health(site, held)
    wait_for_no_more_than(before)


class Places:
    """An app whose requests note where they run, by the server that they came to."""

    def __init__(self) -> None:
        self.threads: dict[str, set[int]] = defaultdict(set)
        self.loops: dict[str, set[int]] = defaultdict(set)
        self.errors: list[str] = []
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.app = Flask(__name__)
        self.app.config.update(SYNC_WORKERS=2, SYNC_QUEUE_LIMIT=50)
        self.app.before_request(self._begin)
        self.app.teardown_request(self._end)
        self.app.add_url_rule("/sync/<server>", "sync", self._sync)
        self.app.add_url_rule("/async/<server>", "async", self._async)
        self.app.add_url_rule("/full", "full", self._full)

    def _begin(self) -> None:
        g.thread = threading.get_ident()

    def _end(self, error: BaseException | None) -> None:
        if g.thread != threading.get_ident():
            self.errors.append("the teardown ran in another thread")

    def _sync(self, server: str) -> str:
        self.threads[server].add(threading.get_ident())
        self.app.async_to_sync(self._on_loop)(server)
        return server

    async def _async(self, server: str) -> str:
        self.threads[server].add(g.thread)
        await self._on_loop(server)
        return server

    async def _on_loop(self, server: str) -> None:
        self.loops[server].add(threading.get_ident())

    def _full(self) -> str:
        self.entered.release()
        assert self.gate.wait(PATIENCE)
        return "full"


def ask(site: Site, name: str) -> None:
    async def work(number: int, client: Client) -> None:
        for turn in range(20):
            path = f"/{('sync', 'async')[(turn + number) % 2]}/{name}"
            assert (await client.ask(request("GET", path))).body == name.encode()

    load(site.address, 4, work)


def test_one_app_on_three_loops_has_three_pools() -> None:
    """Each request's sync code runs in threads of its own server; a full one keeps no other."""
    places = Places()
    with (
        serving(places.app) as first,
        serving(places.app, "uvloop", "httptools") as second,
        serving_on_trio(places.app) as third,
    ):
        sites: dict[str, Site] = {"first": first, "second": second, "third": third}
        asking = [threading.Thread(target=ask, args=(site, name)) for name, site in sites.items()]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        with third.connect() as one, third.connect() as two:
            for connection in (one, two):
                connection.send(request("GET", "/full"))
                assert places.entered.acquire(timeout=PATIENCE)
            assert first.get("/sync/first").text == "first"
            places.gate.set()
            assert one.answer().text == two.answer().text == "full"
    assert places.errors == []
    assert [len(places.loops[name]) for name in sites] == [1, 1, 1]
    everywhere = [*places.threads.values(), *places.loops.values()]
    assert len(set[int]().union(*everywhere)) == sum(map(len, everywhere))
