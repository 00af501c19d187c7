"""Behind ``app.run()``: Flask's way of starting a server, with uvicorn as the server."""

from __future__ import annotations

import os
import sys
import typing as t

import click

from . import cli
from .cli.children import is_child
from .cli.listener import ServerError
from .cli.server import GRACEFUL_SHUTDOWN
from .cli.server import serve as serve
from .config import get_debug_flag, get_load_dotenv

#: What Flask's server takes and ours has no use for: plain views run in worker threads always.
WITHOUT_EFFECT = frozenset(
    {
        "passthrough_errors",
        "reloader_interval",
        "reloader_type",
        "request_handler",
        "threaded",
        "use_evalex",
    }
)
#: What both take.
FOLLOWED = frozenset(
    {"exclude_patterns", "extra_files", "processes", "ssl_context", "use_debugger", "use_reloader"}
)
#: What only ours takes.
OWN = frozenset({"shutdown_timeout"})


def run_app(
    app: t.Any,
    host: str | None = None,
    port: int | None = None,
    debug: bool | None = None,
    load_dotenv: bool = True,
    **options: t.Any,
) -> None:
    """Serve `app` until a signal ends it, with the meaning of ``Flask.run``.

    Below a command of ``asyncflask`` the call is ignored, or it would block the command.

    :param host: by default the host of ``SERVER_NAME``, else 127.0.0.1.
    :param port: by default the port of ``SERVER_NAME``, else 5000; 0 takes a free one.
    :param debug: if given, sets the app's debug mode, whatever else says.
    :param load_dotenv: whether ``.env`` and ``.flaskenv`` are loaded. ``FLASK_DEBUG`` counts then.
    :param options: those of `werkzeug.serving.run_simple`: ``use_reloader`` (by default in debug
        mode), ``use_debugger`` (error pages for developers, by default in debug mode),
        ``extra_files``, ``exclude_patterns``, ``processes`` (a number of workers) and
        ``ssl_context`` are followed; so is ``shutdown_timeout``, the seconds that requests get to
        finish when the server stops. The others, except ``static_files``, are accepted and have
        no effect.
    :raises TypeError: if an option is not known.
    """
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
        if not is_child():
            click.secho(
                " * app.run() was called while a command of 'asyncflask' runs, and is ignored.\n"
                '   Put it below: if __name__ == "__main__":',
                fg="red",
            )
        return
    if get_load_dotenv(load_dotenv):
        cli.load_dotenv()
        if "FLASK_DEBUG" in os.environ:
            app.debug = get_debug_flag()
    if debug is not None:
        app.debug = bool(debug)
    host, port = _address(app, host, port)
    try:
        _run(app, host, port, options)
    except ServerError as error:
        error.show()
        sys.exit(error.exit_code)
    finally:
        # From a prompt, the app may be set up further and run again.
        app._got_first_request = False


def _address(app: t.Any, host: str | None, port: int | None) -> tuple[str, int]:
    named_host, _, named_port = (app.config.get("SERVER_NAME") or "").partition(":")
    return host or named_host or "127.0.0.1", int(named_port or 5000 if port is None else port)


def _run(app: t.Any, host: str, port: int, options: dict[str, t.Any]) -> None:
    def greet() -> None:
        cli.show_server_banner(app.debug, app.name)

    from werkzeug.serving import run_simple

    if getattr(run_simple, "__module__", None) != "werkzeug.serving":
        # A program that has put its own server in werkzeug's place gets what Flask would give it.
        greet()
        defaults = {"use_reloader": app.debug, "use_debugger": app.debug, "threaded": True}
        run_simple(host, port, app, **{**defaults, **options})
        return
    if unknown := sorted(options.keys() - WITHOUT_EFFECT - FOLLOWED - OWN):
        raise TypeError(
            f"app.run() does not know {', '.join(map(repr, unknown))}. It serves with uvicorn: for"
            " what the options here do not cover, run uvicorn yourself with the app's import path."
        )
    if not options.get("use_debugger", True):
        app.config["DEBUG_PAGES"] = False
    serve(
        lambda: app,
        host,
        port,
        greet=greet,
        debug=app.debug,
        reload=options.get("use_reloader", app.debug),
        workers=options.get("processes", 1),
        cert=options.get("ssl_context"),
        extra_files=options.get("extra_files") or (),
        exclude_patterns=options.get("exclude_patterns") or (),
        shutdown_timeout=options.get("shutdown_timeout", GRACEFUL_SHUTDOWN),
    )
