"""Charts as SVG to stand in a page: text that scales, and colours that the page's style gives.

A chart is a plot of `WIDTH` by `HEIGHT` with grid lines at round values.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

#: The size of a chart, and the room for the labels left of the plot and below it.
WIDTH, HEIGHT = 760, 240
LEFT, RIGHT, TOP, BOTTOM = 76, 28, 12, 30
#: Grid lines at most.
LINES = 5

#: Writes a value on an axis.
Write = Callable[[float], str]


@dataclass(frozen=True)
class Series:
    """A line: its name, which is its class for the style too, and its points."""

    name: str
    points: Sequence[tuple[float, float]]


def round_step(largest: float, lines: int = LINES) -> float:
    """Return the distance of grid lines: 1, 2 or 5 times a power of ten."""
    if largest < sys.float_info.min:  # nothing, or less than can be divided
        return 1.0
    rough = largest / lines
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= rough * (1 - 1e-9))


class _Plot:
    """Where a value lies in the picture.

    :param x_range: the smallest and the largest value from left to right.
    :param y_largest: the largest value; the smallest is 0.
    """

    def __init__(self, x_range: tuple[float, float], y_largest: float) -> None:
        self._low, high = x_range
        self._span = (high - self._low) or 1.0
        self.step = round_step(y_largest)
        self.top = max(math.ceil(y_largest / self.step - 1e-9), 1) * self.step

    def x(self, value: float) -> float:
        return LEFT + (value - self._low) / self._span * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - value / self.top * (HEIGHT - TOP - BOTTOM)

    def grid(self, write: Write) -> Iterator[str]:
        for number in range(round(self.top / self.step) + 1):
            value = number * self.step
            y = self.y(value)
            yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield _text(LEFT - 8, y + 4, write(value), "end")

    def ticks(self, ticks: Sequence[tuple[float, str]]) -> Iterator[str]:
        for value, label in ticks:
            yield _text(self.x(value), HEIGHT - BOTTOM + 20, label, "middle")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _picture(label: str, parts: Iterator[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">\n'
        + "\n".join(parts)
        + "\n</svg>"
    )


def lines(
    label: str, series: Sequence[Series], ticks: Sequence[tuple[float, str]], write: Write
) -> str:
    """Return a chart of lines.

    :param label: what it shows, for those who do not see it.
    :param series: the lines; all have points.
    :param ticks: values on the axis below, and what stands there.
    :param write: writes the values of the other axis.
    """
    points = [point for each in series for point in each.points]
    xs = [x for x, _ in points] + [value for value, _ in ticks]
    plot = _Plot((min(xs), max(xs)), max(y for _, y in points))

    def parts() -> Iterator[str]:
        yield from plot.grid(write)
        yield from plot.ticks(ticks)
        for each in series:
            path = " ".join(f"{plot.x(x):.1f},{plot.y(y):.1f}" for x, y in each.points)
            yield f'<polyline class="{escape(each.name)}" points="{path}"/>'

    return _picture(label, parts())


def bars(label: str, rows: Sequence[tuple[str, int]], write: Write) -> str:
    """Return a chart of bars that stand side by side.

    :param label: what it shows.
    :param rows: for each bar what stands below it, and its height; there is one at least.
    :param write: writes the heights.
    """
    plot = _Plot((0, len(rows)), max(height for _, height in rows))
    every = math.ceil(len(rows) / 8)  # else the labels run into each other

    def parts() -> Iterator[str]:
        yield from plot.grid(write)
        for number, (text, height) in enumerate(rows):
            x, y = plot.x(number), plot.y(height)
            width, tall = plot.x(number + 1) - x - 1, HEIGHT - BOTTOM - y
            title = f"<title>{escape(f'up to {text}: {write(height)}')}</title>"
            yield (
                f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}"'
                f' height="{tall:.1f}">{title}</rect>'
            )
            if number % every == every - 1:
                yield _text(x + width, HEIGHT - BOTTOM + 20, text, "end")

    return _picture(label, parts())
