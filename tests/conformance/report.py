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

Made by `python -m tests.conformance --over-asgi --write-docs`; not edited by hand.

Each suite below is a project's own, from its source distribution. It runs in equal environments:
under Flask 3.1.3, and with `install_as_flask()` in force and the `flask` package deleted. What
passes under Flask is what counts; tests that fail or are skipped there (they want a database
server, the network, another version of a library) are in the column "other". Two suites are not
quite as they came: flask-restx's distribution lacks its fixtures, which we have written anew, and
one module of flask-admin's, which waits for a server, is left out.

Flask's test client calls the app as WSGI, in the test's own thread; so do these suites. The last
column is from one more run, in which each of the client's requests goes to the app as ASGI, on an
event loop in another thread, as under a server. The tests that are lost there were looked at by
kind of error, not one by one. They look at `g`, `session` or `request` after the request
(`with client:`) or count on a context around it, keep an in-memory SQLite database in the test's
thread, put objects into the environ, read the log from `wsgi.errors`, or want an exception to come
out of the client in debug mode or with `PROPAGATE_EXCEPTIONS`, where our ASGI side answers 500.

To try another extension, yours for instance:

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
    total, kept, run = result.total, result.kept, result.asyncflask
    parts = [f"{name:26} {kept:5} of {total:5} {percent(kept, total):>8} {run.seconds:7.1f} s"]
    if result.asgi:
        parts.append(f"over ASGI {over_asgi(result)}")
    if run.exit not in {"0", "1"}:
        parts.append(f"pytest ended with {run.exit}")
    return "  ".join(parts)


def over_asgi(result: runs.Result) -> str:
    """Return how many tests pass over ASGI, or nothing if that was not tried."""
    return str(result.total - len(result.lost(over_asgi=True))) if result.asgi else ""


def percent(part: int, whole: int) -> str:
    # Rounded down: 100 % means all.
    return f"{int(1000 * part / whole) / 10 if whole else 0:.1f} %"


def page(results: dict[str, runs.Result]) -> str:
    """Return the page for these results, by the name of the suite."""
    return HEAD + "\n".join([*table(results), *failures(results), *left_out()]) + "\n"


def table(results: dict[str, runs.Result]) -> Iterator[str]:
    yield "| suite | distribution | other | pass under Flask | under asyncflask | | over ASGI |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for name, each in results.items():
        dist = runs.plain(each.dist).replace("==", " ")
        other = len(each.flask.failed) + each.flask.skipped
        yield row(
            name,
            dist,
            other,
            each.total,
            each.kept,
            percent(each.kept, each.total),
            over_asgi(each),
        )
    total, kept = (
        sum(getattr(each, name) for each in results.values()) for name in ("total", "kept")
    )
    yield row("**all**", "", "", f"**{total}**", f"**{kept}**", f"**{percent(kept, total)}**", "")


def row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


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
