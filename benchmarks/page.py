"""Tables for people, made of the JSON of a run and of nothing else."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator

from . import promises
from .promises import BARE, OURS
from .results import COST, RATE, Facts
from .selection import CONNECTIONS, IN_PROCESS, PARTS, RATED, SERVER, THROUGHPUT
from .workloads import BY_NAME

TITLES = {
    IN_PROCESS: "In process",
    SERVER: "Over loopback: processor time of the server",
    THROUGHPUT: "Requests per second, and latencies",
}
SHORT = {IN_PROCESS: "in process", SERVER: "server CPU", THROUGHPUT: "requests per second"}
UNITS = {
    IN_PROCESS: "microseconds of processor time for a request",
    SERVER: "microseconds of the server's processor time for a request",
}

#: What the README shows: of the server's processor time.
README_ROWS = (
    *("str", "json", "path", "sync", "session", "hooks", "template", "form", "upload", "static"),
    *("sse", "websocket", "db", "blog"),
)
README_COLUMNS = ("starlette", "fastapi", "litestar", "blacksheep", "quart")

#: Stands where there is no figure.
NOTHING = "-"

#: The charts' folder, as the page sees it.
CHARTS = "benchmarks"


def number(value: float | None) -> str:
    """Return a figure with the digits that mean something; nothing, if there is none."""
    if value is None:
        return NOTHING
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]], texts: int = 1) -> list[str]:
    """Return the lines of a table.

    :param texts: how many columns, from the left, are no figures.
    """
    names = [*head]
    marks = ["---"] * texts + ["---:"] * (len(names) - texts)
    return ["", *("| " + " | ".join(each) + " |" for each in (names, marks, *rows)), ""]


class Part:
    """The figures of one part.

    :param facts: all of the run.
    :param name: the part's.
    """

    def __init__(self, facts: Facts, name: str) -> None:
        self.name = name
        found = facts["figures"].get(name, {})
        works = [*BY_NAME]
        rows = sorted(found, key=lambda row: works.index(row.partition("@")[0]))
        self.figures: Facts = {row: found[row] for row in rows}
        names = {each for row in self.figures.values() for each in row}
        order = (BARE, OURS, *promises.peers(name))
        self.names = [each for each in order if each in names]

    def value(self, row: str, name: str, figure: str = COST) -> float | None:
        """Return a figure, if there is one."""
        found = self.figures.get(row, {}).get(name)
        return t.cast("float", found[figure]["median"]) if found else None

    @property
    def figure(self) -> str:
        """The figure by which peers are compared."""
        return RATE if self.name == THROUGHPUT else COST

    def best(self, row: str) -> tuple[str, float] | None:
        """Return which peer is the cheapest, or the quickest, and its figure."""
        found = [
            (value, name)
            for name in promises.peers(self.name)
            if (value := self.value(row, name, self.figure)) is not None
        ]
        if not found:
            return None
        value, name = max(found) if self.figure == RATE else min(found)
        return name, value

    def lost(self, row: str) -> tuple[float, float, str] | None:
        """Return our figure, the best peer's and its name, if that is ahead."""
        ours, best = self.value(row, OURS, self.figure), self.best(row)
        if ours is None or best is None:
            return None
        ahead = best[1] > ours if self.figure == RATE else best[1] < ours
        return (ours, best[1], best[0]) if ahead else None


def ratio(one: float | None, other: float | None) -> str:
    """Return how many times another figure one is."""
    return NOTHING if one is None or other is None else f"{one / other:.2f}"


def compared(part: Part) -> Iterator[list[str]]:
    """Yield a row for each workload: ours beside the limit and beside the best peer."""
    for row in part.figures:
        ours, bare, best = part.value(row, OURS), part.value(row, BARE), part.best(row)
        name, value = best if best else ("", None)
        first = NOTHING if ours is None or value is None else "yes" if ours <= value else "**no**"
        peer = promises.title(name) if name else NOTHING
        yield [
            *(BY_NAME[row].title, number(bare), number(ours), ratio(ours, bare)),
            *(peer, number(value), ratio(ours, value), first),
        ]


def cost_tables(part: Part) -> list[str]:
    """Return the tables of a part that tells what a request costs."""
    head = ["", "bare ASGI", OURS, "x bare", "best peer", "", "ours / best", "first"]
    rows = [[BY_NAME[row].title, *map(number, values)] for row, values in _all(part)]
    return [
        *table(head, compared(part)),
        f"All of them, {UNITS[part.name]}:",
        *table(["", *map(promises.title, part.names)], rows),
    ]


def _all(part: Part) -> Iterator[tuple[str, list[float | None]]]:
    for row in part.figures:
        yield row, [part.value(row, name) for name in part.names]


