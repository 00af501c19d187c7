"""What is run: the table in `suites.toml`, and any other distribution that a user names."""

from __future__ import annotations

import tomllib
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.parser import HeaderParser
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement

HERE = Path(__file__).parent
#: The names under which distributions declare what their tests need.
TEST_GROUPS = ("test", "tests", "testing")


@dataclass(frozen=True)
class Suite:
    """The tests in one source distribution, and what they need."""

    name: str
    #: The distribution, pinned: ``Flask-Login==0.6.3``.
    dist: str
    #: More that has to be installed. A pin here wins over `constraints.txt`.
    needs: list[str] = field(default_factory=list)
    #: Where pytest is started, below the unpacked sources.
    folder: str = "."
    #: What pytest is told to run, below `folder`.
    tests: list[str] = field(default_factory=lambda: ["tests"])
    #: What goes on PYTHONPATH, below `folder`.
    path: list[str] = field(default_factory=list)
    #: More arguments for pytest.
    args: list[str] = field(default_factory=list)
    #: More environment variables.
    env: dict[str, str] = field(default_factory=dict)
    #: Seconds for one run of the whole suite.
    seconds: int = 600

    @property
    def project(self) -> str:
        """The distribution's name, without extras and version."""
        return project_of(self.dist)

    @property
    def version(self) -> str:
        return self.dist.partition("==")[2]

    def requirements(self) -> list[str]:
        """Return what pip has to install for it; the later of two on one project wins."""
        asked = [*tables()["core"], self.dist, *self.needs]
        return list({project_of(each): each for each in asked}.values())

    def constraints(self) -> list[str]:
        """Return the pins of everything else, so that a run next year is the same run."""
        asked = {project_of(each) for each in self.requirements()}
        lines = (HERE / "constraints.txt").read_text(encoding="utf-8").split()
        return [line for line in lines if project_of(line) not in asked]


def project_of(requirement: str) -> str:
    for sign in "[=<>~!;@ ":
        requirement = requirement.partition(sign)[0]
    return requirement.lower().replace("_", "-").replace(".", "-")


@cache
def tables() -> dict[str, t.Any]:
    return tomllib.loads((HERE / "suites.toml").read_text(encoding="utf-8"))


def known() -> dict[str, Suite]:
    """Return the suites of the table, by name."""
    return {name: Suite(name, **given) for name, given in tables()["suite"].items()}


def not_run() -> dict[str, str]:
    """Return the distributions whose suites cannot run here, each with the reason."""
    return dict(tables()["not-run"])


def guessed(dist: str, tree: Path, needs: list[str], tests: list[str]) -> Suite:
    """Return the suite of a distribution that no table describes, from what its sources declare.

    :param tree: its unpacked sources.
    :param needs: what the user knows to be needed beside that.
    :param tests: where its tests are; if empty, they are looked for.
    :raises SystemExit: if there are none.
    """
    tests = tests or [name for name in ("tests", "test") if (tree / name).is_dir()][:1]
    tests = tests or sorted(path.name for path in tree.glob("test*.py"))
    if not tests:
        raise SystemExit(f"{dist}: no tests in its sdist. Say where they are with --tests.")
    known = {project_of(each) for each in [*tables()["core"], dist]}
    declared = [each for each in declared_needs(tree) if project_of(each) not in known]
    return Suite(f"dist-{project_of(dist)}", dist, [*declared, *needs], tests=tests, path=["."])


def declared_needs(tree: Path) -> Iterator[str]:
    """Return what extras, dependency groups and requirements files for tests ask for."""
    headers = HeaderParser().parsestr((tree / "PKG-INFO").read_text(encoding="utf-8"))
    for line in headers.get_all("Requires-Dist", []):
        found = Requirement(line)
        if found.marker and any(found.marker.evaluate({"extra": name}) for name in TEST_GROUPS):
            found.marker = None
            yield str(found)
    if (tree / "pyproject.toml").exists():
        pyproject = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))
        for name in TEST_GROUPS:
            yield from group(pyproject.get("dependency-groups", {}), name)
    for file in [*tree.glob("*requirements*test*.txt"), *tree.glob("requirements*/test*.txt")]:
        lines = (line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines())
        yield from (line for line in lines if line and not line.startswith("-"))


def group(groups: dict[str, t.Any], name: str) -> Iterator[str]:
    for each in groups.get(name, []):
        if isinstance(each, str):
            yield each
        else:
            yield from group(groups, each["include-group"])
