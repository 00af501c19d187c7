"""What came of a run: counts and histograms of fixed size, which add up over processes.

- `Tally`: what came of some requests.
- `Record`: what came of all, in whole and by the steps of a scenario.
"""

from __future__ import annotations

import typing as t
from collections import Counter

from .histogram import Histogram
from .timeline import Timeline

#: Steps of a scenario that are told apart; the rest is one. A scenario that puts numbers into its
#: URLs would otherwise have as many as requests.
STEPS = 50
OTHER_STEPS = "(other steps)"
#: Kinds of errors that are told apart, for the same reason.
KINDS = 50
OTHER_KINDS = "(other errors)"
#: Characters kept of an example of an error.
EXAMPLE_LENGTH = 500
#: Statuses from here on are errors.
FIRST_ERROR_STATUS = 400


class Tally:
    """What came of some requests.

    `histogram` has the durations of all that were answered, and how long those waited that were
    given up: to leave out the slowest would flatter.
    """

    def __init__(self) -> None:
        self.histogram = Histogram()
        self.answered = self.sent = self.received = 0
        self.statuses: Counter[int] = Counter()
        self.failures: Counter[str] = Counter()
        #: For each kind of failure the text of the first.
        self.examples: dict[str, str] = {}

    def answer(self, status: int, duration: int, received: int, sent: int) -> None:
        """Count an answer that is complete; sizes are those of the bodies."""
        self.answered += 1
        self.received += received
        self.sent += sent
        self.statuses[status] += 1
        self.histogram.add(duration)

    def fail(self, kind: str, example: str, times: int = 1) -> None:
        """Count what had no answer."""
        if kind not in self.failures and len(self.failures) >= KINDS:
            kind = OTHER_KINDS
        self.failures[kind] += times
        self.examples.setdefault(kind, example[:EXAMPLE_LENGTH])

    @property
    def failed(self) -> int:
        """How many had no answer."""
        return self.failures.total()

    @property
    def refused(self) -> int:
        """How many were answered with an error's status."""
        return sum(n for status, n in self.statuses.items() if status >= FIRST_ERROR_STATUS)

    def merge(self, other: Tally) -> None:
        """Add another tally's figures."""
        self.histogram.merge(other.histogram)
        self.answered += other.answered
        self.sent += other.sent
        self.received += other.received
        self.statuses.update(other.statuses)
        for kind, times in other.failures.items():
            self.fail(kind, other.examples[kind], times)

    def as_data(self) -> dict[str, t.Any]:
        """Return all of it as what JSON can carry."""
        return {
            "histogram": self.histogram.as_data(),
            "answered": self.answered,
            "bytes": [self.sent, self.received],
            "statuses": {str(status): times for status, times in self.statuses.items()},
            "failures": dict(self.failures),
            "examples": self.examples,
        }

    @classmethod
    def from_data(cls, data: dict[str, t.Any]) -> t.Self:
        """Return the tally that `as_data` was called on."""
        made = cls()
        made.histogram = Histogram.from_data(data["histogram"])
        made.answered = data["answered"]
        made.sent, made.received = data["bytes"]
        made.statuses.update({int(status): times for status, times in data["statuses"].items()})
        made.failures.update(data["failures"])
        made.examples.update(data["examples"])
        return made


class Record:
    """What came of a run.

    `began` is the moment on the clock of `time.perf_counter_ns`; `elapsed` the nanoseconds until
    the last answer. `unsent` counts what was due but never sent, `unfinished` what an interrupt
    has cut short. `runs` are those of a scenario, from where they were to begin to their end.
    """

    def __init__(self, began: int = 0) -> None:
        self.began = began
        self.elapsed = self.unsent = self.unfinished = 0
        self.total = Tally()
        self.steps: dict[str, Tally] = {}
        self.runs = Histogram()
        self.done_runs = self.failed_runs = 0
        self.timeline = Timeline()

    def _tallies(self, step: str | None) -> tuple[Tally, ...]:
        if step is None:
            return (self.total,)
        if step not in self.steps and len(self.steps) >= STEPS:
            step = OTHER_STEPS
        return self.total, self.steps.setdefault(step, Tally())

    def answer(
        self, since: int, now: int, status: int, received: int, sent: int, step: str | None = None
    ) -> None:
        """Count an answer that is complete.

        :param since: when the request was to start, on the clock of `began`.
        :param now: when its body had been read.
        :param step: its name in a scenario.
        """
        duration = now - since
        self.elapsed = now - self.began
        for tally in self._tallies(step):
            tally.answer(status, duration, received, sent)
        self.timeline.add(now - self.began, duration, status >= FIRST_ERROR_STATUS)

    def fail(
        self,
        since: int,
        now: int,
        kind: str,
        example: str,
        step: str | None = None,
        waited: bool = False,
    ) -> None:
        """Count a request without an answer.

        :param waited: whether it was given up, so that its answer would have taken longer still.
        """
        self.elapsed = now - self.began
        for tally in self._tallies(step):
            tally.fail(kind, example)
            if waited:
                tally.histogram.add(now - since)
        self.timeline.add(now - self.began, now - since, True)

    def end_run(self, duration: int) -> None:
        """Count a scenario that has come to its end."""
        self.done_runs += 1
        self.runs.add(duration)

    def miss(self, waited: int, is_run: bool) -> None:
        """Count what was due for so long and not sent."""
        self.unsent += 1
        self.total.histogram.add(waited)
        if is_run:
            self.runs.add(waited)

    @property
    def errors(self) -> int:
        """Requests without an answer or with a status from 400 on, and failures of a scenario."""
        return self.total.failed + self.total.refused + self.unsent

    @property
    def requests(self) -> int:
        """How many there were to be: answered, failed, and never sent."""
        return self.total.answered + self.total.failed + self.unsent

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.total.answered / self.elapsed * 1e9 if self.elapsed else 0.0

    def merge(self, other: Record) -> None:
        """Add what came of the same run in another process."""
        self.elapsed = max(self.elapsed, other.elapsed)
        self.unsent += other.unsent
        self.unfinished += other.unfinished
        self.done_runs += other.done_runs
        self.failed_runs += other.failed_runs
        self.total.merge(other.total)
        self.runs.merge(other.runs)
        self.timeline.merge(other.timeline)
        for name, tally in other.steps.items():
            self._tallies(name)[1].merge(tally)

    def as_data(self) -> dict[str, t.Any]:
        """Return all of it as what JSON can carry; `began` is only of this process."""
        return {
            "elapsed": self.elapsed,
            "unsent": self.unsent,
            "unfinished": self.unfinished,
            "ended_runs": [self.done_runs, self.failed_runs],
            "total": self.total.as_data(),
            "steps": {name: tally.as_data() for name, tally in self.steps.items()},
            "runs": self.runs.as_data(),
            "timeline": self.timeline.as_data(),
        }

    @classmethod
    def from_data(cls, data: dict[str, t.Any]) -> t.Self:
        """Return the record that `as_data` was called on."""
        made = cls()
        made.elapsed, made.unsent = data["elapsed"], data["unsent"]
        made.unfinished = data["unfinished"]
        made.done_runs, made.failed_runs = data["ended_runs"]
        made.total = Tally.from_data(data["total"])
        made.steps = {name: Tally.from_data(each) for name, each in data["steps"].items()}
        made.runs = Histogram.from_data(data["runs"])
        made.timeline = Timeline.from_data(data["timeline"])
        return made