def rate_tables(part: Part, settings: Facts) -> list[str]:
    """Return the tables of the part that counts requests per second."""
    head = ["", "connections", *map(promises.title, part.names)]
    rates, latencies = [], []
    for row in (f"{work}@{count}" for work in RATED for count in CONNECTIONS):
        if row not in part.figures:
            continue
        work, _, count = row.partition("@")
        begin = [BY_NAME[work].title, count]
        rates.append([*begin, *(_rate(part, row, name) for name in part.names)])
        latencies.append([*begin, *(_latency(part, row, name) for name in part.names)])
    asked = f"Requests per second, one core, asked by {settings['client']}."
    return [
        "",
        f"{asked} A ≥ stands where who asked was busy all the time: there may have been more.",
        *table(head, rates, texts=2),
        "Latency in milliseconds, median / 99th percentile:",
        *table(head, latencies, texts=2),
    ]


def _rate(part: Part, row: str, name: str) -> str:
    rate = part.value(row, name, RATE)
    if rate is None:
        return NOTHING
    busy = part.figures[row][name].get("client", {}).get("median", 0.0)
    return f"{'≥ ' if busy > 0.95 else ''}{rate:,.0f}"


def _latency(part: Part, row: str, name: str) -> str:
    half, slow = part.value(row, name, "p50"), part.value(row, name, "p99")
    return NOTHING if half is None or slow is None else f"{half:.2f} / {slow:.2f}"


def promise_table(facts: Facts) -> list[str]:
    """Return what became of the promises."""
    rows = [
        [
            *(
                each["what"],
                f"{each['ratio']:.2f}",
                f"{each['lowest']:.2f} - {each['highest']:.2f}",
            ),
            *(f"{each['at_most']:.2f}", "yes" if each["kept"] else "**no**"),
        ]
        for each in facts["promises"]
    ]
    return table(["ratio", "measured", "rounds from - to", "at most", "kept"], rows)


def losses(facts: Facts, notes: t.Mapping[str, str]) -> list[str]:
    """Return where a peer is cheaper, or quicker.

    :param notes: what was tried, by part and workload.
    """
    found = []
    for part in (Part(facts, name) for name in PARTS):
        for row in part.figures:
            if lost := part.lost(row):
                ours, value, name = lost
                what = f"- {SHORT[part.name]}, {_titled(row)}: {number(ours)}, where"
                theirs = f"{promises.title(name)} has {number(value)} ({ratio(ours, value)} x)."
                note = notes.get(f"{part.name} {row}", "")
                found.append(f"{what} {theirs} {note}".rstrip())
    return found or ["Nowhere."]


def _titled(row: str) -> str:
    work, _, count = row.partition("@")
    title = BY_NAME[work].title
    return f"{title} at {count} connection{'s' * (count != '1')}" if count else title


def heading(facts: Facts) -> list[str]:
    """Return what was measured, on what, when and how."""
    machine, settings = facts["machine"], facts["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    paces = "; ".join(
        "{}: {rounds} rounds of {turns} turns of {seconds} s".format(part, **settings[part])
        for part in PARTS
        if part in facts["figures"]
    )
    where = f"{machine['cores']} cores of {machine['processor']} ({machine['system']})"
    took = f"in one run of {settings['took'] / 60:.0f} minutes"
    when = f"Measured on {facts['date']}, Python {facts['python']}, {where}, {took};"
    how = f"in each of {settings['starts']} starts, {paces}."
    warning = [
        "**This was a quick run, which shows the layout: its figures are worth nothing.**",
        "",
    ]
    return [*(warning if settings["quick"] else []), f"{when} {how}", "", f"{versions}."]


def section(facts: Facts, notes: t.Mapping[str, str] | None = None) -> str:
    """Return the generated part of the page.

    :param facts: the JSON of a run.
    :param notes: what was tried where a peer is ahead, by part and workload.
    """
    lines = heading(facts)
    if facts["promises"]:
        lines += ["", "## What was promised", *promise_table(facts)]
    if facts["figures"]:
        lines += ["## Where a peer is ahead", "", *losses(facts, notes or {}), ""]
    for name in PARTS:
        if name in facts["figures"]:
            part = Part(facts, name)
            lines += [f"## {TITLES[name]}", "", f"![{TITLES[name]}]({CHARTS}/{name}.svg)"]
            lines += (
                rate_tables(part, facts["settings"]) if name == THROUGHPUT else cost_tables(part)
            )
    return "\n".join(lines).rstrip() + "\n"


def readme(facts: Facts) -> str:
    """Return the README's table: what a request costs the server."""
    part = Part(facts, SERVER)
    flasks = [name for name in part.names if name.startswith("flask-")]
    rows = []
    for row in (each for each in README_ROWS if each in part.figures):
        best = [value for name in flasks if (value := part.value(row, name)) is not None]
        values = [part.value(row, name) for name in (BARE, OURS, *README_COLUMNS)]
        rows.append([BY_NAME[row].title, *map(number, (*values, min(best, default=None)))])
    head = [UNITS[SERVER], *map(promises.title, (BARE, OURS, *README_COLUMNS))]
    machine = facts["machine"]
    return "\n".join(
        (
            f"{facts['date']}, Python {facts['python']}, {machine['processor']}, one core:",
            *table([*head, "Flask, best server"], rows),
        )
    )
