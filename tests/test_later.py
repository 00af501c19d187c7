"""Values of class attributes that are imported when they are asked for."""

from __future__ import annotations

import sys

import pytest

from asyncflask.later import Later


class Tools:
    kind = Later("graphlib", "TopologicalSorter")


class OwnTools(Tools):
    kind = "mine"


def test_it_is_imported_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "graphlib", raising=False)
    tools = Tools()
    assert "graphlib" not in sys.modules
    assert Tools.kind is sys.modules["graphlib"].TopologicalSorter
    assert tools.kind is Tools.kind


def test_who_sets_the_attribute_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "graphlib", raising=False)
    tools = Tools()
    tools.kind = "own"
    assert (tools.kind, OwnTools.kind, OwnTools().kind) == ("own", "mine", "mine")
    assert "graphlib" not in sys.modules
