"""SIGTERM with hundreds of streams and sockets open and requests in flight."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import websockets

from .. import awake
from .clients import allow_files

EACH = 200
REQUESTS = 30
#: Seconds that connections get, as the server is told below.
GRACE = 10

COMMANDS: dict[str, list[str]] = {
    "uvicorn": ["-m", "uvicorn", f"--timeout-graceful-shutdown={GRACE}", "tests.scale.stopped:app"],
    "uvicorn, wsproto": ["-m", "uvicorn", "--ws=wsproto", "tests.scale.stopped:app"],
    "asyncflask run": ["-m", "asyncflask", "--app=tests.scale.stopped", "run"],
}


@contextmanager
def serving(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server process on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    allow_files()
    root = Path(__file__).parents[2]
    line = [sys.executable, *command, f"--port={port}"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            address = f"127.0.0.1:{port}"
            _wait_for(address)
            yield process, address
        finally:
            process.kill()


def _wait_for(address: str) -> None:
    host, _, port = address.partition(":")
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection((host, int(port))).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)


@pytest.mark.time_limit(90)
@pytest.mark.parametrize("name", COMMANDS)
def test_all_end_in_order(name: str) -> None:
    with serving(COMMANDS[name]) as (process, address):
        took, ends = asyncio.run(_crowd(process, address))
        assert process.wait(GRACE + 20) in (0, -signal.SIGTERM)
        total = awake.now() - took
        assert process.stdout is not None
        told = process.stdout.read()
    assert ends["answers"] == [(200, "whole" * 1000)] * REQUESTS
    assert ends["events"] == ["ended in order"] * EACH
    assert set(ends["codes"]) <= {1001, 1012}
    assert len(ends["codes"]) == EACH
    begun = 2 * EACH + REQUESTS
    assert f"begun {begun}, torn down {begun}" in told
    assert total < GRACE + 1
    print(f"\n{name}: over after {total:.2f} s; codes {set(ends['codes'])}", end=" ")


async def _crowd(
    process: subprocess.Popen[str], address: str
) -> tuple[float, dict[str, list[t.Any]]]:
    """Open all connections, stop the server, and return when that was and how each ended."""
    here = asyncio.Barrier(2 * EACH + 1)
    ends: dict[str, list[t.Any]] = {"answers": [], "events": [], "codes": []}
    limits = httpx.Limits(max_connections=None)

    async def listen(client: httpx.AsyncClient) -> None:
        async with client.stream("GET", "/events") as response:
            chunks = response.aiter_bytes()
            assert b"begun" in await anext(chunks)
            await here.wait()
            async for _ in chunks:
                pass
            ends["events"].append("ended in order")

    async def talk() -> None:
        async with websockets.connect(f"ws://{address}/ws") as connection:
            assert await connection.recv() == "begun"
            await here.wait()
            try:
                await connection.recv()
            except websockets.ConnectionClosed as closed:
                ends["codes"].append(closed.rcvd.code if closed.rcvd else None)

    async def ask(client: httpx.AsyncClient, number: int) -> None:
        response = await client.get("/slow/sync" if number % 2 else "/slow")
        ends["answers"].append((response.status_code, response.text))

    async def stop(client: httpx.AsyncClient) -> float:
        await here.wait()
        asked = [asyncio.create_task(ask(client, number)) for number in range(REQUESTS)]
        begun = 0
        while begun < 2 * EACH + REQUESTS:  # it is at work on all, those that take a while last
            begun = (await client.get("/counts")).json()["begun"]
        os.kill(process.pid, signal.SIGTERM)
        at = awake.now()
        await asyncio.gather(*asked)
        return at

    base = f"http://{address}"
    async with (
        httpx.AsyncClient(base_url=base, limits=limits, timeout=60) as client,
        asyncio.TaskGroup() as group,
    ):
        stopping = group.create_task(stop(client))
        for _ in range(EACH):
            group.create_task(listen(client))
            group.create_task(talk())
    return stopping.result(), ends
