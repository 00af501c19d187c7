"""What happened when, in a fixed number of slots, however long it takes.

A slot is `FIRST_WIDTH` long. When all `SLOTS` are used, each two become one of double width.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

#: Enough points for a chart, and a quarter of the width of the page's in pixels.
SLOTS = 240
#: Nanoseconds: a run of a minute is not coarsened.
FIRST_WIDTH = 250_000_000


@dataclass
class Slot:
    """What ended within one slot: how many, how many of them in an error, and how long they took.

    :param total: of the durations, in nanoseconds.
    :param largest: of the durations.
    """

    count: int = 0
    errors: int = 0
    total: int = 0
    largest: int = 0

    def add(self, other: Slot) -> None:
        """Add another slot's figures."""
        self.count += other.count
        self.errors += other.errors
        self.total += other.total
        self.largest = max(self.largest, other.largest)


class Timeline:
    """The slots of one run.

    :param width: of a slot, in nanoseconds.
    """

    def __init__(self, width: int = FIRST_WIDTH) -> None:
        self.width = width
        self.slots: list[Slot] = []

    def add(self, at: int, duration: int, failed: bool) -> None:
        """Count what ended `at` nanoseconds after the beginning of the run."""
        slot = self._slot(max(at, 0))
        slot.count += 1
        slot.errors += failed
        slot.total += duration
        if duration > slot.largest:
            slot.largest = duration

    def _slot(self, at: int) -> Slot:
        index = at // self.width
        while index >= SLOTS:
            self._coarsen()
            index = at // self.width
        while index >= len(self.slots):
            self.slots.append(Slot())
        return self.slots[index]

    def _coarsen(self) -> None:
        pairs = self.slots[::2]
        for slot, following in zip(pairs, self.slots[1::2], strict=False):
            slot.add(following)
        self.slots = pairs
        self.width *= 2

    def merge(self, other: Timeline) -> None:
        """Add another run's slots; the coarser width stays."""
        while self.width < other.width:
            self._coarsen()
        for index, slot in enumerate(other.slots):
            self._slot(index * other.width).add(slot)

    def as_data(self) -> dict[str, t.Any]:
        """Return all of it as what JSON can carry."""
        rows = [[slot.count, slot.errors, slot.total, slot.largest] for slot in self.slots]
        return {"width": self.width, "slots": rows}

    @classmethod
    def from_data(cls, data: dict[str, t.Any]) -> t.Self:
        """Return the timeline that `as_data` was called on."""
        made = cls(data["width"])
        made.slots = [Slot(*row) for row in data["slots"]]
        return made
