"""``asyncflask run``."""

from __future__ import annotations

import os
import sys
import typing as t

import click

from ..config import get_debug_flag
from . import children
from .locate import prepare_import
from .params import CertParamType, SeparatedPathType, pair_with_key
from .script import DEFAULT_APP_FILES, ScriptInfo, pass_script_info, split_path
from .server import GRACEFUL_SHUTDOWN, serve
from .tls import Certificate


def show_server_banner(debug: bool, app_import_path: str | None) -> None:
    """Print what is served and in which mode; not again when the reloader restarts the server.

    :param debug: whether the app runs in debug mode.
    :param app_import_path: the app's name, or None to leave it out.
    """
    if not children.is_first():
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
@click.option(
    "--shutdown-timeout",
    type=click.IntRange(min=0),
    metavar="SECONDS",
    default=GRACEFUL_SHUTDOWN,
    show_default=True,
    help="How long requests may take to finish when the server is told to stop.",
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
    shutdown_timeout: int,
) -> None:
    """Run the app on uvicorn.

    With --debug it restarts when a file changes and shows errors in the browser.
    """
    debug = get_debug_flag()
    if reload and workers > 1:
        raise click.UsageError("--reload and --workers exclude each other: leave one of them out.")
    if info.create_app is None:  # for the reloader, which watches what is on the path
        prepare_import(split_path(info.app_import_path or DEFAULT_APP_FILES[0])[0])

    def load() -> t.Any:
        app = info.load_app()
        if debugger is False:
            app.config["DEBUG_PAGES"] = False
        return app

    def greet() -> None:
        name = info.app_import_path or info.load_app().name
        # By way of the package: people silence the banner by replacing it there.
        sys.modules[__package__ or ""].show_server_banner(debug, name)

    serve(
        load,
        host,
        port,
        greet=greet,
        debug=debug,
        reload=(debug and workers == 1) if reload is None else reload,
        workers=workers,
        cert=cert,
        extra_files=extra_files or (),
        exclude_patterns=exclude_patterns or (),
        shutdown_timeout=shutdown_timeout,
    )
