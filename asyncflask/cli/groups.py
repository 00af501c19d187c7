"""`FlaskGroup`: the command line with the options that find the app, and its commands."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import typing as t
from collections.abc import Callable

import click
from click.core import ParameterSource

from .. import _current
from .._version import __version__
from ..aliasing import FLASK_VERSION, VARIABLE, install_as_flask, installed
from .doctor import doctor_command
from .envfiles import load_dotenv
from .load import load_command
from .locate import NoAppException
from .routes import routes_command
from .run import run_command
from .script import AppGroup, ScriptInfo
from .shell import shell_command
from .tracebacks import user_traceback

#: The entry point groups whose entries are commands; those for Flask work here as well.
PLUGIN_GROUPS = ("asyncflask.commands", "flask.commands")


def get_version(ctx: click.Context, param: click.Parameter | None, value: t.Any) -> None:
    """Print the versions and end the program: the callback of ``--version``."""
    if not value or ctx.resilient_parsing:
        return
    versions = {
        "Python": platform.python_version(),
        "asyncflask": __version__,
        "Flask": f"{FLASK_VERSION} (the API)",
        "Werkzeug": importlib.metadata.version("werkzeug"),
    }
    for name, version in versions.items():
        click.echo(f"{name} {version}", color=ctx.color)
    ctx.exit()


def _load_env_file(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        try:
            import dotenv  # noqa: F401
        except ImportError:
            raise click.BadParameter(
                "An env file is read by another package: pip install python-dotenv.", ctx, param
            ) from None
    defaults = ctx.ensure_object(ScriptInfo).load_dotenv_defaults
    if defaults or value is not None:
        load_dotenv(value, load_defaults=defaults)
    return value


def _name_app(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        ctx.ensure_object(ScriptInfo).app_import_path = value
    return value


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> bool | None:
    # Neither --debug nor --no-debug was given: FLASK_DEBUG, or the app itself, decides.
    if ctx.get_parameter_source(param.name or "") in _UNASKED:
        return None
    os.environ["FLASK_DEBUG"] = "1" if value else "0"  # where a factory can see it
    return value


def _become_flask(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    if value:
        os.environ[VARIABLE] = "1"  # for reloader children and workers
        try:
            install_as_flask()
        except RuntimeError as error:
            raise click.ClickException(str(error)) from None
    return value


_UNASKED = (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)

version_option = click.Option(
    ["--version"],
    help="Show the versions of asyncflask, the Flask API and Werkzeug.",
    callback=get_version,
    expose_value=False,
    is_eager=True,
    is_flag=True,
)
# Eager options are processed in the order in which they are declared: the env file may name the
# app, and --help lists the app's commands.
env_file_option = click.Option(
    ["-e", "--env-file"],
    type=click.Path(exists=True, dir_okay=False),
    help="Set environment variables from this file. It wins over '.env' and '.flaskenv'; what is"
    " set already wins over all of them. Needs python-dotenv.",
    callback=_load_env_file,
    expose_value=False,
    is_eager=True,
)
app_option = click.Option(
    ["-A", "--app"],
    metavar="IMPORT",
    help="The app, or a function that makes it: 'module:name', where module is a dotted name or a"
    " file, and name may be a call with literals ('app:create_app(\"dev\")'). The names 'app',"
    " 'application', 'create_app' and 'make_app' are found without being said.",
    callback=_name_app,
    expose_value=False,
    is_eager=True,
)
debug_option = click.Option(
    ["--debug/--no-debug"],
    help="Set debug mode.",
    callback=_set_debug,
    expose_value=False,
)
as_flask_option = click.Option(
    ["--as-flask"],
    help="Let 'import flask' mean asyncflask, for apps and extensions that are written for Flask.",
    callback=_become_flask,
    envvar=VARIABLE,
    expose_value=False,
    is_eager=True,
    is_flag=True,
)

BUILT_IN = (run_command, shell_command, routes_command, doctor_command, load_command)

# `asyncflask run --debug` is what everybody types.
run_command.params.insert(0, debug_option)


class FlaskGroup(AppGroup):
    """A command line for an app: built-in commands, those of plugins and those of the app.

    :param add_default_commands: whether ``run``, ``shell``, ``routes``, ``doctor`` and
        ``load`` are there.
    :param create_app: a function that returns the app; without it, ``--app`` finds it.
    :param add_version_option: whether ``--version`` is there.
    :param load_dotenv: whether ``.env`` and ``.flaskenv`` are loaded.
    :param set_debug_flag: whether the app's ``debug`` is set from ``FLASK_DEBUG``.
    :param extra: what `click.Group` takes. Options also come from environment variables, whose
        names begin with ``FLASK_``.
    """

    def __init__(
        self,
        add_default_commands: bool = True,
        create_app: Callable[..., t.Any] | None = None,
        add_version_option: bool = True,
        load_dotenv: bool = True,
        set_debug_flag: bool = True,
        **extra: t.Any,
    ) -> None:
        # Options with callbacks, so that a group callback of the user's own has nothing to do.
        given = extra.pop("params", None) or []
        version = [version_option] if add_version_option else []
        settings = {"auto_envvar_prefix": "FLASK", **extra.pop("context_settings", {})}
        params = [*given, env_file_option, app_option, debug_option, *version]
        super().__init__(params=params, context_settings=settings, **extra)
        self.create_app = create_app
        self.load_dotenv = load_dotenv
        self.set_debug_flag = set_debug_flag
        if add_default_commands:
            for command in BUILT_IN:
                self.add_command(command)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command of that name: a plugin's, a built-in one, or the app's."""
        own = super().get_command(ctx, name)
        plugin = _plugins(builtin=set(self.commands)).get(name)
        if plugin is not None:
            return _load_plugin(plugin) or own
        if own is load_command and _has_own(ctx, name):
            # Flask has no such command, so that apps may have one: to load what they live on.
            own = None
        return own or self._app_command(ctx, name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands; where the app cannot be loaded, say why and go on."""
        names = {*super().list_commands(ctx), *_plugins(builtin=set(self.commands))}
        try:
            names.update(ctx.ensure_object(ScriptInfo).load_app().cli.list_commands(ctx))
        except NoAppException as error:
            _complain(error.format_message())
        except Exception as error:
            _complain(f"the app could not be loaded.\n\n{user_traceback(error)}")
        return sorted(names)

    def _app_command(self, ctx: click.Context, name: str) -> click.Command | None:
        try:
            app = ctx.ensure_object(ScriptInfo).load_app()
        except NoAppException as error:
            _complain(error.format_message())
            return None
        # Parameter callbacks need the context as well, so it is there before parsing goes on.
        current = _current.app_context()
        if current is None or current.app is not app:
            ctx.with_resource(app.app_context())
        return t.cast("click.Command | None", app.cli.get_command(ctx, name))

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: t.Any,
    ) -> click.Context:
        """Create the click context, with a `ScriptInfo` as its ``obj`` unless one is given."""
        # An app module that calls app.run() without a guard must not block this command.
        os.environ["FLASK_RUN_FROM_CLI"] = "true"
        if "obj" not in self.context_settings:
            extra.setdefault(
                "obj",
                ScriptInfo(
                    create_app=self.create_app,
                    set_debug_flag=self.set_debug_flag,
                    load_dotenv_defaults=self.load_dotenv,
                ),
            )
        return super().make_context(info_name, args, parent=parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; where only help is asked for, the variables that name the app still count."""
        asks_help = len(args) == 1 and args[0] in self.get_help_option_names(ctx)
        if asks_help or (self.no_args_is_help and not args):
            for option in (env_file_option, app_option):
                option.handle_parse_result(ctx, {}, [])
        try:
            return super().parse_args(ctx, args)
        except BaseException:
            # click closes a context that it has entered. This one it has not, and to list the
            # app's commands for a help page, the app's context was pushed.
            ctx.close()
            raise


def _has_own(ctx: click.Context, name: str) -> bool:
    """Return whether there is an app with a command of that name; one that is broken has none."""
    try:
        return ctx.ensure_object(ScriptInfo).load_app().cli.get_command(ctx, name) is not None
    except Exception:
        return False


def _complain(message: str) -> None:
    click.secho(f"Error: {message}\n", err=True, fg="red")


def _plugins(builtin: set[str]) -> dict[str, importlib.metadata.EntryPoint]:
    """Return the installed commands by name; those for asyncflask win.

    Where ``import flask`` is not ours, a plugin for Flask replaces no built-in command: it would
    look for its app in the real Flask.
    """
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for group in PLUGIN_GROUPS:
        for entry in importlib.metadata.entry_points(group=group):
            if group != "flask.commands" or installed() or entry.name not in builtin:
                found.setdefault(entry.name, entry)
    return found


def _load_plugin(entry: importlib.metadata.EntryPoint) -> click.Command | None:
    try:
        return t.cast("click.Command", entry.load())
    except Exception as error:
        hint = "" if installed() else " If it is made for Flask, try 'asyncflask --as-flask ...'."
        kind = f"{type(error).__name__}: {error}"
        _complain(
            f"the plugin command {entry.name!r} ({entry.value}) failed to load.{hint}\n{kind}"
        )
        return None
