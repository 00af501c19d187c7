from __future__ import annotations

import json
import os
import typing as t
from functools import partial
from pathlib import Path

import pytest
import werkzeug

import asyncflask
from asyncflask.cli.doctor.finding import (
    is_foreign,
    is_library,
    listed,
    name_of,
    place_of_callable,
    shown,
)


def test_paths_are_shown_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(str(tmp_path / "a" / "b.py")) == os.path.join("a", "b.py")
    assert shown(str(tmp_path.parent / "b.py")) == str(tmp_path.parent / "b.py")
    assert shown("/venv/lib/site-packages/flask_x/a.py") == "flask_x/a.py"
    assert shown("<string>") == "<string>"


class Called:
    def __call__(self) -> None: ...


def made() -> t.Any:
    def inner() -> None: ...

    return inner


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Called, f"{__name__}.Called"),
        (Called(), f"{__name__}.Called"),
        (made, f"{__name__}.made"),
        (made(), f"{__name__}.made"),
        (len, "builtins.len"),
    ],
)
def test_names(value: t.Any, name: str) -> None:
    assert name_of(value) == name


def test_places() -> None:
    line = made.__code__.co_firstlineno
    for func in (made, partial(made)):
        assert place_of_callable(func).endswith(f"test_finding.py:{line}")
    assert place_of_callable(len) == "builtins.len"


def test_whose_files() -> None:
    assert is_foreign(__file__)
    assert is_foreign("/x/lib/python3/site-packages/a.py")
    assert is_foreign(str(werkzeug.__file__))
    assert not is_foreign(str(json.__file__))
    assert not is_foreign(str(asyncflask.__file__))
    assert not is_foreign("<frozen importlib._bootstrap>")
    assert is_library("/x/site-packages/a.py")
    assert not is_library(__file__)


def test_lists() -> None:
    assert listed([]) == ""
    assert listed(["a", "b"]) == "a, b"
    assert listed([*"abcdef"]) == "a, b, c, d and 2 more"
