"""What lanes promise, under load: one thread for a request's sync code, and its own variables."""

from __future__ import annotations

import asyncio
import typing as t
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from asyncflask import Blueprint, Flask, stream_with_context
from asyncflask import request as current_request

from ..conftest import Live
from .database import Database
from .load import Client, load
from .server import STACKS, HttpName, LoopName
from .wire import request

stacks = pytest.mark.parametrize(("loop", "http"), STACKS)

CLIENTS = 100

#: Requests of each client: 10,000 in all.
ROUNDS = 100


def app_with(database: Database) -> Flask:
    app = Flask(__name__)
    app.before_request(database.open)
    app.teardown_request(database.close)
    app.add_url_rule("/sync", "sync", database.query)

    @app.get("/stream")
    def stream() -> Iterator[str]:
        @stream_with_context
        def rows() -> Iterator[str]:
            for _ in range(3):
                yield database.query()

        return rows()

    @app.get("/mixed")
    async def mixed() -> str:
        await asyncio.sleep(0)
        return "kept"

    return app


@stacks
@pytest.mark.parametrize("bridged", [False, True], ids=["direct", "bridged"])
@pytest.mark.time_limit(60)
@pytest.mark.loop_limit(3.0)  # 40 threads and the clients share one interpreter with the loop
def test_sqlite_connection_of_before_request_serves_until_the_teardown(
    live: Live, loop: LoopName, http: HttpName, bridged: bool, tmp_path: Path
) -> None:
    """On 100 connections: 10,000 requests with what is fast, a tenth of that with the others."""
    database = Database(tmp_path / "some.db")
    app = app_with(database)
    rounds = ROUNDS if (loop, bridged) == ("uvloop", False) else ROUNDS // 10
    if bridged:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    server = live(app, loop=loop, http=http)

    async def work(number: int, client: Client) -> None:
        for turn in range(rounds):
            path = ("/sync", "/stream", "/mixed")[(number + turn) % 3]
            reply = await client.ask(request("GET", path))
            assert (reply.status, {*reply.body.split(b"kept")}) == (200, {b""})

    load(server.address, CLIENTS, work)
    server.rest()
    assert database.errors == []
    assert database.opened == database.closed  # each of them in the thread that opened it
    assert database.opened.total() == CLIENTS * rounds


marker: ContextVar[str] = ContextVar("marker", default="unset")


class Trail:
    """Notes of what each handler of a request found in the variable; what it leaves is longer."""

    def __init__(self) -> None:
        self.teardowns: Counter[str] = Counter()
        self.wrong: list[str] = []

    def step(self, expected: str, name: str) -> None:
        """Add a name to the variable, in whichever handler this is called."""
        found = marker.get()
        if found != expected:
            self.wrong.append(f"{name} found {found!r}, not {expected!r}")
        marker.set(f"{found} {name}")

    def begin(self) -> None:
        if marker.get() != "unset":
            self.wrong.append(f"left over: {marker.get()!r}")
        marker.set(current_request.args["id"])

    def end(self, error: BaseException | None) -> None:
        self.teardowns[marker.get()] += 1


def trailing_app(trail: Trail, hooks: str) -> Flask:
    """Make an app whose sync and async handlers hand a variable on."""
    app = Flask(__name__)
    blueprint = Blueprint("some", __name__)
    app.before_request(trail.begin)
    app.teardown_request(trail.end)

    def mine() -> str:
        return current_request.args["id"]

    def second() -> None:
        trail.step(mine(), "second")

    async def second_on_loop() -> None:
        await asyncio.sleep(0)
        second()

    blueprint.before_request(second if hooks == "sync" else second_on_loop)

    @blueprint.get("/sync")
    def sync_view() -> str:
        trail.step(f"{mine()} second", "view")
        return marker.get()

    @blueprint.get("/async")
    async def async_view() -> str:
        await asyncio.sleep(0)
        trail.step(f"{mine()} second", "view")
        return marker.get()

    @blueprint.get("/back")
    def back() -> str:
        async def on_loop() -> None:
            trail.step(f"{mine()} second", "view")

        app.async_to_sync(on_loop)()
        return marker.get()

    @app.after_request
    def after(response: t.Any) -> t.Any:
        trail.step(f"{mine()} second view", "after")
        return response

    app.register_blueprint(blueprint)
    return app


@stacks
@pytest.mark.parametrize("hooks", ["sync", "async"])
@pytest.mark.parametrize("bridged", [False, True], ids=["direct", "bridged"])
@pytest.mark.loop_limit(3.0)
def test_variables_go_on_through_the_request_and_to_no_other(
    live: Live, loop: LoopName, http: HttpName, hooks: str, bridged: bool
) -> None:
    """40 connections, on which requests are sent by fives, before any is answered."""
    trail = Trail()
    app = trailing_app(trail, hooks)
    if bridged:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    server = live(app, loop=loop, http=http)
    paths = ("/sync", "/async", "/back")

    async def work(number: int, client: Client) -> None:
        for burst in range(3):
            names = [f"{number}-{burst}-{turn}" for turn in range(5)]
            raw = [
                request("GET", f"{paths[(number + turn) % 3]}?id={name}")
                for turn, name in enumerate(names)
            ]
            replies = [await client.ask(b"".join(raw))]
            replies += [await client.ask(b"") for _ in names[1:]]
            expected = [f"{name} second view".encode() for name in names]
            assert [reply.body for reply in replies] == expected

    load(server.address, 40, work)
    server.rest()
    assert trail.wrong == []
    assert len(trail.teardowns) == 600
    assert all(found.endswith(" second view after") for found in trail.teardowns)
