"""WSGI applications in the thread that waits for them, on asyncio and on trio."""

from __future__ import annotations

import threading
import typing as t
from collections.abc import Callable, Iterator

import anyio
import anyio.lowlevel
import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from asyncflask import Flask, request
from asyncflask.exceptions import LoopCancelled

from ..clock import timeouts_begin_when
from ..played import Played, part

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)


def bridged(app: Flask) -> None:
    """Put WSGI middleware around an app."""
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]


def mounted(app: Flask) -> None:
    """Mount the app in itself, as the WSGI application that it is, too."""
    app.mount("/wsgi", app.wsgi_app, protocol="wsgi")


WAYS: dict[str, tuple[Callable[[Flask], None], str]] = {
    "middleware": (bridged, ""),
    "mount": (mounted, "/wsgi"),
}


@pytest.fixture(params=WAYS)
def nested(request: pytest.FixtureRequest) -> tuple[Flask, str]:
    """An app with one thread, and below which prefix it is asked as a WSGI application."""
    make, prefix = WAYS[request.param]
    app = Flask("bridged")
    app.config["SYNC_WORKERS"] = app.config["SYNC_QUEUE_LIMIT"] = 1
    make(app)
    return app, prefix


def ask(app: Flask, path: str, **more: t.Any) -> Played:
    """Ask the app itself for a page; in a thread of its own."""
    played = Played(part(b""))
    return t.cast("Played", app.async_to_sync(played.play)(app, path, **more))


async def test_one_that_a_thread_waits_for_needs_no_other(nested: tuple[Flask, str]) -> None:
    app, prefix = nested
    threads: set[int] = set()

    @app.get("/inner")
    def inner() -> str:
        threads.add(threading.get_ident())
        return "inner"

    @app.get("/outer")
    def outer() -> bytes:
        threads.add(threading.get_ident())
        return ask(app, f"{prefix}/inner").body + request.path.encode()

    for _ in range(2):
        assert (await Played(part(b"")).play(app, "/outer")).body == b"inner/outer"
    assert len(threads) == 1
    await app._budgets.close()


async def test_bodies_go_both_ways_in_the_one_thread(nested: tuple[Flask, str]) -> None:
    app, prefix = nested

    @app.post("/inner")
    def inner() -> Iterator[bytes]:
        size = len(request.get_data())
        return (b"x" * 1000 for _ in range(size))

    @app.get("/outer")
    def outer() -> str:
        sent = [(b"content-length", b"200000")]
        played = Played(*(part(b"y" * 1000, more=n < 199) for n in range(200)))
        play = app.async_to_sync(played.play)
        return str(len(play(app, f"{prefix}/inner", method="POST", headers=sent).body))

    assert (await Played(part(b"")).play(app, "/outer")).body == b"200000000"
    await app._budgets.close()


async def test_who_leaves_it_interrupts_nothing_around_it(
    nested: tuple[Flask, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The view that waits in the same thread goes on, and what it waits for later can be, too."""
    app, prefix = nested
    log: list[str] = []
    timeouts_begin_when(monkeypatch, lambda: "goes on" in log)

    @app.get("/inner")
    def inner() -> Iterator[bytes]:
        def chunks() -> Iterator[bytes]:
            yield b"first"
            try:
                app.async_to_sync(anyio.sleep_forever)()
            except LoopCancelled:
                log.append("interrupted")
                raise

        return chunks()

    @app.get("/outer", timeout=0.1)
    def outer() -> str:
        async def leave() -> None:
            played = Played(part(b""))
            played.leave_after(2)
            await played.play(app, f"{prefix}/inner")
            log.append("left")

        app.async_to_sync(leave)()
        app.async_to_sync(anyio.lowlevel.checkpoint)()
        log.append("goes on")
        try:
            app.async_to_sync(anyio.sleep_forever)()
        finally:
            log.append("timeout")
        return "not reached"

    assert (await Played(part(b"")).play(app, "/outer")).status == 503
    assert log == ["interrupted", "left", "goes on", "timeout"]
    await app._budgets.close()
