"""The report as text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

from .durations import shown
from .histogram import Histogram
from .outcome import PERCENTILES, Outcome
from .record import Tally
from .strain import Strain

#: Rows of the histogram at most.
ROWS = 12
#: Characters of its longest bar, and of a line.
BAR = 40
WIDTH = 96
#: Durations that make a histogram worth its lines.
FEWEST = 20
#: The first column.
LABEL = 14
#: Units of sizes, each a thousand times the one before.
SIZES = ("B", "kB", "MB", "GB", "TB")


def report(outcome: Outcome) -> Iterator[str]:
    """Iterate over the lines of the report."""
    yield from (outcome.title, outcome.how, "")
    yield from _figures(outcome)
    yield from ("", *_durations("Latency", outcome.record.total.histogram))
    yield from _rows(outcome.record.total.histogram)
    if outcome.plan.scenario is not None:
        yield from ("", *_durations("Runs", outcome.record.runs))
        yield from ("", *_steps(outcome))
    for remark in outcome.remarks():
        yield from ("", *textwrap.wrap(remark, WIDTH))
    if outcome.verdicts:
        yield from ("", *verdicts(outcome))


def _line(label: str, *parts: str) -> str:
    return f"{label:<{LABEL}}{', '.join(part for part in parts if part)}"


def _figures(outcome: Outcome) -> Iterator[str]:
    record, total = outcome.record, outcome.record.total
    seconds = record.elapsed / 1e9
    answered = f"{total.answered:,} answered in {seconds:,.2f} s"
    unfinished = f"{record.unfinished:,} cut short" if record.unfinished else ""
    unsent = f"{record.unsent:,} never sent" if record.unsent else ""
    yield _line("Requests", answered, f"{record.rate:,.1f}/s", unsent, unfinished)
    if outcome.plan.scenario is not None:
        yield _line("Runs", f"{record.done_runs:,} done", f"{record.failed_runs:,} failed")
    statuses = sorted(total.statuses.items())
    yield _line("Status", *[f"{status}: {n:,}" for status, n in statuses] or ["none"])
    yield from _failures(total)
    second = max(seconds, 1e-9)
    per_second = f"{size(total.received)} received ({size(total.received / second)}/s)"
    yield _line("Bodies", per_second, f"{size(total.sent)} sent")
    yield _line("Client", _client(outcome.strain))


def _failures(total: Tally) -> Iterator[str]:
    label = "Failures"
    for kind, times in total.failures.most_common():
        text = f"{kind}: {times:,}  ({total.examples[kind]})"
        yield from textwrap.wrap(
            text, WIDTH, initial_indent=f"{label:<{LABEL}}", subsequent_indent=" " * (LABEL + 2)
        )
        label = ""
    if label:
        yield _line(label, "none")


def _client(strain: Strain) -> str:
    shares = " + ".join(f"{share:.0%}" for share in strain.shares)
    return f"{shares} of a core, event loop up to {shown(strain.lag.percentile(99))} late (p99)"


def _durations(label: str, histogram: Histogram) -> Iterator[str]:
    if not histogram.count:
        yield _line(label, "none")
        return
    yield _line(
        label,
        f"mean {shown(histogram.mean)}",
        f"deviation {shown(histogram.deviation)}",
        f"min {shown(histogram.smallest)}",
    )
    names = [*(f"p{percent:g}" for percent in PERCENTILES), "max"]
    values = [*(histogram.percentile(percent) for percent in PERCENTILES), histogram.largest]
    cells = [f"{shown(value):>8}" for value in values]
    yield " " * LABEL + "  ".join(f"{name:>8}" for name in names)
    yield " " * LABEL + "  ".join(cells)


def groups(histogram: Histogram, most: int) -> list[tuple[float, int]]:
    """Return the histogram as a few rows: the upper end of each, and its count.

    They go from the smallest to the largest in equal factors, as durations spread over powers.
    """
    if not histogram.count:
        return []
    low = math.log(max(histogram.smallest, 1))
    step = (math.log(max(histogram.largest, 1)) - low) / most or 1.0
    counts = [0] * most
    for first, last, times in histogram.buckets():
        middle = min(max((first + last) / 2, histogram.smallest, 1), histogram.largest)
        counts[min(int((math.log(max(middle, 1)) - low) / step), most - 1)] += times
    rows = [(math.exp(low + (row + 1) * step), times) for row, times in enumerate(counts)]
    while rows[-1][1] == 0:
        rows.pop()
    return rows


def _rows(histogram: Histogram) -> Iterator[str]:
    rows = groups(histogram, ROWS)
    if histogram.count < FEWEST or len(rows) < 2:
        return
    yield ""
    most = max(times for _, times in rows)
    for upper, times in rows:
        # What there is at all is seen.
        bar = "#" * max(round(times / most * BAR), times > 0)
        yield f"  <= {shown(upper):>8}  {bar:<{BAR}}  {times:,}"


def _steps(outcome: Outcome) -> Iterator[str]:
    steps = outcome.record.steps
    width = max([len("Step"), *(len(name) for name in steps)])
    yield f"{'Step':<{width}}  {'answered':>9}  {'errors':>7}  {'p50':>8}  {'p99':>8}  {'max':>8}"
    for name, tally in steps.items():
        durations = tally.histogram
        times = (durations.percentile(50), durations.percentile(99), durations.largest)
        cells = "  ".join(f"{shown(value):>8}" for value in times)
        errors = tally.failed + tally.refused
        yield f"{name:<{width}}  {tally.answered:>9,}  {errors:>7,}  {cells}"


def verdicts(outcome: Outcome) -> Iterator[str]:
    """Iterate over the lines of the limits, broken ones marked."""
    yield "Limits"
    for verdict in outcome.verdicts:
        mark = "ok    " if verdict.holds else "BROKEN"
        yield f"  {mark}  --{verdict.name} {verdict.limit}: {verdict.found}"


def size(count: float) -> str:
    """Return a number of bytes with the unit that suits it."""
    for unit in SIZES[:-1]:
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} {SIZES[-1]}"
