"""What is said while a run goes on: one line, written anew on a terminal, else one each second."""

from __future__ import annotations

import sys
import typing as t
from dataclasses import dataclass

from .durations import shown
from .record import Record

#: Seconds between two lines.
EVERY = 1.0


@dataclass(frozen=True)
class Glance:
    """The few figures of a record that are looked at while it grows; they add up.

    :param answered: requests so far.
    :param errors: so far.
    :param count: of the durations.
    :param total: of the durations, in nanoseconds.
    """

    answered: int = 0
    errors: int = 0
    count: int = 0
    total: int = 0

    @classmethod
    def at(cls, record: Record) -> t.Self:
        """Look at a record."""
        durations = record.total.histogram
        return cls(record.total.answered, record.errors, durations.count, durations.total)

    def __add__(self, other: Glance) -> Glance:
        return Glance(
            self.answered + other.answered,
            self.errors + other.errors,
            self.count + other.count,
            self.total + other.total,
        )


class Progress:
    """Prints a line each second on standard error.

    :param quiet: whether nothing is printed.
    :param stream: where else.
    """

    def __init__(self, quiet: bool = False, stream: t.IO[str] | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._quiet = quiet
        self._overwrites = self._stream.isatty()
        self._last, self._last_at = Glance(), 0.0

    def say(self, text: str) -> None:
        """Print a line that stays."""
        if not self._quiet:
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def show(self, glance: Glance, elapsed: float) -> None:
        """Print what the last second was like.

        :param elapsed: seconds since the beginning.
        """
        passed = max(elapsed - self._last_at, 1e-9)
        answered = glance.answered - self._last.answered
        count = glance.count - self._last.count
        mean = shown((glance.total - self._last.total) / count) if count else "-"
        line = (
            f"{elapsed:5.0f} s  {answered / passed:9,.0f}/s  mean {mean:>8}"
            f"  answered {glance.answered:,}  errors {glance.errors:,}"
        )
        self._last, self._last_at = glance, elapsed
        if not self._quiet:
            self._stream.write(f"\r{line}\x1b[K" if self._overwrites else f"{line}\n")
            self._stream.flush()

    def close(self) -> None:
        """Take away the line that was written over and over."""
        if self._overwrites and not self._quiet:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
