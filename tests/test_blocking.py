"""Methods that are awaited on the loop and wait in threads."""

from __future__ import annotations

import inspect
import threading
import typing as t

import pytest

from asyncflask import Flask
from asyncflask.blocking import waits_in_threads

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)


@waits_in_threads
async def where(*, fail: bool = False) -> int:
    """Tell which thread this runs in."""
    if fail:
        raise LookupError
    return threading.get_ident()


async def test_on_the_loop_it_is_awaited() -> None:
    assert await where() == threading.get_ident()
    with pytest.raises(LookupError):
        await where(fail=True)


async def test_in_a_thread_it_waits() -> None:
    app = Flask("blocking")
    seen: list[t.Any] = []

    @app.get("/")
    def view() -> str:
        seen.extend([where(), threading.get_ident()])
        with pytest.raises(LookupError):
            where(fail=True)
        return ""

    async with app.async_client() as client:
        assert (await client.get("/")).status_code == 200
    assert seen[0] == threading.get_ident() != seen[1]


def test_it_looks_like_what_it_calls() -> None:
    assert where.__name__ == "where"
    assert inspect.signature(where).parameters["fail"].default is False
