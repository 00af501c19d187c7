from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from asyncflask.cli import load_dotenv


def test_which_file_wins(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".flaskenv").write_text("A=flaskenv\nB=flaskenv\nC=flaskenv\nD=flaskenv\n")
    (project / ".env").write_text("B=env\nC=env\nD=env\n")
    (project / "more").write_text("C=more\nD=more\nE=火腿\n", encoding="utf-8")
    monkeypatch.setenv("D", "set")
    assert load_dotenv("more")
    assert [os.environ[name] for name in "ABCDE"] == ["flaskenv", "env", "more", "set", "火腿"]


def test_a_file_above_is_found(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".env").write_text("A=above\n")
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    assert load_dotenv()
    assert os.environ["A"] == "above"


def test_defaults_may_be_left_out(project: Path) -> None:
    (project / ".env").write_text("A=env\n")
    assert not load_dotenv("missing", load_defaults=False)
    assert "A" not in os.environ


def test_a_name_without_a_value_sets_nothing(project: Path) -> None:
    (project / ".env").write_text("ALONE\n")
    assert load_dotenv()
    assert "ALONE" not in os.environ


@pytest.mark.parametrize("there", [True, False])
def test_without_python_dotenv_a_tip_where_it_would_help(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    there: bool,
) -> None:
    monkeypatch.setitem(sys.modules, "dotenv", None)
    if there:
        (project / ".env").write_text("A=env\n")
    assert not load_dotenv()
    assert ("pip install python-dotenv" in capsys.readouterr().err) is there
    assert "A" not in os.environ
