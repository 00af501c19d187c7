"""Growth: how the cost of a request depends on the size of what it is about.

    python -m benchmarks.growth [--only WORD] [--rounds 15] [--seconds 0.02] [--json FILE]

Each subject (headers, form fields, routes, ...) is measured at the sizes n, 2n, 4n, 8n and 16n.
What is counted is the processor time of all threads, of which the least of the rounds is taken:
others on the machine can only add to it. Two exponents are printed:

- *total*: the slope of log(cost) against log(size), by least squares over all sizes;
- *marginal*: the exponent e of the curve a + b*size**e that is nearest to the costs, by least
  squares of relative errors. What each request costs is in a, where it hides no term that grows.

In a cost of a + b*size the marginal exponent is 1, with a term of size**2 it goes towards 2. Where
16n costs hardly more than n, there is no growth to find an exponent of: it is flat. No exponent may
be above 1.1.

Where one is, the instructions are counted, too, if there is valgrind, and their marginal exponent
is shown beside: it tells work that grows too fast from caches that are too small, and from what
else the machine does. It excuses nothing. At last it is measured what an import and an idle worker
take (`benchmarks.idle`).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import sys
import time
import typing as t
from pathlib import Path

import uvloop

from . import cpu, growth_instructions, idle, report
from .exponents import exponent, slope
from .growing import SUBJECTS, Subject
from .requests import Call

STEPS = (1, 2, 4, 8, 16)

#: Those whose costs are printed.
SHOWN = (1, 4, 16)

#: The largest exponent that is allowed: linear, and what the processor's caches add to it.
AT_MOST = 1.1

#: How many times what 10 routes cost 10,000 may cost.
ROUTES_AT_MOST = 1.2

#: How often the rounds are made for what seems to grow too fast: what else the machine does only
#: adds to a cost, so that the least of more rounds is nearer to the truth.
LOOKS = 4

#: A subject whose 16n cost less than so many times what n costs does not grow.
FLAT = 1.2


class Growth(t.NamedTuple):
    """What one subject costs at its sizes."""

    sizes: list[int]
    microseconds: list[float]
    instructions: t.Sequence[int] = ()

    @property
    def times(self) -> float:
        """How many times what the smallest costs the largest costs."""
        return self.microseconds[-1] / self.microseconds[0]

    @property
    def total(self) -> float:
        """The exponent of the whole cost."""
        return slope(self.sizes, self.microseconds)

    @property
    def marginal(self) -> float:
        """The exponent of what additional items cost; 0 if they cost nothing."""
        return 0.0 if self.times < FLAT else exponent(self.sizes, self.microseconds)

    @property
    def of_instructions(self) -> float | None:
        """The marginal exponent of the instructions, if they were counted."""
        return exponent(self.sizes, self.instructions) if self.instructions else None

    @property
    def kept(self) -> bool:
        """Whether it grows no faster than it may."""
        return max(self.total, self.marginal) <= AT_MOST

    def facts(self) -> dict[str, t.Any]:
        """Return it for the JSON."""
        return {
            "sizes": self.sizes,
            "microseconds": [round(each, 2) for each in self.microseconds],
            "total": round(self.total, 3),
            "marginal": round(self.marginal, 3),
            "times": round(self.times, 2),
            "kept": self.kept,
            **({"instructions": self.of_instructions} if self.instructions else {}),
        }


async def cost(call: Call, seconds: float) -> float:
    """Return the microseconds of processor time that a call takes, over about `seconds`."""
    done, began, spent = 0, time.process_time(), 0.0
    while not done or spent < seconds:
        await call()
        done += 1
        spent = time.process_time() - began
    return spent / done * 1e6


async def measure(subject: Subject, rounds: int, seconds: float) -> Growth:
    """Return what a subject costs at each size: the least of the rounds, in which all take turns.

    NOTE: what was there before is kept from the garbage collector meanwhile. A full collection of
    it comes once in so many objects, and thus into some rounds of a small size, of which the least
    is without it, and into each round of a large one.
    """
    sizes = [subject.size * step for step in STEPS]
    calls = [subject.make(size) for size in sizes]
    least = [math.inf] * len(calls)
    for call in calls:
        await call()  # what is done the first time, and a wrong answer
    gc.collect()
    gc.freeze()
    try:
        for number in range(rounds * LOOKS):
            if number % rounds == 0 and number and Growth(sizes, least).kept:
                break
            for at, call in enumerate(calls):
                gc.collect()
                least[at] = min(least[at], await cost(call, seconds))
    finally:
        gc.unfreeze()
    return Growth(sizes, least)


def chosen(words: list[str]) -> dict[str, Subject]:
    """Return the subjects whose names have one of the words; all without words."""
    return {
        name: subject
        for name, subject in SUBJECTS.items()
        if not words or any(word in name for word in words)
    }


def line(name: str, of: Growth) -> str:
    """Return a subject's line of the table."""
    shown = (of.microseconds[STEPS.index(step)] for step in SHOWN)
    costs = " | ".join(f"{each:.1f}" for each in shown)
    kept = "yes" if of.kept else "no"
    if of.of_instructions is not None:
        kept += f" (its instructions: {of.of_instructions:.2f})"
    marginal = f"{of.marginal:.2f}" if of.marginal else "flat"
    return f"| {name} | {of.sizes[0]:,} | {costs} | {of.total:.2f} | {marginal} | {kept} |"


def grown(name: str, subject: Subject, rounds: int, seconds: float) -> Growth:
    """Measure a subject on a loop of its own; count its instructions if it grows too fast."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(measure(subject, rounds, seconds))
    if found.kept:
        return found
    return found._replace(instructions=growth_instructions.count(name, found.sizes))


def measure_all(subjects: dict[str, Subject], rounds: int, seconds: float) -> dict[str, Growth]:
    """Measure each subject, and print it."""
    print("| subject | n | us at n | 4n | 16n | total | marginal | <= 1.1 |")
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    found = {}
    for name, subject in subjects.items():
        found[name] = grown(name, subject, rounds, seconds)
        print(line(name, found[name]), flush=True)
    return found


def broken(found: dict[str, Growth]) -> list[str]:
    """Return what grows faster than it may, a line each."""
    lines = [f"{name} grows faster than linearly" for name, of in found.items() if not of.kept]
    for name, of in found.items():
        if name.startswith("routes: ") and of.times > ROUTES_AT_MOST:
            lines.append(f"{name}: 10,000 cost {of.times:.2f} times what 625 do")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and write the JSON if asked to.

    :return: 1 if something grows faster than it may.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--only", action="append", default=[], help="a word of the subjects' names")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.02, help="for each size in a round")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    asked = parser.parse_args(arguments)
    with cpu.pinned(1):
        found = measure_all(chosen(asked.only), asked.rounds, asked.seconds)
    workers = {} if asked.only else idle.measure(asked.rounds)
    if workers:
        print(idle.table(workers))
    if asked.json:
        facts = {
            "date": time.strftime("%Y-%m-%d"),
            "python": sys.version.split()[0],
            "machine": report.machine(),
            "rounds": asked.rounds,
            "at_most": AT_MOST,
            "growth": {name: each.facts() for name, each in found.items()},
            "idle": workers,
        }
        asked.json.write_text(json.dumps(facts, indent=1) + "\n")
    for each in broken(found):
        print(each, file=sys.stderr)
    return int(bool(broken(found)))


if __name__ == "__main__":
    sys.exit(main())
