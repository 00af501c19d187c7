"""Counts, kept by the served app."""

from __future__ import annotations

import threading
from collections import Counter


class Tally:
    """Counts what happens, from any thread."""

    def __init__(self) -> None:
        self._values: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, name: str, number: int = 1) -> None:
        with self._lock:
            self._values[name] += number

    def values(self) -> dict[str, int]:
        """Return all counts."""
        with self._lock:
            return dict(self._values)
