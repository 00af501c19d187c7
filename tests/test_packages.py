"""Where packages lie, against Flask's own answers."""

from __future__ import annotations

import importlib
import os
import sys
import typing as t
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from flask.helpers import get_root_path as flask_root_path
from flask.sansio.scaffold import _find_package_path as flask_package_path
from flask.sansio.scaffold import find_package as flask_find_package

from asyncflask.packages import _find_package_path, find_package, get_root_path


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a directory to import from, and forget what was imported from it."""
    directory = tmp_path / "modules"
    directory.mkdir()
    monkeypatch.syspath_prepend(directory)
    known = set(sys.modules)
    yield directory
    for name in set(sys.modules) - known:
        if name.startswith("made_"):
            del sys.modules[name]


def make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("", "utf-8")


LAYOUT = [
    "made_module.py",
    "made_package/__init__.py",
    "made_package/inner/__init__.py",
    "made_space/inner/__init__.py",
    "made_space/module.py",
]
NAMES = [
    "made_module",
    "made_package",
    "made_package.inner",
    "made_space",
    "made_space.inner",
    "made_space.module",
    "made_missing",
    "made_missing.inner",
    "made_package.missing",
    "__main__",
    "sys",
    "json",
    "json.decoder",
    "pytest",
    "",
    ".relative",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("imported", [False, True])
def test_same_places_as_flask(modules: Path, name: str, imported: bool) -> None:
    for path in LAYOUT:
        make(modules / path)
    if imported and name.startswith("made_") and "missing" not in name:
        importlib.import_module(name)

    assert outcome(get_root_path, name) == outcome(flask_root_path, name)
    assert outcome(find_package, name) == outcome(flask_find_package, name)


def outcome(function: t.Any, name: str) -> t.Any:
    try:
        return function(name)
    except (RuntimeError, ImportError, ValueError) as error:
        return type(error)


def test_namespace_in_several_places(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = modules.parent / "other"
    make(modules / "made_space/one/__init__.py")
    make(other / "made_space/two/__init__.py")
    monkeypatch.syspath_prepend(other)
    for name, expected in (("made_space.one", modules), ("made_space.two", other)):
        assert _find_package_path(name) == os.fspath(expected) == flask_package_path(name)
    assert _find_package_path("made_space.none") == flask_package_path("made_space.none")


@pytest.mark.parametrize(
    ("site", "prefix"),
    [
        ("lib/python3.11/site-packages", "."),
        ("Lib/site-packages", "."),
        ("lib/python3.11/Site-Packages", "."),
        ("some/site-packages", "some"),
        ("site-packages", "."),
        ("lib/python3.11/elsewhere", None),
    ],
)
def test_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: str, prefix: str | None
) -> None:
    make(tmp_path / site / "made_installed.py")
    monkeypatch.syspath_prepend(tmp_path / site)
    expected = None if prefix is None else os.path.normpath(tmp_path / prefix)
    assert find_package("made_installed") == (expected, os.fspath(tmp_path / site))
    assert find_package("made_installed") == flask_find_package("made_installed")


def test_prefix_of_the_interpreter(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(modules / "made_module.py")
    monkeypatch.setattr(sys, "prefix", os.fspath(modules.parent))
    assert find_package("made_module") == (os.fspath(modules.parent), os.fspath(modules))


def test_module_without_a_file(modules: Path) -> None:
    (modules / "made_empty").mkdir()
    importlib.import_module("made_empty")
    with pytest.raises(RuntimeError, match=r"'made_empty' has no file.*`root_path="):
        get_root_path("made_empty")


class Importer:
    """An importer that knows no file names, until the module is imported."""

    def __init__(self, filename: str) -> None:
        self.filename = filename

    def find_spec(self, name: str, path: t.Any = None, target: t.Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, t.cast("t.Any", self)) if name == "made_up" else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: t.Any) -> None:
        module.__file__ = self.filename


def test_module_that_tells_its_file_when_imported(
    modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "meta_path", [Importer("/srv/made_up.py"), *sys.meta_path])
    assert get_root_path("made_up") == "/srv"
