"""How hard the client itself had to work: whether the figures are the server's or its own."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from time import perf_counter_ns, process_time_ns

import anyio

from .histogram import Histogram

#: Seconds between two looks at how late the event loop is.
LOOK = 0.05
#: The share of a core from which on the client is taken for the limit. A client that waits for
#: its server at all stays below; one that does not has 95 to 100 %.
BUSY = 0.9
#: Nanoseconds by which the loop may be late, in 99 of 100 looks. Where the client is not busy,
#: more means that it is not given a core when it needs one.
LATE = 20_000_000


class Strain:
    """What a run costs the client.

    `shares` has, for each process, its CPU time as a share of one core; `lag` how late the event
    loop called what was due; `late` how much later than scheduled requests were started although
    their connections were free.
    """

    def __init__(self) -> None:
        self.shares: list[float] = []
        self.lag = Histogram()
        self.late = Histogram()

    async def watch(self) -> None:
        """Look until cancelled, and take the CPU time over it."""
        began, used = perf_counter_ns(), process_time_ns()
        try:
            while True:
                before = perf_counter_ns()
                await anyio.sleep(LOOK)
                self.lag.add(perf_counter_ns() - before - round(LOOK * 1e9))
        finally:
            passed = max(perf_counter_ns() - began, 1)
            self.shares.append((process_time_ns() - used) / passed)

    def merge(self, other: Strain) -> None:
        """Add another process's figures."""
        self.shares += other.shares
        self.lag.merge(other.lag)
        self.late.merge(other.late)

    def limits(self) -> Iterator[str]:
        """Iterate over how the client itself was the limit, a sentence or two each."""
        busy = [share for share in self.shares if share >= BUSY]
        late = max(self.lag.percentile(99), self.late.percentile(99))
        if busy:
            yield (
                f"The client was the limit: {_processes(len(busy), len(self.shares))} used"
                f" {max(busy):.0%} of a core, and the times contain how long answers waited for"
                " it. Use --processes, or ask for less with --rate or -c."
            )
        elif late >= LATE:
            yield (
                f"The client was kept waiting: its event loop was {late / 1e6:,.0f} ms late or more"
                " in 1 % of the looks, without being busy. Other programs use this machine's"
                " cores; the times contain that."
            )

    def as_data(self) -> dict[str, t.Any]:
        """Return all of it as what JSON can carry."""
        lag, late = self.lag.as_data(), self.late.as_data()
        return {"shares": self.shares, "lag": lag, "late": late}

    @classmethod
    def from_data(cls, data: dict[str, t.Any]) -> t.Self:
        """Return the strain that `as_data` was called on."""
        made = cls()
        made.shares = data["shares"]
        made.lag = Histogram.from_data(data["lag"])
        made.late = Histogram.from_data(data["late"])
        return made


def _processes(busy: int, all: int) -> str:
    if all == 1:
        return "its process"
    return f"{busy} of its {all} processes"
