"""A process that serves, forks, and serves on, as parent and as child; run by `test_lanes_fork`.

It prints what each of them sees, a line for each, and ends with status 0.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import traceback
import typing as t
from collections.abc import Callable

from asyncflask import Flask, g
from tests.live.server import serving

#: Seconds after which a process that hangs is killed.
PATIENCE = 20


def make_app() -> Flask:
    app = Flask(__name__)
    app.teardown_appcontext(nothing)

    async def on_loop() -> str:
        async with app.app_context():
            g.some = "thing"
            await asyncio.sleep(0)
        return "loop"

    @app.get("/sync")
    def sync_view() -> str:
        return f"sync {app.async_to_sync(on_loop)()}"

    @app.get("/async")
    async def async_view() -> str:
        return f"async {await on_loop()}"

    @app.get("/sync/who")
    def sync_who() -> str:
        return f"{os.getpid()} {app.async_to_sync(on_loop)()}"

    @app.get("/async/who")
    async def async_who() -> str:
        return f"{os.getpid()} {await on_loop()}"

    @app.get("/fork")
    def fork() -> str:
        return str(in_child(lambda: use(app)))

    return app


def nothing(error: BaseException | None) -> None:
    """Be sync code that runs at the end of each context."""


def use(app: Flask, *sites: t.Any) -> str:
    """Use an app in all ways: without a server, and with one."""
    client = app.test_client()
    seen = [client.get(path).text for path in ("/sync", "/async")]
    for site in sites:
        seen += [site.get(path).text for path in ("/sync", "/async")]
    with serving(app) as own:
        seen += [own.get(path).text for path in ("/sync", "/async")]
    assert {*seen} == {"sync loop", "async loop"}, seen
    return f"{len(seen)} answers"


def in_child(work: Callable[[], str]) -> str:
    """Do something in a forked child, and return what it said."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(PATIENCE)
        status = 1
        try:
            assert threading.active_count() == 1
            os.write(writer, work().encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader) as said:
        what = said.read()
    _, status = os.waitpid(child, 0)
    return what if status == 0 else f"status {status}"


def main() -> None:
    signal.alarm(2 * PATIENCE)
    app = make_app()
    with serving(app, "uvloop", "httptools") as site:
        print("parent:", use(app, site))
        print("child:", in_child(lambda: use(app)))
        print("parent:", use(app, site))
        print("child of a view:", site.get("/fork").text)
        print("parent:", use(app, site))
    print("grandchild:", in_child(lambda: in_child(lambda: use(app))))
    print("threads:", sorted(thread.name for thread in threading.enumerate()))


#: For servers that have several worker processes.
app = make_app()

if __name__ == "__main__":
    main()
