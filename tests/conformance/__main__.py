"""Run suites written for Flask under asyncflask, and say how many of their tests still pass.

Without a name, all suites of the table run. What is downloaded, built and found out is kept in
`.conformance`; a second run under asyncflask takes little more than the tests' own time.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from . import environments, report, runs, suites


def main() -> int:
    """Run what the command line asks for, and return the exit status."""
    asked = arguments()
    if asked.list:
        print("\n".join(f"{suite.name:26} {suite.dist}" for suite in suites.known().values()))
        return 0
    try:
        chosen = chosen_suites(asked)
        wheel = environments.wheel()
    except environments.CommandFailed as error:
        print(error, file=sys.stderr)
        return 2
    one = partial(attempt, wheel, asked)
    if asked.jobs == 1:  # in this thread: Ctrl+C ends the suite that is running, too
        good = list(map(one, chosen))
    else:
        with ThreadPoolExecutor(asked.jobs) as pool:
            good = list(pool.map(one, chosen))
    if asked.write_docs:
        report.write()
    return 0 if all(good) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.conformance", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a suite of suites.toml")
    parser.add_argument("--dist", metavar="NAME==VERSION", help="run any distribution's own tests")
    parser.add_argument(
        "--with", dest="needs", action="append", default=[], metavar="REQUIREMENT",
        help="with --dist: what its tests need beside what it declares",
    )  # fmt: skip
    parser.add_argument(
        "--tests", action="append", default=[], metavar="PATH", help="with --dist: where they are"
    )
    parser.add_argument("--jobs", type=int, default=1, help="suites at a time (default: 1)")
    parser.add_argument("--fresh", action="store_true", help="run them under Flask again, too")
    parser.add_argument("--over-asgi", action="store_true", help="run them over ASGI as well")
    parser.add_argument("--show", action="store_true", help="name each test that fails, and why")
    parser.add_argument("--write-docs", action="store_true", help="write docs/compatibility.md")
    parser.add_argument("--list", action="store_true", help="list the suites")
    asked = parser.parse_args()
    if asked.dist and "==" not in asked.dist:
        parser.error(f"--dist {asked.dist}: say which version, as in {asked.dist}==1.2.3")
    unknown = [name for name in asked.names if name not in suites.known()]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}. --list names the suites; see also --dist")
    return asked


def chosen_suites(asked: argparse.Namespace) -> list[suites.Suite]:
    if asked.dist:
        tree = environments.sources(asked.dist)
        return [suites.guessed(asked.dist, tree, asked.needs, asked.tests)]
    known = suites.known()
    return [known[name] for name in asked.names or known]


def attempt(wheel: Path, asked: argparse.Namespace, suite: suites.Suite) -> bool:
    """Run one suite and print its line; return whether every loss is explained."""
    try:
        result = runs.run_all(suite, wheel, fresh=asked.fresh, over_asgi=asked.over_asgi)
    except environments.CommandFailed as error:
        print(f"{suite.name:26} could not be set up: {error}", flush=True)
        return False
    shown = result.lost() if asked.show or asked.dist else report.unexplained(suite.name, result)
    details = [f"  {test}\n      {result.lost()[test]}" for test in shown]
    print("\n".join([report.line(suite.name, result), *details]), flush=True)
    return result.total > 0 and not report.unexplained(suite.name, result)


if __name__ == "__main__":
    sys.exit(main())
