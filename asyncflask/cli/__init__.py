"""The command line: ``asyncflask run``, ``shell``, ``routes`` and the commands of apps.

Every public name of ``flask.cli`` is here. The development server lives in this package too
(`server` and what it imports), since nothing but ``run`` and ``app.run()`` needs it.

The names are loaded when they are first asked for: an app that is served needs `AppGroup` alone.
PERF: 30 ms of a start.
"""

from __future__ import annotations

import sys
import typing as t
from importlib import import_module

if t.TYPE_CHECKING:
    from .._current import current_app as current_app
    from ..config import get_debug_flag as get_debug_flag
    from ..config import get_load_dotenv as get_load_dotenv
    from .command import cli as cli
    from .envfiles import load_dotenv as load_dotenv
    from .groups import FlaskGroup as FlaskGroup
    from .groups import get_version as get_version
    from .groups import version_option as version_option
    from .locate import NoAppException as NoAppException
    from .locate import find_app_by_string as find_app_by_string
    from .locate import find_best_app as find_best_app
    from .locate import locate_app as locate_app
    from .locate import prepare_import as prepare_import
    from .params import CertParamType as CertParamType
    from .params import SeparatedPathType as SeparatedPathType
    from .routes import routes_command as routes_command
    from .run import run_command as run_command
    from .run import show_server_banner as show_server_banner
    from .script import AppGroup as AppGroup
    from .script import ScriptInfo as ScriptInfo
    from .script import pass_script_info as pass_script_info
    from .script import with_appcontext as with_appcontext
    from .shell import shell_command as shell_command

_NAMES = {
    ".._current": "current_app",
    "..config": "get_debug_flag get_load_dotenv",
    ".envfiles": "load_dotenv",
    ".groups": "FlaskGroup get_version version_option",
    ".locate": "NoAppException find_app_by_string find_best_app locate_app prepare_import",
    ".params": "CertParamType SeparatedPathType",
    ".routes": "routes_command",
    ".run": "run_command show_server_banner",
    ".script": "AppGroup ScriptInfo pass_script_info with_appcontext",
    ".shell": "shell_command",
    ".command": "cli",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> t.Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name], __name__), name)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    return sorted({*vars(sys.modules[__name__]), *_HOME})


def main() -> None:
    """Run the command line: what the command ``asyncflask`` does.

    An error of the user's code ends it with status 1 and a traceback that begins at their code.
    """
    import click

    from .command import cli
    from .tracebacks import user_traceback

    try:
        cli.main()
    except Exception as error:
        click.echo(user_traceback(error), err=True, nl=False)
        sys.exit(1)
