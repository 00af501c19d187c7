"""Bar charts as SVG, made of the JSON of a run: a panel for each workload, a bar for each peer."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from . import promises
from .page import Part, number
from .promises import BARE, OURS
from .results import COST, RATE, Facts
from .selection import THROUGHPUT
from .workloads import BY_NAME

#: The workloads that are shown; of the rest there are tables.
SHOWN = (
    *("str", "json", "path", "sync", "session", "hooks", "template", "form", "upload"),
    *("static", "sse", "websocket", "db", "blog"),
)

#: Of requests per second, only those at so many connections.
AT = 32

COLUMNS, WIDTH, BAR, GAP = 3, 340, 15, 26
NAMES, BARS = 150, 120  # the widths of the names and of the longest bar
COLOURS = {OURS: "#d9480f", BARE: "#adb5bd"}
PEER = "#5c7cfa"
XML = 'xmlns="http://www.w3.org/2000/svg"'
FONT = 'font-family="system-ui, sans-serif" font-size="11" fill="#212529"'


def chart(facts: Facts, name: str) -> str:
    """Return the chart of one part."""
    part = Part(facts, name)
    rate = name == THROUGHPUT
    rows = [f"{each}@{AT}" if rate else each for each in SHOWN]
    panels = [[*panel(part, row, RATE if rate else COST)] for row in rows if row in part.figures]
    drawn, top = [], GAP
    for at in range(0, len(panels), COLUMNS):
        line = panels[at : at + COLUMNS]
        for column, each in enumerate(line):
            moved = f"translate({column * WIDTH + 10} {top})"
            drawn.append(f'<g transform="{moved}">\n' + "\n".join(each) + "\n</g>")
        top += max(map(len, line)) // 3 * (BAR + 3) + 2 * GAP
    what = "requests a second (longer is better)" if rate else "microseconds (shorter is better)"
    width = COLUMNS * WIDTH + 10
    return "\n".join(
        (
            f'<svg {XML} viewBox="0 0 {width} {top}" {FONT}>',
            f'<rect width="{width}" height="{top}" fill="#fff"/>',
            f'<text x="10" y="16" fill="#868e96">{what}</text>',
            *drawn,
            "</svg>\n",
        )
    )


def panel(part: Part, row: str, figure: str) -> Iterator[str]:
    """Yield the title of a workload, and three pieces for each framework, the best first."""
    found = [
        (value, name) for name in part.names if (value := part.value(row, name, figure)) is not None
    ]
    found.sort(reverse=figure != COST)
    longest = max(value for value, _ in found)
    work = BY_NAME[row.partition("@")[0]]
    yield f'<text y="{GAP - 12}" font-weight="bold">{escape(work.title.replace("`", ""))}</text>'
    for place, (value, name) in enumerate(found):
        top = GAP - 4 + place * (BAR + 3)
        weight = ' font-weight="bold"' if name == OURS else ""
        length = max(1.0, value / longest * BARS)
        base = top + BAR - 4
        yield (
            f'<text x="{NAMES - 6}" y="{base}" text-anchor="end"{weight}>'
            f"{escape(promises.title(name))}</text>"
        )
        yield (
            f'<rect x="{NAMES}" y="{top}" width="{length:.1f}" height="{BAR}"'
            f' fill="{COLOURS.get(name, PEER)}"/>'
        )
        yield f'<text x="{NAMES + length + 4:.1f}" y="{base}"{weight}>{number(value)}</text>'
