"""The live server of these tests itself."""

from __future__ import annotations

import threading

import pytest

from asyncflask import Flask
from asyncflask.workers import Lane

from ..conftest import Live
from .server import PATIENCE, STACKS, HttpName, LoopName


@pytest.mark.parametrize(("loop", "http"), STACKS)
def test_serves(live: Live, loop: LoopName, http: HttpName) -> None:
    app = Flask(__name__)

    @app.get("/")
    def index() -> str:
        return "hello"

    @app.get("/async")
    async def index2() -> str:
        return "hello"

    server = live(app, loop=loop, http=http)
    assert server.get("/").text == "hello"
    assert server.get("/async").text == "hello"


@pytest.mark.parametrize(("loop", "http"), STACKS)
def test_rests_when_its_threads_do(live: Live, loop: LoopName, http: HttpName) -> None:
    """One may have something to do yet when the request is over that it worked for."""
    app, gate, ended = Flask(__name__), threading.Event(), list[str]()

    def work() -> None:
        gate.wait(PATIENCE)
        ended.append("work")

    server = live(app, loop=loop, http=http)
    server.on_loop(lambda: Lane(app._pool()).start(work))
    opener = threading.Timer(0.05, gate.set)
    opener.start()
    server.rest()
    assert ended == ["work"]
    opener.join()
