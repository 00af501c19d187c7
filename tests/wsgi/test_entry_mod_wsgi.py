"""mod_wsgi's calling convention: threads that Python did not start, Apache's environ and input."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import typing as t
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from asyncflask import Flask, g, request, send_file

from .servers import ModFileWrapper, ModInput, Play, in_foreign_threads, make_mod_environ


@pytest.fixture
def application(tmp_path: Path) -> Flask:
    application = Flask(__name__, root_path=str(tmp_path))
    (tmp_path / "file").write_bytes(b"content")

    @application.before_request
    def connect() -> None:
        g.database = sqlite3.connect(":memory:")  # for this thread alone

    @application.teardown_request
    def disconnect(error: BaseException | None) -> None:
        g.database.close()

    @application.get("/loop")
    async def loop() -> str:
        await asyncio.sleep(0)
        return str(id(asyncio.get_running_loop()))

    @application.get("/stream")
    async def stream() -> AsyncIterator[str]:
        async def pieces() -> AsyncIterator[str]:
            async with asyncio.timeout(10):
                for number in range(3):
                    yield f"{number} {request.environ['mod_wsgi.process_group']};"

        return pieces()

    @application.get("/file")
    def file() -> t.Any:
        return send_file("file")

    @application.post("/sync")
    def sync() -> bytes:
        return request.get_data()

    @application.post("/async")
    async def as_coroutine() -> bytes:
        return request.get_data()

    @application.post("/chunks", stream_body=True)
    async def chunks() -> bytes:
        found: t.Any = request.stream
        return b"".join([chunk async for chunk in found])

    return application


def test_many_foreign_threads_share_one_loop(application: Flask) -> None:
    found: list[bytes] = []

    def visit() -> None:
        found.append(Play(application, make_mod_environ(path="/loop")).run().body)
        stream = Play(application, make_mod_environ(path="/stream")).run()
        assert stream.body == b"0 site;1 site;2 site;"

    in_foreign_threads([visit] * 20)
    assert len(found) == 20
    assert len(set(found)) == 1


@pytest.mark.parametrize("path", ["/sync", "/async", "/chunks"])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies(application: Flask, path: str, chunked: bool) -> None:
    def visit() -> None:
        environ = make_mod_environ("POST", path, b"x" * 200_000, chunked=chunked)
        source = environ["wsgi.input"]
        assert "wsgi.input_terminated" not in environ
        assert Play(application, environ).run().body == b"x" * 200_000
        assert source.threads == {threading.get_ident()}

    in_foreign_threads([visit])


@pytest.mark.parametrize("path", ["/sync", "/async", "/chunks"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_lost_connection(application: Flask, path: str, chunked: bool) -> None:
    environ = make_mod_environ("POST", path, b"x" * 100, chunked=chunked)
    environ["wsgi.input"] = ModInput(b"x" * 50, lost=True)
    assert Play(application, environ).run().status == 400


def test_files_are_left_to_apache(application: Flask) -> None:
    opened = Play(application, make_mod_environ(path="/file")).open()
    inner = opened
    while not isinstance(inner, ModFileWrapper):  # what werkzeug puts around it
        inner = inner._next.args[0]
    assert b"".join(opened) == b"content"
    opened.close()
