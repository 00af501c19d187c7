"""``asyncflask shell``."""

from __future__ import annotations

import ast
import asyncio
import code
import contextvars
import inspect
import os
import sys
import types
import typing as t

import click

from .._current import current_app
from .script import with_appcontext

BANNER = """\
Python {version} on {platform}
App: {app.import_name}
Instance: {app.instance_path}
`await` works at the prompt.\
"""


class AsyncConsole(code.InteractiveConsole):
    """Python's console, with ``await`` at the top level.

    All that is awaited runs on one event loop, in one context, for as long as the console is
    open: what one line opens, the next can use.

    :param names: the namespace.
    """

    def __init__(self, names: dict[str, t.Any]) -> None:
        super().__init__(names)
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._runner = asyncio.Runner()
        self._context = contextvars.copy_context()

    def runcode(self, code: types.CodeType) -> None:
        """Run one statement, to its end if it awaits; show errors as the console does."""
        if not code.co_flags & inspect.CO_COROUTINE:
            self._context.run(super().runcode, code)
            return
        try:
            # Called, code that was compiled with a top-level await gives a coroutine.
            coroutine = types.FunctionType(code, self.locals)()
            self._runner.run(coroutine, context=self._context)
        except SystemExit:
            raise
        except BaseException:
            self.showtraceback()

    def close(self) -> None:
        """Close the event loop; tasks that are left on it are cancelled."""
        self._runner.close()


@click.command("shell", short_help="Run a Python shell in the app's context.")
@with_appcontext
def shell_command() -> None:
    """Run a Python shell in the app's context, to try things out.

    The names of app.make_shell_context() are there, and those of the file that PYTHONSTARTUP
    names. `await` works at the prompt.
    """
    names: dict[str, t.Any] = {}
    _run_startup_file(names)
    names.update(current_app.make_shell_context())
    _set_up_completion(names)
    console = AsyncConsole(names)
    try:
        app = current_app._get_current_object()
        console.interact(BANNER.format(version=sys.version, platform=sys.platform, app=app))
    finally:
        console.close()


def _run_startup_file(names: dict[str, t.Any]) -> None:
    path = os.environ.get("PYTHONSTARTUP", "")
    if os.path.isfile(path):
        with open(path, encoding="utf-8") as file:
            exec(compile(file.read(), path, "exec"), names)


def _set_up_completion(names: dict[str, t.Any]) -> None:
    """Do what Python does before its own prompt, with our names to complete."""
    hook = getattr(sys, "__interactivehook__", None)
    if hook is None:
        return
    try:
        import readline
        import rlcompleter
    except ImportError:  # Windows
        pass
    else:
        # The import has set a completer for the names of __main__, which is not the user's.
        readline.set_completer(rlcompleter.Completer(names).complete)
    hook()
