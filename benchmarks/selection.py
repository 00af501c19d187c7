"""What of the suite is measured: all of it, or what is asked for by name."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable

from .frameworks import DEPLOYMENTS, FRAMEWORKS, Deployment, Framework
from .workloads import ALL, BY_NAME, Workload

#: The three kinds of figures.
IN_PROCESS, SERVER, THROUGHPUT = "in-process", "server", "throughput"
PARTS = (IN_PROCESS, SERVER, THROUGHPUT)

#: Of which requests per second are counted, and at how many connections. All of it would take an
#: hour, and what the others cost is known from the server's processor time.
RATED = ("str", "json", "sync", "template", "blog")
CONNECTIONS = (1, 32, 256)

#: What is only of interest in process: growth, and what a server has anyhow, which is many at once.
CALLED_ONLY = ("routes-10", "routes-10000", "sync-32")


class SelectionError(Exception):
    """Raised when something is asked for that there is not."""


class Selection(t.NamedTuple):
    """Names: of parts, of workloads, of frameworks and their deployments. None: all of them."""

    parts: frozenset[str] = frozenset()
    works: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    def part(self, name: str) -> bool:
        """Whether a part is measured."""
        return not self.parts or name in self.parts

    def frameworks(self) -> list[Framework]:
        """Return the frameworks that are called in process."""
        asked = self.names | {DEPLOYMENTS[name].framework for name in self.names & {*DEPLOYMENTS}}
        return [each for each in FRAMEWORKS.values() if not asked or each.name in asked]

    def deployments(self) -> list[Deployment]:
        """Return the frameworks under their servers."""
        return [
            each
            for each in DEPLOYMENTS.values()
            if not self.names or {each.name, each.framework} & self.names
        ]

    def workloads(self, part: str) -> list[Workload]:
        """Return what is measured in a part."""
        if not self.part(part):
            return []
        found = [each for each in ALL if not self.works or each.name in self.works]
        if part == THROUGHPUT:
            return [each for each in found if each.name in RATED]
        return [each for each in found if part == IN_PROCESS or each.name not in CALLED_ONLY]


def select(words: Iterable[str]) -> Selection:
    """Return what is asked for: what fits one word of each kind.

    :param words: each the name of a part, a workload, a framework or a deployment.
    :raises SelectionError: if one is none of them.
    """
    kinds = ({*PARTS}, {*BY_NAME}, {*FRAMEWORKS, *DEPLOYMENTS})
    asked = {*words}
    if unknown := asked.difference(*kinds):
        raise SelectionError(
            f"There is nothing called {', '.join(sorted(unknown))} here. Parts: {', '.join(PARTS)}."
            f" Workloads: {', '.join(BY_NAME)}."
            f" Frameworks: {', '.join({**FRAMEWORKS, **DEPLOYMENTS})}."
        )
    return Selection(*(frozenset(asked & kind) for kind in kinds))
