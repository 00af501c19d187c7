"""What a run has found, as JSON: figures with their rounds, promises, and where it was."""

from __future__ import annotations

import json
import platform
import re
import time
import typing as t
from collections.abc import Iterable, Mapping

from . import environment, promises, report
from .over_servers import Rates
from .rounds import Found
from .selection import THROUGHPUT

#: The figure of the parts that tell what a request costs: microseconds of processor time.
COST = "us"

#: And the one of the part that counts requests per second, beside latencies.
RATE = "per_second"

Facts = dict[str, t.Any]


def rounded(value: float) -> float:
    """Return a figure with four digits: no measurement here is better than that."""
    return float(f"{value:.4g}")


def summary(values: Iterable[float]) -> Facts:
    """Return what the rounds found, rounded."""
    made = report.summary(map(rounded, values))
    return made | {"median": rounded(made["median"])}


def costs(found: Found) -> Facts:
    """Return the figures of a part that has one for each workload."""
    made: Facts = {}
    for (work, name), values in found.items():
        made.setdefault(work, {})[name] = {COST: summary(values)}
    return made


def rates(found: Rates) -> Facts:
    """Return the figures of a part that has several for each workload."""
    made: Facts = {}
    for (work, name), rounds in found.items():
        figures = {each: summary(one[each] for one in rounds) for each in rounds[0]}
        made.setdefault(work, {})[name] = figures
    return made


def kept(found: Mapping[str, Found]) -> list[Facts]:
    """Return what became of the promises."""
    verdicts = [
        report.verdict(bound, there, promises.title) for bound, there in promises.bounds(found)
    ]
    return [
        {
            "what": each.what,
            "ratio": rounded(each.ratio),
            "lowest": rounded(min(each.ratios)),
            "highest": rounded(max(each.ratios)),
            "at_most": rounded(each.at_most),
            "kept": each.kept,
        }
        for each in verdicts
    ]


def dumped(facts: Facts) -> str:
    """Return facts as JSON, with one line for each figure."""
    text = json.dumps(facts, indent=1)
    return re.sub(r"\{[^{}]*\}", lambda found: " ".join(found[0].split()), text) + "\n"


def facts(
    found: Mapping[str, Found], rated: Rates, failures: list[str], settings: Facts
) -> dict[str, t.Any]:
    """Return everything that was measured, where and how.

    :param settings: the rounds and seconds of each part, and who asked.
    """
    figures = {part: costs(there) for part, there in found.items() if there}
    if rated:
        figures[THROUGHPUT] = rates(rated)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "machine": report.machine(),
        "versions": environment.versions(),
        "settings": settings,
        "figures": figures,
        "promises": kept(found),
        "failures": failures,
    }
