"""``asyncflask doctor``: the command, and what it prints."""

from __future__ import annotations

import json
import shutil
import textwrap
import traceback
import typing as t
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

import click

from ..locate import NoAppException
from ..script import ScriptInfo, pass_script_info
from .finding import LEVELS, Finding, Level, shown

#: For each level: its title, and its colour on a terminal.
TITLES: dict[Level, tuple[str, str]] = {
    "error": ("Errors", "red"),
    "warning": ("Warnings", "yellow"),
    "note": ("Notes", "cyan"),
}

#: Characters of a line where the output is no terminal.
WIDTH = 100
#: Characters of the first column at most; a longer place has a line of its own.
COLUMN = 32


@click.command("doctor", short_help="Tell what is unsafe or differs from Flask under WSGI.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@pass_script_info
def doctor_command(info: ScriptInfo, as_json: bool) -> None:
    """Load the app, and tell what of it is unsafe, or differs from Flask under WSGI.

    Each finding says where it is, what it means, and what to do. No request is made. The exit
    status is 1 if there are errors, else 0, whatever the number of warnings and notes.
    """
    app, findings = examine(info)
    findings.sort(key=lambda finding: LEVELS.index(finding.level))
    if as_json:
        click.echo(_as_json(app, findings))
    else:
        for line in report(findings, min(shutil.get_terminal_size((WIDTH, 0)).columns, WIDTH)):
            click.echo(line)
    if any(finding.level == "error" for finding in findings):
        raise click.exceptions.Exit(1)


def examine(info: ScriptInfo) -> tuple[t.Any, list[Finding]]:
    """Return the app, or None if it cannot be loaded, and what there is to say.

    :raises NoAppException: if no app was named, or there is no such module.
    """
    # Imported here, not to make all other commands wait for it.
    from .checks import CHECKS, findings_without_app

    info.set_debug_flag = False  # what the app itself says of debug mode is of interest
    try:
        app = info.load_app()
    except Exception as error:
        if isinstance(error, click.ClickException) and not isinstance(error, NoAppException):
            raise
        found = [*findings_without_app(error)]
        if not found:
            raise
        return None, found
    return app, [finding for check in CHECKS for finding in _checked(check, app)]


def _checked(check: Callable[[t.Any], Iterable[Finding]], app: t.Any) -> Iterator[Finding]:
    """Run a check; where it fails on an app that is like no other, say so and go on."""
    try:
        yield from check(app)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        yield Finding(
            "note",
            f"{shown(frame.filename)}:{frame.lineno}",
            f"{check.__name__} could not be done: {type(error).__name__}: {error}",
            "Please report it.",
        )


def _as_json(app: t.Any, findings: list[Finding]) -> str:
    counts = {f"{level}s": sum(one.level == level for one in findings) for level in LEVELS}
    name = None if app is None else app.name
    found = [asdict(finding) for finding in findings]
    return json.dumps({"app": name, **counts, "findings": found}, indent=2)


def report(findings: list[Finding], width: int = WIDTH) -> Iterator[str]:
    """Iterate over the lines of a report.

    :param findings: sorted by level.
    :param width: characters of a line.
    """
    if not findings:
        yield "Nothing to report."
    column = max([len(one.place) for one in findings if len(one.place) <= COLUMN], default=0)
    for level in LEVELS:
        group = [finding for finding in findings if finding.level == level]
        if group:
            title, colour = TITLES[level]
            yield click.style(f"{title} ({len(group)})", fg=colour, bold=True)
            for finding in group:
                yield from _entry(finding, column, width)
            yield ""


def _entry(finding: Finding, column: int, width: int) -> Iterator[str]:
    """Iterate over a finding's lines: the place, and beside it what is to be said."""
    indent = " " * (column + 4)
    text = [
        *_wrapped(finding.what, width - len(indent)),
        *_wrapped(finding.way_out, width - len(indent), "-> ", "   "),
    ]
    if len(finding.place) > column:
        yield f"  {finding.place}"
    else:
        yield f"  {finding.place.ljust(column)}  {text.pop(0)}"
    yield from (indent + line for line in text)


def _wrapped(text: str, width: int, first: str = "", further: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    )
