"""What is told of the results: on the terminal, and in `docs/compatibility.md`.

``python -m tests.conformance.report`` writes the page anew from the results that are kept.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

from . import environments, runs, suites

PAGE = environments.PROJECT / "docs" / "compatibility.md"
UNEXPLAINED = "not explained yet"

HEAD = """\
# Compatibility with Flask and its extensions

Made by `python -m tests.conformance --write-docs`; not edited by hand.

Each suite below is a project's own, taken from its source distribution and left as it is. It runs
twice in equal environments: under Flask 3.1.3, and with `install_as_flask()` in force and the
`flask` package deleted. Counted are the tests that pass under Flask, and how many of these pass
under asyncflask. To try another extension, yours for instance:

    python -m tests.conformance --dist NAME==VERSION

"""


def reason(suite: str, test: str) -> str:
    """Return why a test of a suite fails under asyncflask."""
    table = tomllib.loads((suites.HERE / "reasons.toml").read_text(encoding="utf-8"))
    given = table.get(suite, {})
    return next((given[start] for start in given if test.startswith(start)), UNEXPLAINED)


def unexplained(name: str, result: runs.Result) -> list[str]:
    """Return the tests that fail under asyncflask alone and have no reason in `reasons.toml`."""
    return [test for test in result.lost() if reason(name, test) == UNEXPLAINED]


def line(name: str, result: runs.Result) -> str:
    """Return the line for the terminal."""
    total, lost, run = result.total, len(result.lost()), result.asyncflask
    told = "" if run.exit in {"0", "1"} else f"  pytest ended with {run.exit}"
    share = f"{percent(total - lost, total):>8}"
    return f"{name:26} {total - lost:5} of {total:5} {share} {run.seconds:7.1f} s{told}"


def percent(part: int, whole: int) -> str:
    # Rounded down: 100 % means all.
    return f"{int(1000 * part / whole) / 10 if whole else 0:.1f} %"


def page(results: dict[str, runs.Result]) -> str:
    """Return the page for these results, by the name of the suite."""
    return HEAD + "\n".join([*table(results), *failures(results), *left_out()]) + "\n"


def table(results: dict[str, runs.Result]) -> Iterator[str]:
    yield "| suite | distribution | pass under Flask | of these, under asyncflask | |"
    yield "|---|---|---:|---:|---:|"
    whole = kept = 0
    for name, result in results.items():
        passed = result.total - len(result.lost())
        whole, kept = whole + result.total, kept + passed
        dist = runs.plain(result.dist).replace("==", " ")
        yield f"| {name} | {dist} | {result.total} | {passed} | {percent(passed, result.total)} |"
    yield f"| **all** | | **{whole}** | **{kept}** | **{percent(kept, whole)}** |"


def failures(results: dict[str, runs.Result]) -> Iterator[str]:
    yield "\n## Tests that fail under asyncflask alone\n"
    lost = [(name, test) for name, result in results.items() for test in result.lost()]
    for name, test in lost:
        yield f"- {name}: `{test}`: {reason(name, test)}."
    if not lost:
        yield "None."


def left_out() -> Iterator[str]:
    yield "\n## Suites that are not run\n"
    for name, why in suites.not_run().items():
        yield f"- {name}: {why}."


def write() -> None:
    """Write the page from the results that are kept of the suites in the table."""
    kept = {name: runs.load(name) for name in suites.known()}
    PAGE.parent.mkdir(exist_ok=True)
    results = {name: result for name, result in kept.items() if result}
    PAGE.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    write()
