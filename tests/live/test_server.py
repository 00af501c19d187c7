"""The live server of these tests itself."""

from __future__ import annotations

import pytest

from asyncflask import Flask

from ..conftest import Live
from .server import STACKS, HttpName, LoopName


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
