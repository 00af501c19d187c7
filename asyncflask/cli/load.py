"""``asyncflask load``: the command. The rest is `asyncflask.load`, imported when it is used."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from contextlib import contextmanager

import click

from . import children
from .quantities import Body, Duration, Errors, Header
from .script import ScriptInfo, pass_script_info

#: What is asked of an app where nobody says it.
ROOT = "/"
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"

COUNT = click.IntRange(min=1)

#: Lines behind a backspace are left as they are.
HELP = """\
Load-test TARGET: a URL, or a path of the app.

\b
load http://127.0.0.1:8000/            a server that runs; ':8000/' will do
load --app shop:app /cart              the app, in this process
load --app shop:app --serve /cart      the app, in a server of its own
load :8000/ -c 50 --rate 500 -d 1m     500 requests a second for a minute
load :8000/ -n 1000 --max-p99 50ms     status 1 if that is exceeded

Only this machine is asked, unless --allow-remote is given.

Exit status: 0; 1 if a limit (--max-..., --min-rate) is broken, nothing was answered or the test
could not be done; 2 for wrong usage; 130 after Ctrl-C, which prints what there is until then.
"""


def _name_app(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        ctx.ensure_object(ScriptInfo).app_import_path = value
    return value


@click.command("load", short_help="Load-test a URL or the app, with httpx.", help=HELP)
@click.argument("target", required=False)
@click.option(
    "-A",
    "--app",
    metavar="IMPORT",
    callback=_name_app,
    help="The app, where TARGET is a path or left out: as for 'asyncflask --app'.",
)
@click.option(
    "--serve", is_flag=True, help="Start a server for the app: uvicorn, on a free loopback port."
)
@click.option(
    "-c",
    "--connections",
    type=COUNT,
    metavar="N",
    default=10,
    show_default=True,
    help="How many requests wait for an answer at the same time, at most.",
)
@click.option(
    "-d", "--duration", type=Duration(), help="How long: 500ms, 10s, 1m.  [default: 10s, or -n]"
)
@click.option(
    "-n", "--requests", type=COUNT, metavar="N", help="How many requests, or runs of a scenario."
)
@click.option(
    "-r",
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Start so many requests a second, whatever the answers take. Durations count from when a"
    " request was to start. Without it, a connection's next request follows its last answer.",
)
@click.option(
    "-w", "--warm-up", type=Duration(), help="Do the same for that long before, uncounted."
)
@click.option("-X", "--method", help="The method.  [default: GET, or POST with a body]")
@click.option(
    "-H", "--header", "headers", type=Header(), multiple=True, help="A header, 'Name: value'."
)
@click.option("--data", type=Body(), help="The body, or @FILE. By default it is called a form.")
@click.option("--data-json", type=Body(is_json=True), help="The same, called JSON.")
@click.option(
    "-s",
    "--scenario",
    type=click.Path(exists=True, dir_okay=False),
    help="A Python file with 'async def scenario(client)', which makes one user's requests with an"
    " httpx.AsyncClient. TARGET is what its paths are relative to.",
)
@click.option(
    "-t",
    "--timeout",
    type=Duration(),
    default="10s",
    show_default=True,
    help="How long a request may take before it is given up.",
)
@click.option(
    "-p",
    "--processes",
    type=COUNT,
    metavar="N",
    default=1,
    show_default=True,
    help="Client processes, which share connections, requests and rate.",
)
@click.option("--allow-remote", is_flag=True, help="Allow hosts that are not this machine.")
@click.option("-k", "--insecure", is_flag=True, help="Accept any certificate.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option(
    "--json", "json_file", metavar="FILE", help="Write the report as JSON; - for standard output."
)
@click.option("--html", "html_file", metavar="FILE", help="Write it as a page, with charts.")
@click.option("--max-mean", type=Duration(), help="Limit on the mean latency, as 50ms.")
@click.option("--max-p50", type=Duration(), help="Limit on the median.")
@click.option("--max-p95", type=Duration(), help="Limit on the 95th percentile.")
@click.option("--max-p99", type=Duration(), help="Limit on the 99th percentile.")
@click.option(
    "--max-errors",
    type=Errors(),
    help="Limit on errors, as 0 or 0.5%: no answer, or a status from 400 on.",
)
@click.option(
    "--min-rate", type=click.FloatRange(min=0), metavar="N", help="Answers a second to reach."
)
@pass_script_info
def load_command(info: ScriptInfo, /, target: str | None, **given: t.Any) -> None:
    """Check what was asked for, and do it; or serve the app, in a child that is to."""
    if children.is_under_load():
        from .underload import serve_parent

        serve_parent(info.load_app)
        return
    _check(target, given)
    status = _run(info, target, given)
    if status:
        raise click.exceptions.Exit(status)


def _check(target: str | None, given: dict[str, t.Any]) -> None:
    """Refuse options that say two different things."""
    has_url = target is not None and not target.startswith("/")
    if has_url and (given["app"] is not None or given["serve"]):
        raise click.UsageError(
            f"{target!r} is a URL, and --app and --serve are for an app without one. Leave out one"
            " of the two; a path of the app begins with '/'."
        )
    if not has_url and not given["serve"] and given["processes"] > 1:
        raise click.UsageError(
            "An app without a server runs in one process: add --serve, or leave out --processes."
        )
    bodies = [name for name in ("data", "data_json") if given[name] is not None]
    if len(bodies) > 1:
        raise click.UsageError("--data and --data-json exclude each other: leave one of them out.")
    if given["scenario"] is not None and (bodies or given["method"]):
        raise click.UsageError(
            "A scenario makes its own requests: leave out --method and --data, or --scenario."
        )


def _run(info: ScriptInfo, target: str | None, given: dict[str, t.Any]) -> int:
    """Find the target, make the plan of it, and do it."""
    from ..load.session import Session
    from ..load.thresholds import Share, Thresholds

    limits = {name: given[f"max_{name}"] for name in ("mean", "p50", "p95", "p99")}
    errors = given["max_errors"]
    thresholds = Thresholds(
        **limits, errors=None if errors is None else Share(*errors), rate=given["min_rate"]
    )
    with _found(info, target, given) as (url, app, place):
        return Session(
            _plan(url, given),
            app=app,
            place=place,
            processes=given["processes"],
            thresholds=thresholds,
            json_file=given["json_file"],
            html_file=given["html_file"],
            quiet=given["quiet"],
        ).run()


@contextmanager
def _found(
    info: ScriptInfo, target: str | None, given: dict[str, t.Any]
) -> Iterator[tuple[str, t.Any, t.Any]]:
    """Give the URL, the app if it runs here, and where it runs."""
    from ..load.target import IN_PROCESS, address_of, joined, read_url, refuse_remote, refuse_silent

    if target is not None and not target.startswith("/"):
        url = read_url(target)
        if not given["allow_remote"]:
            refuse_remote(*address_of(url))
        refuse_silent(url)
        yield url, None, "url"
    elif given["serve"]:
        from .underload import server

        with server() as base:
            yield joined(base, target or ROOT), None, "served"
    else:
        yield joined(IN_PROCESS, target or ROOT), info.load_app(), "in process"


def _plan(url: str, given: dict[str, t.Any]) -> t.Any:
    from ..load.plan import DURATION, Plan
    from ..load.target import base_url, without_user

    url, user = without_user(url)
    body, headers = _body(given)
    duration = given["duration"]
    if duration is None and given["requests"] is None:
        duration = DURATION
    return Plan(
        url=url if given["scenario"] is None else base_url(url),
        method=(given["method"] or ("GET" if body is None else "POST")).upper(),
        headers=(*user, *headers),
        body=body or b"",
        duration=duration,
        warm_up=given["warm_up"] or 0.0,
        **{
            name: given[name]
            for name in (
                "connections",
                "requests",
                "rate",
                "timeout",
                "scenario",
                "allow_remote",
                "insecure",
            )
        },
    )


def _body(given: dict[str, t.Any]) -> tuple[bytes | None, tuple[tuple[str, str], ...]]:
    """Return the body, and the headers with its type unless that is given."""
    headers: tuple[tuple[str, str], ...] = given["headers"]
    is_json = given["data_json"] is not None
    body: bytes | None = given["data_json"] if is_json else given["data"]
    if body is not None and "content-type" not in {name.lower() for name, _ in headers}:
        headers = (*headers, ("Content-Type", _JSON if is_json else _FORM))
    return body, headers
