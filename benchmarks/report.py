"""Tables for people and JSON for machines."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
import typing as t
from collections.abc import Mapping
from pathlib import Path

from . import environment
from .rounds import Bound, Found

#: Every figure is compared with ours for the same work, where there is one.
OURS = "asyncflask"


class Verdict(t.NamedTuple):
    """What became of a promise."""

    what: str
    ratios: list[float]  # of the rounds
    at_most: float

    @property
    def ratio(self) -> float:
        """The median: what is judged."""
        return statistics.median(self.ratios)

    @property
    def kept(self) -> bool:
        """Whether the promise holds."""
        return self.ratio <= self.at_most


def verdict(bound: Bound, found: Found, called: t.Callable[[str], str] = str) -> Verdict:
    """Return what became of a promise.

    :param called: gives the title of a name.
    """
    best = f" ({called(bound.best(found)[1])})" if len(bound.theirs) > 1 else ""
    return Verdict(bound.what + best, bound.ratios(found), bound.at_most)


def table(title: str, found: Found, unit: str = "us per request") -> str:
    """Return the figures of one part, a line each, with their ratio to ours."""
    lines = [
        "",
        f"| {title} | | {unit} | rounds from - to | x asyncflask |",
        "|---|---|---:|---:|---:|",
    ]
    works = [*dict.fromkeys(work for work, _ in found)]
    for (work, name), values in sorted(found.items(), key=lambda item: works.index(item[0][0])):
        ours = [key for key in found if key[0] == work and key[1].startswith(OURS)]
        ratio = f"{Bound('', (work, name), ours, 0).ratio(found):.2f}" if ours else ""
        median, spread = statistics.median(values), f"{min(values):.1f} - {max(values):.1f}"
        lines.append(f"| {work} | {name} | {median:.1f} | {spread} | {ratio} |")
    return "\n".join(lines)


def verdict_table(verdicts: t.Iterable[Verdict]) -> str:
    """Return the promises, a line each."""
    lines = ["", "| ratio | measured | rounds from - to | at most | kept |"]
    lines.append("|---|---:|---:|---:|---|")
    for each in verdicts:
        kept = "yes" if each.kept else "no"
        spread = f"{min(each.ratios):.2f} - {max(each.ratios):.2f}"
        lines.append(f"| {each.what} | {each.ratio:.2f} | {spread} | {each.at_most:.2f} | {kept} |")
    return "\n".join(lines)


def machine() -> dict[str, t.Any]:
    """Return what the figures were measured on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    return {
        "processor": ", ".join(sorted(models)) or platform.processor(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
    }


def heading() -> str:
    """Return what was measured, on what and when, in lines."""
    versions = environment.versions().items()
    of = machine()
    return (
        f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()},"
        f" {of['cores']} cores of {of['processor']} ({of['architecture']}, {of['system']})\n"
        + ", ".join(f"{name} {version}" for name, version in versions)
    )


def summary(values: t.Iterable[float]) -> dict[str, t.Any]:
    """Return what the rounds found, and what they come to."""
    rounds = [*values]
    return {
        "median": statistics.median(rounds),
        "lowest": min(rounds),
        "highest": max(rounds),
        "rounds": rounds,
    }


def _figures(found: Mapping[str, Found]) -> dict[str, dict[str, dict[str, t.Any]]]:
    figures: dict[str, dict[str, dict[str, t.Any]]] = {}
    for part, cells in found.items():
        for (work, name), values in cells.items():
            rounds = (round(value, 2) for value in values)
            figures.setdefault(part, {}).setdefault(work, {})[name] = summary(rounds)
    return figures


def as_json(results: Mapping[str, Mapping[str, Found]], verdicts: t.Iterable[Verdict]) -> str:
    """Return everything that was measured, and where.

    :param results: what was found in each part, by unit.
    """
    facts = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "machine": machine(),
        "versions": environment.versions(),
        **{unit: _figures(found) for unit, found in results.items()},
        "promises": [
            {
                "what": each.what,
                "ratio": round(each.ratio, 3),
                "rounds": [round(ratio, 3) for ratio in each.ratios],
                "at_most": round(each.at_most, 3),
                "kept": each.kept,
            }
            for each in verdicts
        ],
    }
    return json.dumps(facts, indent=1)
