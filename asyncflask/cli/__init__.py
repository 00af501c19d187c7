"""The command line: ``asyncflask run``, ``shell``, ``routes`` and the commands of apps.

Every public name of ``flask.cli`` is here. The development server lives in this package too
(`server` and what it imports), since nothing but ``run`` and ``app.run()`` needs it.
"""

from __future__ import annotations

import sys

import click

from .._current import current_app as current_app
from ..config import get_debug_flag as get_debug_flag
from ..config import get_load_dotenv as get_load_dotenv
from .envfiles import load_dotenv as load_dotenv
from .groups import FlaskGroup as FlaskGroup
from .groups import as_flask_option
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
from .tracebacks import user_traceback

cli = FlaskGroup(
    name="asyncflask",
    params=[as_flask_option],
    help="""\
Run, inspect and manage an asyncflask app.

The app is named with --app or the environment variable FLASK_APP; a file 'wsgi.py' or 'app.py'
in the current directory is found without that.
""",
)


def main() -> None:
    """Run the command line: what the command ``asyncflask`` does.

    An error of the user's code ends it with status 1 and a traceback that begins at their code.
    """
    try:
        cli.main()
    except Exception as error:
        click.echo(user_traceback(error), err=True, nl=False)
        sys.exit(1)
