"""With which power of its size a cost grows: fits by least squares."""

from __future__ import annotations

import math
import typing as t

#: The exponents among which the nearest is looked for: hundredths.
_TRIED = range(1, 301)


def slope(sizes: t.Sequence[float], costs: t.Sequence[float]) -> float:
    """Return the slope of log(cost) against log(size)."""
    xs, ys = [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    mean = sum(xs) / len(xs)
    spread = sum((x - mean) ** 2 for x in xs)
    return sum((x - mean) * y for x, y in zip(xs, ys, strict=True)) / spread


def exponent(sizes: t.Sequence[float], costs: t.Sequence[float]) -> float:
    """Return the e of the curve a + b*size**e that is nearest to the costs.

    Nearest is what has the least squares of relative errors; a and b are not negative. The result
    is a hundredth from 0.01 to 3.
    """
    return min(_TRIED, key=lambda tried: _distance(sizes, costs, tried / 100)) / 100


def _distance(sizes: t.Sequence[float], costs: t.Sequence[float], power: float) -> float:
    """Return the sum of squares by which the best curve with this exponent misses the costs."""
    rows: list[tuple[float, float]] = [
        (1 / cost, size**power / cost) for size, cost in zip(sizes, costs, strict=True)
    ]
    uu, uv, vv = (sum(row[i] * row[j] for row in rows) for i, j in ((0, 0), (0, 1), (1, 1)))
    u, v = sum(row[0] for row in rows), sum(row[1] for row in rows)
    scale = uu * vv - uv * uv  # of the normal equations of a*u + b*v = 1
    base = (u * vv - v * uv) / scale
    each = (uu * v - uv * u) / scale
    if base < 0:
        base, each = 0.0, v / vv
    elif each < 0:
        base, each = u / uu, 0.0
    return sum((base * row[0] + each * row[1] - 1) ** 2 for row in rows)
