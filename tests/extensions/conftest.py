"""The app of `app.py`, served by real server processes, and visitors for it."""

from __future__ import annotations

import os
import re
import typing as t
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from ..cli.conftest import PATIENCE as PATIENCE
from ..cli.conftest import Process

ROOT = Path(__file__).parents[2]
PARTNER = "https://partner.example"

RUN = ("-m", "asyncflask", "--as-flask", "--app", "tests/extensions/app.py", "run", "--port", "0")
UVICORN = ("-m", "uvicorn", "tests.extensions.asgi:app", "--port", "0")
#: The ways to start the server: our command, which takes uvloop and httptools; uvicorn with
#: nothing compiled; and through WSGI middleware.
COMMANDS = {
    "run": RUN,
    "plain": (*UVICORN, "--loop", "asyncio", "--http", "h11"),
    "bridge": (*UVICORN, "--loop", "uvloop", "--http", "httptools"),
}
#: Variables for the server's process: what the app is told about the place where it runs.
ENVIRONS = {"bridge": {"BEHIND_PROXY": "1"}}


class Visitor(httpx.Client):
    """A browser's part: cookies, and the CSRF token in a header.

    :param url: the server's.
    """

    def __init__(self, url: str) -> None:
        super().__init__(base_url=url, timeout=30)

    def __enter__(self) -> t.Self:
        super().__enter__()
        self.headers["X-CSRFToken"] = self.get("/token").json()["token"]
        return self

    def enter(self, name: str) -> None:
        """Register, and log in."""
        assert self.post("/register", data={"name": name}).status_code == 201
        assert self.post("/login", data={"name": name}).status_code == 200


@pytest.fixture(scope="session", params=COMMANDS)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that lives for all tests of a command; each has its own database."""
    database = tmp_path_factory.mktemp("extensions") / "notes.sqlite"
    environ = {"DATABASE_URI": f"sqlite:///{database}", "PYTHONPATH": str(ROOT)}
    environ |= ENVIRONS.get(request.param, {})
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        process = Process([*COMMANDS[request.param]], environ)
    finally:
        os.chdir(before)
    with closing(process):
        found = re.search(r"http://[\d.:]+", process.until("unning on http"))
        assert found is not None
        yield found[0]
        assert process.end() in (0, -15), process.output
        for complaint in ("never awaited", "Task was destroyed", "ResourceWarning", "SAWarning"):
            assert complaint not in process.output


@pytest.fixture
def visitor(url: str) -> Iterator[Visitor]:
    with Visitor(url) as visitor:
        yield visitor


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A user's name that no other test has."""
    return str(request.node.name)


@pytest.fixture
def member(visitor: Visitor, name: str) -> Visitor:
    """A visitor who is logged in."""
    visitor.enter(name)
    return visitor


@pytest.fixture
def loop_thread(visitor: Visitor) -> int:
    """The thread of the server's event loop, where undecorated async views run."""
    thread: int = visitor.get("/loop").json()["thread"]
    return thread
