"""The report as one HTML page, with charts, that loads nothing from anywhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from . import charts
from .durations import shown
from .histogram import Histogram
from .outcome import PERCENTILES, Outcome
from .text import groups, size

#: Bars of the histogram.
BARS = 40
#: Points of the curve of percentiles for each factor of ten that requests get rarer.
POINTS = 12

STYLE = """\
:root { color-scheme: light dark; --ink: #1d2430; --paper: #fff; --dim: #667085; --rule: #d9dee7;
  --blue: #2563eb; --orange: #d97706; --red: #c62828; --green: #2e7d32; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --paper: #14181f; --dim: #98a2b3;
  --rule: #343b48; --blue: #6ea0ff; --orange: #f0a848; --red: #ff8a80; --green: #81c784; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 800px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.35rem; margin-bottom: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2rem 0 .4rem; }
p.how, footer { color: var(--dim); margin-top: .2rem; }
p.remark { border-left: 3px solid var(--orange); padding-left: .8rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .8rem; }
dt { color: var(--dim); font-size: .85rem; } dd { margin: 0; font-size: 1.3rem; }
div.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid var(--rule);
  white-space: nowrap; }
th { color: var(--dim); font-weight: 500; }
th:first-child, td:first-child { text-align: left; }
td:first-child { white-space: normal; overflow-wrap: break-word; min-width: 4.5rem; }
.example { display: inline-block; min-width: 14rem; text-align: left; white-space: normal;
  overflow-wrap: anywhere; }
