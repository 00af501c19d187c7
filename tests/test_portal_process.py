"""The process's own event loop, from its start over forks to the end of the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAD = """
import asyncio, logging, os, sys, threading
import anyio
from asyncflask import portal

# What a loop in debug mode says when the machine stops the process for a tenth of a second.
logging.getLogger("asyncio").addFilter(lambda record: not record.msg.startswith("Executing "))

async def loop():
    await asyncio.sleep(0)
    return id(asyncio.get_running_loop())
"""

#: A child that is forked after the first call, while another thread starts the loop of the parent.
FORK = """
first = portal.call_async(loop)
with portal._lock:  # as another thread may hold it
    child = os.fork()
second = portal.call_async(loop)
if child:
    assert second == first
    assert os.waitpid(child, 0)[1] == 0
    assert portal.call_async(loop) == first  # the child has left it alone
else:
    grandchild = os.fork()
    third = portal.call_async(loop)
    if grandchild:
        assert third == second
        assert os.waitpid(grandchild, 0)[1] == 0
"""

#: A process that ends with threads, tasks and an async generator left on its loop.
END = """
async def leave_behind():
    async def pieces():
        try:
            while True:
                yield
        finally:
            print("closed", flush=True)

    async def forever():
        try:
            await asyncio.sleep(3600)
        finally:
            print("cancelled", flush=True)

    kept.append(pieces())
    await anext(kept[0])
    kept.append(asyncio.create_task(forever()))
    await anyio.to_thread.run_sync(int)
    await asyncio.to_thread(int)

kept = []
portal.call_async(leave_behind)
portal.call_async(asyncio.sleep, 0)
"""

#: A thread that waits for async code when the process ends.
WAITING = """
began = threading.Event()

async def wait():
    began.set()
    await asyncio.sleep(0.05)

thread = threading.Thread(target=portal.call_async, args=(wait,))
thread.start()
began.wait()
"""


def run(program: str) -> tuple[str, str, int]:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", HEAD + program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout, done.stderr, done.returncode


def test_a_forked_child_has_its_own_loop() -> None:
    assert run(FORK) == ("", "", 0)


def test_the_end_of_the_process_ends_what_runs() -> None:
    out, errors, status = run(END)
    assert sorted(out.split()) == ["cancelled", "closed"]
    assert (errors, status) == ("", 0)


@pytest.mark.parametrize("program", ["", "portal.call_async(loop)", WAITING])
def test_nothing_is_said_at_the_end(program: str) -> None:
    assert run(program) == ("", "", 0)
