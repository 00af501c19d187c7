"""Writes the figures of a run into the documentation.

    python -m benchmarks.publish [FILE]

FILE is the JSON of a run, and becomes `benchmarks/results.json`; without it, what is there is taken
again. Tables and charts are made of that file alone, so that no figure is in the documentation that
was not measured. What was tried where a peer is ahead is taken from `benchmarks/notes.json`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from . import chart, page
from .environment import HOME
from .results import Facts

RESULTS, NOTES = HOME / "benchmarks/results.json", HOME / "benchmarks/notes.json"
PAGE, README = HOME / "docs/benchmarks.md", HOME / "README.md"
CHARTS = HOME / "docs" / page.CHARTS

BEGIN, END = "<!-- benchmarks: begin -->\n", "<!-- benchmarks: end -->"


def replaced(text: str, made: str) -> str:
    """Return a page with other figures between its two marks.

    :raises ValueError: if it has no such marks.
    """
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"The page needs a line {BEGIN.strip()} and, below it, {END}.")
    return f"{before}{BEGIN}{made}{mark}{after}"


def written(facts: Facts) -> dict[Path, str]:
    """Return what belongs into each file of the documentation."""
    notes = json.loads(NOTES.read_text())
    made = {PAGE: replaced(PAGE.read_text(), page.section(facts, notes))}
    if BEGIN in (readme := README.read_text()):
        made[README] = replaced(readme, page.readme(facts))
    for part in facts["figures"]:
        made[CHARTS / f"{part}.svg"] = chart.chart(facts, part)
    return made


def main(arguments: list[str] | None = None) -> None:
    """Write the figures.

    :param arguments: the command line, if it is not the process's own.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("file", nargs="?", type=Path, help="the JSON of a run")
    asked = parser.parse_args(arguments)
    if asked.file:
        shutil.copyfile(asked.file, RESULTS)
    CHARTS.mkdir(exist_ok=True)
    for file, text in written(json.loads(RESULTS.read_text())).items():
        file.write_text(text)
        print(file.relative_to(HOME))


if __name__ == "__main__":
    main()