.broken, .bad { color: var(--red); } .ok { color: var(--green); }
svg { width: 100%; height: auto; } svg text { font-size: 12px; fill: var(--dim); }
.grid { stroke: var(--rule); } polyline { fill: none; stroke: var(--blue); stroke-width: 1.8; }
polyline.max { stroke: var(--orange); } polyline.errors { stroke: var(--red); }
.bar { fill: var(--blue); }
b.mean { color: var(--blue); } b.max { color: var(--orange); } b.errors { color: var(--red); }
"""


def page(outcome: Outcome) -> str:
    """Return the page."""
    title = escape(f"Load test: {outcome.title}")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(_body(outcome))
        + "\n</body>\n</html>\n"
    )


def _body(outcome: Outcome) -> Iterator[str]:
    yield f"<h1>{escape(outcome.title)}</h1>"
    yield f'<p class="how">{escape(outcome.how)}</p>'
    yield from (f'<p class="remark">{escape(remark)}</p>' for remark in outcome.remarks())
    yield _facts(outcome)
    yield from _limits(outcome)
    yield from _durations("Latency", outcome.record.total.histogram)
    yield from _curves(outcome.record.total.histogram)
    yield from _over_time(outcome)
    if outcome.plan.scenario is not None:
        yield from _durations("Runs of the scenario", outcome.record.runs)
        yield from _steps(outcome)
    yield from _answers(outcome)
    began = outcome.began.isoformat(sep=" ", timespec="seconds")
    yield f"<footer>asyncflask load, {escape(began)}</footer>"


def _facts(outcome: Outcome) -> str:
    record = outcome.record
    facts = {
        "Answers a second": f"{record.rate:,.1f}",
        "Answered": f"{record.total.answered:,}",
        "Errors": f"{record.errors:,}",
        "Seconds": f"{record.elapsed / 1e9:,.2f}",
        "Received (bodies)": size(record.total.received),
        "Client's cores": " + ".join(f"{share:.0%}" for share in outcome.strain.shares),
    }
    cells = [f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items()]
    return f"<dl>{''.join(cells)}</dl>"


def _table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table; the cells are HTML."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="table"><table><tr>{top}</tr>{body}</table></div>'


def _limits(outcome: Outcome) -> Iterator[str]:
    if not outcome.verdicts:
        return
    rows = []
    for each in outcome.verdicts:
        mark, word = ("ok", "ok") if each.holds else ("broken", "broken")
        result = f'<span class="{mark}">{word}</span>'
        rows.append([f"--{each.name}", escape(each.limit), escape(each.found), result])
    yield "<h2>Limits</h2>" + _table(["Limit", "Value", "Found", ""], rows)


def _durations(title: str, histogram: Histogram) -> Iterator[str]:
    yield f"<h2>{title}</h2>"
    if not histogram.count:
        yield "<p>None.</p>"
        return
    head = ["mean", "min", *(f"p{percent:g}" for percent in PERCENTILES), "max"]
    values = [
        histogram.mean,
        histogram.smallest,
        *(histogram.percentile(percent) for percent in PERCENTILES),
        histogram.largest,
    ]
    yield _table(head, [[shown(value) for value in values]])


def _curves(histogram: Histogram) -> Iterator[str]:
    if not histogram.count:
        return
    yield "<h2>How many took how long</h2>"
    rows = [(shown(upper), times) for upper, times in groups(histogram, BARS)]
    yield charts.bars("Requests by latency", rows, _count)
    yield "<h2>Latency by percentile</h2>"
    yield charts.lines(
        "Latency by percentile", [_percentiles(histogram)], _rarities(histogram), shown
    )


def _rarities(histogram: Histogram) -> list[tuple[float, str]]:
    """Return the ticks of the curve: each factor of ten makes requests ten times rarer."""
    most = max(math.ceil(math.log10(histogram.count)), 1)
    labels = ["0 %", "90 %", "99 %", *(f"99.{'9' * nines} %" for nines in range(1, most))]
    return [(number, label) for number, label in enumerate(labels[: most + 1])]


def _percentiles(histogram: Histogram) -> charts.Series:
    most = max(math.ceil(math.log10(histogram.count)), 1)
    places = [number / POINTS for number in range(most * POINTS + 1)]
    points = [
        (place, float(histogram.percentile(max(100 * (1 - 10**-place), 1e-9)))) for place in places
    ]
    return charts.Series("mean", points)


def _over_time(outcome: Outcome) -> Iterator[str]:
    line = outcome.record.timeline
    if len(line.slots) < 2:
        return
    width = line.width / 1e9
    # The last slot is not over yet.
    slots = [(number * width, slot) for number, slot in enumerate(line.slots[:-1])]
    if len(slots) < 2:
        return
    end = slots[-1][0]
    step = charts.round_step(end)
    ticks = [(n * step, f"{n * step:g} s") for n in range(int(end / step) + 1)]
    series = [charts.Series("mean", [(x, slot.count / width) for x, slot in slots])]
    named = '<b class="mean">requests</b> a second'
    if any(slot.errors for _, slot in slots):
        series.append(charts.Series("errors", [(x, slot.errors / width) for x, slot in slots]))
        named += ', <b class="errors">errors</b>'
    yield f"<h2>Over time: {named}</h2>"
    yield charts.lines("Requests a second over time", series, ticks, _count)
    # A slot in which nothing was answered has no latency, not one of zero.
    means = [(x, slot.total / slot.count) for x, slot in slots if slot.count]
    longest = [(x, float(slot.largest)) for x, slot in slots if slot.count]
    yield '<h2>Over time: latency, <b class="mean">mean</b> and <b class="max">longest</b></h2>'
    both = [charts.Series("mean", means), charts.Series("max", longest)]
    yield charts.lines("Latency over time", both, ticks, shown)


def _steps(outcome: Outcome) -> Iterator[str]:
    rows = []
    for name, each in outcome.record.steps.items():
        durations = each.histogram
        values = (durations.percentile(50), durations.percentile(99), durations.largest)
        counts = [f"{each.answered:,}", f"{each.failed + each.refused:,}"]
        rows.append([escape(name), *counts, *map(shown, values)])
    yield "<h2>Steps</h2>" + _table(["Step", "answered", "errors", "p50", "p99", "max"], rows)


def _answers(outcome: Outcome) -> Iterator[str]:
    total = outcome.record.total
    rows = [[f"Status {status}", f"{n:,}", ""] for status, n in sorted(total.statuses.items())]
    for kind, times in total.failures.most_common():
        example = f'<span class="example">{escape(total.examples[kind])}</span>'
        rows.append([f'<span class="bad">{escape(kind)}</span>', f"{times:,}", example])
    if outcome.record.unsent:
        rows.append(['<span class="bad">never sent</span>', f"{outcome.record.unsent:,}", ""])
    yield "<h2>Answers</h2>" + _table(["What", "Count", "Example"], rows)


def _count(value: float) -> str:
    return f"{value:,g}" if value < 1e6 else f"{value:,.0f}"
