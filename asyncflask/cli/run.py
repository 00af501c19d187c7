"""``asyncflask run``."""

from __future__ import annotations

import os
import sys
import typing as t

import click

from ..config import get_debug_flag
from . import reloader
from .locate import prepare_import
from .params import CertParamType, SeparatedPathType, pair_with_key
from .script import _BETWEEN, DEFAULT_APP_FILES, ScriptInfo, pass_script_info
from .server import CANNOT_START, serve
from .tls import Certificate
from .tracebacks import user_traceback


def show_server_banner(debug: bool, app_import_path: str | None) -> None:
    """Print what is served and in which mode; not again when the reloader restarts the server.

    :param debug: whether the app runs in debug mode.
    :param app_import_path: the app's name, or None to leave it out.
    """
    if not reloader.is_first():
        return
    if app_import_path is not None:
        click.echo(f" * Serving ASGI app '{app_import_path}'")
    if debug is not None:
        click.echo(f" * Debug mode: {'on' if debug else 'off'}")


@click.command("run", short_help="Run the app on uvicorn.")
@click.option("--host", "-h", default="127.0.0.1", help="The address to listen on, or unix://PATH.")
@click.option("--port", "-p", default=5000, help="The port to listen on; 0 takes a free one.")
@click.option(
    "--cert",
    type=CertParamType(),
    is_eager=True,
    help="Serve HTTPS with this certificate: a file, 'adhoc', or the import path of an SSLContext.",
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    callback=pair_with_key,
    expose_value=False,
    help="The file of the certificate's key.",
)
@click.option(
    "--reload/--no-reload",
    default=None,
    help="Restart when a file changes. By default in debug mode, with one worker.",
)
@click.option(
    "--debugger/--no-debugger",
    default=None,
    help="Show errors in the browser. By default in debug mode.",
)
@click.option(
    "--with-threads/--without-threads",
    default=True,
    help="Has no effect: plain views always run in worker threads.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    help="Number of processes. More than one excludes the reloader.",
)
@click.option(
    "--extra-files",
    type=SeparatedPathType(),
    help=f"More files that restart the server when they change, separated by {os.pathsep!r}.",
)
@click.option(
    "--exclude-patterns",
    type=SeparatedPathType(),
    help="Files that do not restart the server when they change: fnmatch patterns, separated by"
    f" {os.pathsep!r}.",
)
@pass_script_info
def run_command(
    info: ScriptInfo,
    host: str,
    port: int,
    reload: bool | None,
    debugger: bool | None,
    with_threads: bool,
    workers: int,
    cert: Certificate,
    extra_files: list[str] | None,
    exclude_patterns: list[str] | None,
) -> None:
    """Run the app on uvicorn.

    With --debug it restarts when a file changes and shows errors in the browser.
    """
    debug = get_debug_flag()
    if reload and workers > 1:
        raise click.UsageError("--reload and --workers exclude each other: leave one of them out.")
    if workers > 1 and info.create_app is not None:
        raise click.UsageError("This command makes its app itself; --workers needs one by --app.")

    def greet() -> None:
        # By way of the package: people silence the banner by replacing it there.
        name = info.app_import_path or info.load_app().name
        sys.modules[__package__ or ""].show_server_banner(debug, name)

    _prepare(info, debugger)
    serve(
        lambda: _without_pages(info.load_app(), debugger),
        host,
        port,
        greet=greet,
        debug=debug,
        reload=(debug and workers == 1) if reload is None else reload,
        workers=workers,
        worker_app=f"{__name__}:worker_app",
        cert=cert,
        extra_files=extra_files or (),
        exclude_patterns=exclude_patterns or (),
    )


def _prepare(info: ScriptInfo, debugger: bool | None) -> None:
    """Leave what a worker needs to find the app, and let the reloader see the app's directory."""
    if debugger is not None:
        os.environ["FLASK_RUN_DEBUGGER"] = "1" if debugger else "0"
    if info.app_import_path:
        os.environ["FLASK_APP"] = info.app_import_path
    if info.create_app is None:
        prepare_import(_BETWEEN.split(info.app_import_path or DEFAULT_APP_FILES[0])[0])


def _without_pages(app: t.Any, debugger: bool | None) -> t.Any:
    """Switch the app's error pages for developers off, if that is asked for."""
    if debugger is False:
        app.config["DEBUG_PAGES"] = False
    return app


def worker_app() -> t.Any:
    """Return the app in a worker process: the one that ``FLASK_APP`` names.

    If that fails, say so and end with the status that keeps uvicorn from trying again.
    """
    try:
        app = ScriptInfo(os.environ.get("FLASK_APP")).load_app()
        return _without_pages(app, os.environ.get("FLASK_RUN_DEBUGGER") != "0")
    except click.ClickException as error:
        error.show()
    except Exception as error:
        click.echo(user_traceback(error), err=True)
    sys.exit(CANNOT_START)
