from __future__ import annotations

import asyncio
import importlib.util

import click
import pytest

from asyncflask.load.loop import run_on_loop, ungrouped


async def module_of_the_loop(word: str) -> str:
    return word + type(asyncio.get_running_loop()).__module__


def test_uvloop_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_on_loop(module_of_the_loop, "on ").startswith("on uvloop")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert run_on_loop(module_of_the_loop, "on ").startswith("on asyncio")


def test_what_is_for_the_user_comes_out_of_its_group() -> None:
    told = click.ClickException("told")
    group = ExceptionGroup("all", [ValueError(), ExceptionGroup("inner", [told])])
    with pytest.raises(click.ClickException) as raised, ungrouped():
        raise group
    assert raised.value is told


def test_what_is_not_stays_in_it() -> None:
    group = ExceptionGroup("all", [ValueError()])
    with pytest.raises(ExceptionGroup) as raised, ungrouped():
        raise group
    assert raised.value is group


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), ungrouped():
        raise KeyError
