"""``asyncflask routes``."""

from __future__ import annotations

import inspect
import typing as t

import click

from .._current import current_app
from .script import with_appcontext

#: What each sort is called, and the column it goes by; ``match`` leaves werkzeug's order.
COLUMNS = {"endpoint": "Endpoint", "methods": "Methods", "domain": "Domain", "rule": "Rule"}


@click.command("routes", short_help="Show the app's routes.")
@click.option(
    "--sort",
    "-s",
    type=click.Choice([*COLUMNS, "match"]),
    default="endpoint",
    help="The column to sort by; 'match' is the order in which routes are tried.",
)
@click.option("--all-methods", is_flag=True, help="Show HEAD and OPTIONS too.")
@with_appcontext
def routes_command(sort: str, all_methods: bool) -> None:
    """Show the app's routes: endpoint, methods, rule, and how the view runs.

    The last column says async for a view that runs on the event loop, sync for one that runs in
    a worker thread, and - for an endpoint that has no view. For another app that is mounted it
    says what that app speaks; its own routes are not shown.
    """
    mounts = [*(current_app._mounts or ())]
    names = {mount.name for mount in mounts}
    rules = current_app.url_map.iter_rules()
    rows = [
        *map(_mount_row, mounts),
        *(_row(rule, all_methods) for rule in rules if rule.endpoint not in names),
    ]
    if not rows:
        click.echo("No routes were registered.")
        return
    domain = "Host" if current_app.url_map.host_matching else "Subdomain"
    titles = ["Endpoint", "Methods", domain, "Rule", "View"]
    if sort != "match":
        column = list(COLUMNS).index(sort)
        rows.sort(key=lambda row: row[column])
    if not any(row[2] for row in rows):
        titles, *rows = [[*row[:2], *row[3:]] for row in (titles, *rows)]
    for line in _table(titles, rows):
        click.echo(line)


def _mount_row(mount: t.Any) -> list[str]:
    spoken = ", ".join(sorted(mount.protocols))
    return [mount.name or "-", "-", "", mount.prefix, f"mount ({spoken})"]


def _row(rule: t.Any, all_methods: bool) -> list[str]:
    hidden = set() if all_methods else {"HEAD", "OPTIONS"}
    methods = ", ".join(sorted((rule.methods or set()) - hidden))
    return [rule.endpoint, methods, rule.host or rule.subdomain or "", rule.rule, _kind(rule)]


def _kind(rule: t.Any) -> str:
    if rule.websocket:
        return "websocket"
    view = current_app.view_functions.get(rule.endpoint)
    if view is None:
        return "-"
    return "async" if inspect.iscoroutinefunction(view) else "sync"


def _table(titles: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    lines = [titles, ["-" * width for width in widths], *rows]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
