"""The whole suite, in one run: what a request costs on asyncflask, beside its peers.

    python -m benchmarks [--only NAMES] [--quick] [--json FILE]

Three kinds of figures:

- ``in-process``: the app called as its server would call it; microseconds of processor time;
- ``server``: over loopback, the processor time that the server takes for a request;
- ``throughput``: requests per second and latencies at 1, 32 and 256 connections.

NAMES are those of parts, workloads and frameworks, with commas between them: ``str,json``,
``in-process,starlette,asyncflask``, ``flask-gevent``. What is measured fits one name of each kind.

A round measures everything once, one after another, so that a slow moment of the machine hits all;
medians of the rounds are told, and a ratio is the median of the rounds' ratios. Absolute figures
drift with the machine: compare ratios. Servers are measured on Linux, with two cores.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path

from . import blog, in_process, page, results, wrk
from .apps import shared
from .environment import InstallationError
from .over_servers import Rates, Servers
from .rounds import Found, Pace, joined, say
from .selection import IN_PROCESS, SERVER, THROUGHPUT, Selection, SelectionError, select

#: How often everything is started anew. Two processes of one server differ by 2 to 5 %, as their
#: memory happens to lie; more rounds with the same ones would not tell.
STARTS = 3

#: Of one start. Chosen so that all three take about half an hour on two quiet cores. A machine
#: with neighbours is fast for some milliseconds and slow for the next (see `benchmarks.rounds`), so
#: turns are short. Before, in 24 rounds of 0.08 s at once, what is compared lay up to a second
#: apart: a ratio had a standard error of 3 to 16 % (by drawing the rounds again), now of 1 to 5 %,
#: and the best of many equal peers looked better than it was.
PACES = {
    IN_PROCESS: Pace(2, 0.005, turns=16),
    SERVER: Pace(2, 0.01, turns=20, warm_up=0.03),
    THROUGHPUT: Pace(1, 0.8, warm_up=0.1),
}

#: To see that everything works. The figures are worth nothing.
QUICK = {IN_PROCESS: Pace(1, 0.01), SERVER: Pace(1, 0.05), THROUGHPUT: Pace(1, 0.05)}

#: Where the figures of the last run are; `benchmarks.publish` takes them from there.
LATEST = shared.FOLDER / "results.json"


def run(selection: Selection, quick: bool = False) -> results.Facts:
    """Measure what is asked for, and return it.

    :param quick: whether it is only to see that all of it works.
    :raises InstallationError: if a peer cannot be installed.
    """
    paces, starts = (QUICK, 1) if quick else (PACES, STARTS)
    began, failures = time.monotonic(), list[str]()
    calls: list[Found] = []
    costs: list[Found] = []
    rates: list[Rates] = []
    with blog.installed() as folders:
        for start in range(starts):
            say(f"start {start + 1} of {starts}")
            calls.append(in_process.run(selection, paces[IN_PROCESS], folders, failures))
            servers = Servers(selection, paces[SERVER], paces[THROUGHPUT], folders, failures)
            servers.run()
            costs.append(servers.costs)
            rates.append(servers.rates)
    settings: results.Facts = {part: pace._asdict() for part, pace in paces.items()}
    settings["client"] = "wrk" if wrk.installed() else "benchmarks/load.py"
    settings["quick"], settings["starts"] = quick, starts
    settings["took"] = round(time.monotonic() - began)
    found = {IN_PROCESS: joined(calls), SERVER: joined(costs)}
    return results.facts(found, joined(rates), failures, settings)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and write.

    :param arguments: the command line, if it is not the process's own.
    :raises SystemExit: if the command line is wrong, or something could not be measured.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="", metavar="NAMES", help="with commas between them")
    parser.add_argument("--quick", action="store_true", help="only to see that all of it works")
    parser.add_argument("--json", type=Path, default=LATEST, help=f"default: {LATEST}")
    asked = parser.parse_args(arguments)
    try:
        selection = select(asked.only.replace(",", " ").split())
    except SelectionError as error:
        parser.error(str(error))
    if platform.system() != "Linux" and (selection.part(SERVER) or selection.part(THROUGHPUT)):
        parser.error("Servers are measured on Linux only. Try: --only in-process")
    try:
        facts = run(selection, asked.quick)
    except InstallationError as error:
        raise SystemExit(str(error)) from error
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(results.dumped(facts))
    print(page.section(facts))
    say(f"written to {asked.json}")
    if facts["failures"]:
        sys.exit("\n".join(("Not measured:", *facts["failures"])))


if __name__ == "__main__":
    main()
