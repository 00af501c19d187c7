"""What sync code costs on asyncflask, beside its peers: in process, and through servers.

    python -m benchmarks.sync [--rounds 5] [--seconds 1] [--json FILE] [--only in-process ...]

Three parts:

- ``in-process``: sync views called as a server would call them, in microseconds of elapsed time;
- ``server``: the processor time that uvicorn's process takes for a request, at 32 connections;
- ``blog``: the same for the index page of the example blog, beside the same blog on Flask under
  each kind of gunicorn worker.

A round measures everything once, one after another, so that a slow moment of the machine hits all;
the medians of the rounds are printed, and their spread. A ratio is the median of the rounds'
ratios. Absolute figures drift with the machine: compare ratios. The last two parts need Linux and
two cores, and install the peers into an environment of their own.
"""

from __future__ import annotations

import argparse
import platform
import typing as t
from pathlib import Path

from . import blog, in_process, over_uvicorn, report
from .environment import InstallationError
from .rounds import Bound, Cells, Found, measure
from .server import ServerError


class Part(t.NamedTuple):
    """A part of the benchmark."""

    title: str
    cells: t.Callable[[float], t.ContextManager[Cells]]
    bounds: t.Callable[[], list[Bound]]

    def run(self, rounds: int, seconds: float) -> Found:
        """Measure it."""
        with self.cells(seconds) as cells:
            return measure(self.title, cells, rounds)


PARTS = {
    "in-process": Part(in_process.TITLE, in_process.cells, in_process.bounds),
    "server": Part(over_uvicorn.TITLE, over_uvicorn.cells, over_uvicorn.bounds),
    "blog": Part(blog.TITLE, blog.cells, blog.bounds),
}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write the JSON if asked to.

    :param arguments: the command line, if it is not the process's own.
    :raises SystemExit: if the command line is wrong, or a peer or a server does not do its part.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each figure of a round")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=[*PARTS], help="some parts")
    asked = parser.parse_args(arguments)
    if platform.system() != "Linux" and set(asked.only) - {"in-process"}:
        parser.error("Servers are measured on Linux only. Try: --only in-process")
    found: dict[str, Found] = {}
    verdicts: list[report.Verdict] = []
    for name in asked.only:
        part = PARTS[name]
        try:
            found[name] = part.run(asked.rounds, asked.seconds)
        except (ServerError, InstallationError) as error:
            raise SystemExit(str(error)) from error
        print(report.table(part.title, found[name]), flush=True)
        verdicts += [report.verdict(bound, found[name]) for bound in part.bounds()]
    print(report.verdict_table(verdicts))
    print(f"\n{report.heading()}")
    if asked.json:
        asked.json.write_text(report.as_json({"microseconds": found}, verdicts) + "\n")


if __name__ == "__main__":
    main()
