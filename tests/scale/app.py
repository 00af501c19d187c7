"""The served app: every kind of view that can be left in the middle, and counts of what it does.

Two blueprints: under ``/sync`` all views and hooks are plain functions, under ``/async`` all are
coroutines, so that one is handled in worker threads and the other on the event loop.
"""

from __future__ import annotations

import asyncio
import threading
import typing as t
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from werkzeug.middleware.proxy_fix import ProxyFix

from asyncflask import (
    Blueprint,
    Flask,
    Response,
    abort,
    render_template_string,
    request,
    send_file,
    session,
)

from .streams import add_streams
from .tally import Tally

#: Bytes of one chunk of an endless body: one read's worth.
CHUNK = b"x" * 65_536

#: Bytes of the long download.
LONG = 1 << 30


class Gate:
    """Keeps views waiting until it is opened, once."""

    def __init__(self) -> None:
        self._for_threads, self._for_loop = threading.Event(), asyncio.Event()

    def open(self) -> None:
        """Let all go on; to be called on the server's loop."""
        self._for_threads.set()
        self._for_loop.set()

    def wait(self) -> None:
        """Wait in a worker thread."""
        self._for_threads.wait()

    async def wait_async(self) -> None:
        """Wait on the server's loop."""
        await self._for_loop.wait()


def make_app(tally: Tally, gate: Gate, file: Path, bridged: bool) -> Flask:
    """Return the app.

    :param file: what is downloaded.
    :param bridged: whether requests pass through WSGI middleware.
    """
    app = Flask(__name__)
    app.secret_key = "x"
    plain, on_loop = Blueprint("sync", __name__), Blueprint("async", __name__)
    add_sync_hooks(plain, tally)
    add_async_hooks(on_loop, tally)
    add_sync_uploads(plain, tally, gate)
    add_async_uploads(on_loop, tally, gate)
    add_sync_downloads(plain, tally, file)
    add_async_downloads(on_loop, tally, file)
    add_calls_from_generators(plain, app, tally)
    add_short_answers(plain)
    add_short_async_answers(on_loop)
    app.register_blueprint(plain, url_prefix="/sync")
    app.register_blueprint(on_loop, url_prefix="/async")
    app.register_blueprint(add_streams(app, tally), url_prefix="/streams")
    if bridged:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    return app


def add_sync_hooks(views: Blueprint, tally: Tally) -> None:
    @views.before_request
    def begin() -> None:
        tally("begun")

    @views.teardown_request
    def end(error: BaseException | None) -> None:
        tally("torn down")


def add_async_hooks(views: Blueprint, tally: Tally) -> None:
    @views.before_request
    async def begin() -> None:
        tally("begun")

    @views.teardown_request
    async def end(error: BaseException | None) -> None:
        tally("torn down")


def whole(tally: Tally) -> str:
    """Note that the view takes what it has read for the whole body."""
    tally("whole")
    return "whole"


def add_sync_uploads(views: Blueprint, tally: Tally, gate: Gate) -> None:
    @views.post("/stream")
    def stream() -> str:
        for _ in iter(lambda: request.stream.read(10_000), b""):
            pass
        return whole(tally)

    @views.post("/form")
    def form() -> str:
        assert request.files["file"].stream.read(1) == b"x"
        return whole(tally)

    @views.post("/unread")
    def unread() -> str:
        return "unread"

    @views.post("/held")
    def held() -> str:
        gate.wait()
        return "unread"


def add_async_uploads(views: Blueprint, tally: Tally, gate: Gate) -> None:
    @views.post("/data")
    async def data() -> str:
        request.get_data()
        return whole(tally)

    @views.post("/raw", stream_body=True)
    async def raw() -> str:
        async for _ in t.cast("AsyncIterator[bytes]", request.stream):
            pass
        return whole(tally)

    @views.post("/form")
    async def form() -> str:
        assert request.files["file"].stream.read(1) == b"x"
        return whole(tally)

    @views.post("/unread", stream_body=True)
    async def unread() -> str:
        return "unread"

    @views.post("/held", stream_body=True)
    async def held() -> str:
        await gate.wait_async()
        return "unread"


def add_sync_downloads(views: Blueprint, tally: Tally, file: Path) -> None:
    @views.get("/endless")
    def endless() -> Response:
        def body() -> Iterator[bytes]:
            tally("opened")
            try:
                while True:
                    yield CHUNK
            finally:
                tally("closed")

        return Response(body())

    @views.get("/long")
    def long() -> Response:
        def body() -> Iterator[bytes]:
            for _ in range(LONG // len(CHUNK)):
                tally("bytes", len(CHUNK))
                yield CHUNK

        return Response(body(), headers={"Content-Length": str(LONG)})

    @views.get("/file")
    def download() -> Response:
        return send_file(file)


def add_async_downloads(views: Blueprint, tally: Tally, file: Path) -> None:
    @views.get("/endless")
    async def endless() -> Response:
        async def body() -> AsyncIterator[bytes]:
            tally("opened")
            try:
                while True:
                    yield CHUNK
            finally:
                tally("closed")

        return Response(body())

    @views.get("/long")
    async def long() -> Response:
        async def body() -> AsyncIterator[bytes]:
            for _ in range(LONG // len(CHUNK)):
                tally("bytes", len(CHUNK))
                yield CHUNK

        return Response(body(), headers={"Content-Length": str(LONG)})

    @views.get("/file")
    async def download() -> Response:
        return send_file(file)


def add_calls_from_generators(views: Blueprint, app: Flask, tally: Tally) -> None:
    """Add bodies whose chunks come from async code: soon, or never after the first."""

    async def chunk() -> bytes:
        await asyncio.sleep(0)
        return CHUNK

    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    @views.get("/calling")
    def calling() -> Response:
        def body() -> Iterator[bytes]:
            tally("opened")
            try:
                while True:
                    yield app.async_to_sync(chunk)()
            finally:
                tally("closed")

        return Response(body())

    @views.get("/waiting")
    def waiting() -> Response:
        def body() -> Iterator[bytes]:
            tally("opened")
            try:
                yield app.async_to_sync(chunk)()
                app.async_to_sync(never)()
            finally:
                tally("closed")

        return Response(body())


def add_short_answers(views: Blueprint) -> None:
    @views.get("/text")
    def text() -> str:
        return render_template_string("{{ request.path }}")

    @views.get("/error")
    def error() -> str:
        raise LookupError("on purpose")

    @views.get("/refuse")
    def refuse() -> str:
        session["asked"] = True
        abort(403)


def add_short_async_answers(views: Blueprint) -> None:
    @views.get("/text")
    async def text() -> str:
        return render_template_string("{{ request.path }}")

    @views.get("/error")
    async def error() -> str:
        raise LookupError("on purpose")

    @views.get("/refuse")
    async def refuse() -> str:
        session["asked"] = True
        abort(403)
