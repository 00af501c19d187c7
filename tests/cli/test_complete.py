from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.lowlevel
import click
import pytest

from asyncflask.cli.complete import complete, completing

setting: ContextVar[str] = ContextVar("setting")


async def answer() -> tuple[int, str, str | None]:
    await anyio.lowlevel.checkpoint()
    command = click.get_current_context(silent=True)
    name = None if command is None else command.info_name
    return threading.get_ident(), setting.get("unset"), name


def test_it_runs_in_this_thread() -> None:
    setting.set("seen")
    assert complete(answer()) == (threading.get_ident(), "seen", None)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_where_a_loop_runs_already_it_runs_in_another_thread(backend: str) -> None:
    async def within() -> tuple[int, str, str | None]:
        setting.set("seen")
        with click.Context(click.Command("work"), info_name="work"):
            return complete(answer())

    thread, seen, command = anyio.run(within, backend=backend)
    assert thread != threading.get_ident()
    assert (seen, command) == ("seen", "work")


@pytest.mark.parametrize("in_loop", [False, True])
def test_errors_come_through(in_loop: bool) -> None:
    async def fail() -> None:
        raise KeyError("mine")

    async def within() -> None:
        complete(fail())

    run: Callable[[], Any] = (lambda: anyio.run(within)) if in_loop else (lambda: complete(fail()))
    with pytest.raises(KeyError, match="mine"):
        run()


def test_completing_leaves_plain_results_alone() -> None:
    async def double(number: int) -> int:
        return number * 2

    def triple(number: int) -> int:
        """Three times."""
        return number * 3

    assert completing(double)(2) == 4
    assert completing(triple)(2) == 6
    assert completing(triple).__doc__ == "Three times."
