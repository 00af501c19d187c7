"""What a command knows of its app: `ScriptInfo`, and the ways to run code in the app's context."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Awaitable, Callable
from functools import update_wrapper

import click

from .. import _current
from ..config import get_debug_flag, get_load_dotenv
from .complete import complete, completing
from .locate import NoAppException, locate_app, prepare_import

Callback: t.TypeAlias = Callable[..., t.Any]
F = t.TypeVar("F", bound=Callback)

#: The files that are tried when no app is named, in this order.
DEFAULT_APP_FILES = ("wsgi.py", "app.py")
#: Between file and name, except in a Windows path (``C:\app.py``).
_BETWEEN = re.compile(r":(?![\\/])")


def split_path(path: str) -> tuple[str, str | None]:
    """Split ``module:name`` or ``file:name``; the name is None if there is none."""
    file, *name = _BETWEEN.split(path, maxsplit=1)
    return file, name[0] if name else None


class ScriptInfo:
    """Finds the app of a command line, once.

    `FlaskGroup` makes one and keeps it as the click context's ``obj``.

    :param app_import_path: ``module:name``, as for ``--app``; None to try ``wsgi.py`` and
        ``app.py``.
    :param create_app: a function, plain or ``async def``, that returns the app. It is called
        without arguments, and the import path is not looked at.
    :param set_debug_flag: whether the app's ``debug`` is set from ``FLASK_DEBUG``.
    :param load_dotenv_defaults: whether ``.env`` and ``.flaskenv`` shall be loaded. This class
        loads none; ``FLASK_SKIP_DOTENV`` overrules it.
    """

    def __init__(
        self,
        app_import_path: str | None = None,
        create_app: Callable[..., t.Any] | None = None,
        set_debug_flag: bool = True,
        load_dotenv_defaults: bool = True,
    ) -> None:
        self.load_dotenv_defaults = get_load_dotenv(load_dotenv_defaults)
        self.set_debug_flag = set_debug_flag
        self.create_app = create_app
        self.app_import_path = app_import_path
        #: Room for what commands want to share.
        self.data: dict[t.Any, t.Any] = {}
        self._loaded_app: t.Any = None

    def load_app(self) -> t.Any:
        """Return the app; loaded the first time, the same object ever after.

        :raises NoAppException: if there is none. Errors of the app's own code come through, with
            a note that it was being loaded.
        """
        if self._loaded_app is None:
            try:
                app = self._find_app()
            except Exception as error:
                if not isinstance(error, click.ClickException):
                    error.add_note("The app could not be loaded: its code raised this error.")
                raise
            if self.set_debug_flag:
                app.debug = get_debug_flag()  # the property, which sets what depends on it too
            self._loaded_app = app
        return self._loaded_app

    def _find_app(self) -> t.Any:
        if self.create_app is not None:
            app = self.create_app()
            app = complete(app) if isinstance(app, Awaitable) else app
        elif self.app_import_path:
            file, name = split_path(self.app_import_path)
            app = locate_app(prepare_import(file), name)
        else:
            tried = (locate_app(prepare_import(file), None, False) for file in DEFAULT_APP_FILES)
            app = next((found for found in tried if found is not None), None)
        if app is None:
            raise NoAppException(
                "No app was named, and this directory has neither a 'wsgi.py' nor an 'app.py'."
                " Name it: 'asyncflask --app module:name ...', or set the environment variable"
                " 'FLASK_APP'."
            )
        return app


pass_script_info = click.make_pass_decorator(ScriptInfo, ensure=True)


def with_appcontext(f: F) -> F:
    """Run a click callback in the app's context, plain or ``async def``.

    The app is loaded if that has not happened yet. Commands below ``app.cli`` and
    ``blueprint.cli`` have this already.
    """

    @click.pass_context
    def in_context(command: click.Context, /, *args: t.Any, **kwargs: t.Any) -> t.Any:
        if _current.app_context() is None:
            info = command.ensure_object(ScriptInfo)
            command.with_resource(info.load_app().app_context())
        result = command.invoke(f, *args, **kwargs)
        return complete(result) if isinstance(result, Awaitable) else result

    return t.cast("F", update_wrapper(in_context, f))


class AppGroup(click.Group):
    """A click group whose commands run in the app's context, and may be ``async def``."""

    @t.overload
    def command(self, __func: Callback) -> click.Command: ...

    @t.overload
    def command(self, *args: t.Any, **kwargs: t.Any) -> Callable[[Callback], click.Command]: ...

    def command(
        self, *args: t.Any, **kwargs: t.Any
    ) -> Callable[[Callback], click.Command] | click.Command:
        """Register a command, as `click.Group.command` does.

        :param with_appcontext: given as False, the callback runs outside of the app's context.
        """
        wrap = with_appcontext if kwargs.pop("with_appcontext", True) else completing
        if args and callable(args[0]):  # @group.command, without parentheses
            made: click.Command = super().command(wrap(args[0]))
            return made
        register: Callable[[Callback], click.Command] = super().command(*args, **kwargs)
        return lambda f: register(wrap(f))

    @t.overload
    def group(self, __func: Callback) -> click.Group: ...

    @t.overload
    def group(self, *args: t.Any, **kwargs: t.Any) -> Callable[[Callback], click.Group]: ...

    def group(
        self, *args: t.Any, **kwargs: t.Any
    ) -> Callable[[Callback], click.Group] | click.Group:
        """Register a subgroup, as `click.Group.group` does: again an `AppGroup`, by default."""
        kwargs.setdefault("cls", AppGroup)
        made: Callable[[Callback], click.Group] | click.Group = super().group(*args, **kwargs)
        return made
