"""What a test has come to: the plan, what came of it, and what is to be said about it."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from .plan import Plan
from .record import FIRST_ERROR_STATUS, Record
from .strain import Strain
from .thresholds import Verdict

#: The percentiles that are shown; after them comes the largest.
PERCENTILES = (50, 75, 90, 95, 99, 99.9)
#: Statuses from here on, and below those of errors, are redirects.
FIRST_REDIRECT = 300

#: Where the app runs: behind a URL, in a server of ours, or in this process.
Place: t.TypeAlias = t.Literal["url", "served", "in process"]


@dataclass(frozen=True)
class Outcome:
    """A test that is over.

    :param plan: what was to be done, by all processes together.
    :param place: where the app runs.
    :param record: what came of it.
    :param strain: what that cost the client.
    :param began: the date and time.
    :param interrupted: whether Ctrl-C ended it.
    :param verdicts: what became of the limits.
    """

    plan: Plan
    place: Place
    record: Record
    strain: Strain
    began: datetime
    interrupted: bool = False
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The exit status: 130 if interrupted, 1 if a limit is broken or nothing was answered."""
        if self.interrupted:
            return 130
        is_empty = self.record.requests > 0 and not self.record.total.answered
        return int(is_empty or not all(verdict.holds for verdict in self.verdicts))

    @property
    def _unit(self) -> str:
        return "requests" if self.plan.scenario is None else "runs"

    @property
    def title(self) -> str:
        """What was asked, in a line."""
        if self.plan.scenario is not None:
            return f"{self.plan.scenario} at {self.plan.url}"
        return f"{self.plan.method} {self.plan.url}"

    @property
    def how(self) -> str:
        """How it was asked, in a line."""
        plan, parts, unit = self.plan, [], self._unit
        parts.append(_counted(plan.connections, "connections"))
        if len(self.strain.shares) > 1:
            parts.append(f"{len(self.strain.shares)} client processes")
        if plan.rate is not None:
            parts.append(f"{plan.rate:,g} {unit}/s whatever the answers take")
        if plan.requests is not None:
            parts.append(_counted(plan.requests, unit))
        if plan.duration is not None:
            parts.append(f"{plan.duration:g} s")
        if plan.warm_up:
            parts.append(f"after {plan.warm_up:g} s of warm-up")
        if self.place != "url":
            parts.append("server started here" if self.place == "served" else "no server")
        return ", ".join(parts)

    @property
    def limits(self) -> list[str]:
        """How the client itself was the limit; an app that shares its process always is."""
        return [] if self.place == "in process" else [*self.strain.limits()]

    def remarks(self) -> Iterator[str]:
        """Iterate over what has to be known to read the figures, a sentence or two each."""
        if self.interrupted:
            yield "Interrupted: this is what there was until then."
        if self.place == "in process":
            yield (
                "App and client took turns on one core, without a server: the figures compare"
                " versions of the app, and are not those of a server (--serve)."
            )
        yield from self.limits
        if self.record.unsent:
            yield self._unsent()
        if len(self.record.total.statuses) == 1 and self.plan.scenario is None:
            yield from self._only_status(*self.record.total.statuses)

    def _unsent(self) -> str:
        """Tell of a rate that was not reached: requests were due, and no connection was free."""
        busy = f"all {self.plan.connections} connections were waiting for answers"
        why = (
            "client or machine were too busy (see above)"
            if self.limits
            else f"{busy}. What is tested is slower than the rate, or may have more at a time (-c)"
        )
        return (
            f"{self.record.unsent:,} {self._unit} were due and never sent: {why}. They count as"
            " errors, and in the durations with the time that they had been due for."
        )

    def _only_status(self, status: int) -> Iterator[str]:
        if status >= FIRST_ERROR_STATUS:
            yield f"Every answer was {status}: is it what you meant to test? Check URL and method."
        elif status >= FIRST_REDIRECT:
            yield (
                f"Every answer was {status}, a redirect. Redirects are not followed: ask for where"
                " it leads to."
            )


def _counted(count: int, things: str) -> str:
    return f"{count:,} {things.removesuffix('s') if count == 1 else things}"
