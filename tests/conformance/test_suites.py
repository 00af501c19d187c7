"""The table of suites, and what is guessed of a distribution that is not in it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from . import suites

PKG_INFO = """\
Metadata-Version: 2.4
Name: flask-books
Version: 1.2
Requires-Dist: flask
Requires-Dist: shelves>2
Requires-Dist: pytest==7.0; extra == "tests"
Requires-Dist: mock>=5; (python_version >= "3") and extra == "tests"
Requires-Dist: sphinx; extra == "docs"
Provides-Extra: tests
Provides-Extra: docs
"""
PYPROJECT = """\
[dependency-groups]
test = ["freezegun", { include-group = "more" }]
more = ["redis==5"]
lint = ["ruff"]
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "PKG-INFO").write_text(PKG_INFO)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "test.txt").write_text("-r base.txt\nFaker  # names\n\n")
    (tmp_path / "tests").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", suites.known())
def test_every_suite_is_pinned(name: str) -> None:
    suite = suites.known()[name]
    assert suite.project
    assert suite.version
    assert not {*suite.requirements()} & {*suite.constraints()}


def test_every_constraint_is_a_pin() -> None:
    lines = (suites.HERE / "constraints.txt").read_text().split()
    assert [line for line in lines if "==" not in line] == []
    assert len({suites.project_of(line) for line in lines}) == len(lines)


def test_every_reason_is_of_a_suite() -> None:
    assert set(tomllib.loads((suites.HERE / "reasons.toml").read_text())) <= set(suites.known())


def test_the_later_requirement_wins() -> None:
    suite = suites.Suite("books", "flask_books[x]==1.2", needs=["pytest==7.0", "Mako==1.4.3"])
    assert "pytest==7.0" in suite.requirements()
    assert not any(line.startswith("Mako") for line in suite.constraints())


def test_needs_of_an_unknown_distribution(tree: Path) -> None:
    suite = suites.guessed("flask-books==1.2", tree, ["extra==3"], [])
    assert suite.name == "dist-flask-books"
    # Not pytest: the version that the recorder and the time limit work with is ours to choose.
    assert suite.needs == ["mock>=5", "freezegun", "redis==5", "Faker", "extra==3"]
    assert suite.tests == ["tests"]


def test_tests_beside_the_sources(tree: Path) -> None:
    (tree / "tests").rmdir()
    (tree / "test_books.py").touch()
    assert suites.guessed("flask-books==1.2", tree, [], []).tests == ["test_books.py"]


def test_no_tests_at_all(tree: Path) -> None:
    (tree / "tests").rmdir()
    with pytest.raises(SystemExit, match="no tests"):
        suites.guessed("flask-books==1.2", tree, [], [])
