"""Durations as people read them."""

from __future__ import annotations


def shown(nanoseconds: float) -> str:
    """Return a duration with three digits and the unit that suits it: ``1.23 ms``."""
    if not nanoseconds:
        return "0 s"
    for unit, size in (("us", 1e3), ("ms", 1e6)):
        if nanoseconds < 999.5 * size:
            return f"{_digits(nanoseconds / size)} {unit}"
    return f"{_digits(nanoseconds / 1e9)} s"


def _digits(value: float) -> str:
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
