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
from .over_servers import Pace, Servers
from .rounds import Found, say
from .selection import IN_PROCESS, SERVER, THROUGHPUT, Selection, SelectionError, select

#: Chosen so that all of it takes 20 to 25 minutes on two quiet cores, and that the rounds of a
#: figure lie far apart. A server's own clock counts nanoseconds: 0.15 s are precise enough. A
#: machine with neighbours is fast for a second and slow for the next: rounds are many and short.
PACES = {IN_PROCESS: Pace(36, 0.02), SERVER: Pace(14, 0.15, 0.05), THROUGHPUT: Pace(3, 0.8, 0.1)}

#: To see that everything works. The figures are worth nothing.
QUICK = {IN_PROCESS: Pace(1, 0.01), SERVER: Pace(1, 0.05, 0.02), THROUGHPUT: Pace(1, 0.05, 0.02)}

#: Where the figures of the last run are; `benchmarks.publish` takes them from there.
LATEST = shared.FOLDER / "results.json"


def run(selection: Selection, quick: bool = False) -> results.Facts:
    """Measure what is asked for, and return it.

    :param quick: whether it is only to see that all of it works.
    :raises InstallationError: if a peer cannot be installed.
    """
    paces = QUICK if quick else PACES
    began, failures = time.monotonic(), list[str]()
    found: dict[str, Found] = {}
    with blog.installed() as folders:
        pace = paces[IN_PROCESS]
        found[IN_PROCESS] = in_process.run(selection, pace.rounds, pace.seconds, folders, failures)
        servers = Servers(selection, paces[SERVER], paces[THROUGHPUT], folders, failures)
        servers.run()
    found[SERVER] = servers.costs
    settings: results.Facts = {part: pace._asdict() for part, pace in paces.items()}
    settings["client"] = "wrk" if wrk.installed() else "benchmarks/load.py"
    settings["quick"] = quick
    settings["took"] = round(time.monotonic() - began)
    return results.facts(found, servers.rates, failures, settings)


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
