"""Finding the app: from an import path to the app object, with errors that say what to change."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import sys
import typing as t
from collections.abc import Awaitable, Callable
from types import ModuleType

import click

from ..sansio.app import App
from .complete import complete
from .tracebacks import user_traceback

#: The names under which an app is looked for first, in this order.
APP_NAMES = ("app", "application")
#: The names of functions that may build it, in this order.
FACTORY_NAMES = ("create_app", "make_app")


class NoAppException(click.UsageError):
    """Raised when no application can be found, or the one that was named cannot be loaded."""


def find_best_app(module: ModuleType) -> t.Any:
    """Return the app of a module for which no name was given.

    In this order: a variable ``app`` or ``application``, the only app among the module's
    variables, the result of ``create_app()`` or ``make_app()`` (plain or ``async def``).

    :raises NoAppException: if there is none, more than one, or the factory needs arguments.
    """
    for name in APP_NAMES:
        if isinstance(found := getattr(module, name, None), App):
            return found
    apps = {name: value for name, value in vars(module).items() if isinstance(value, App)}
    if len(apps) > 1:
        names = ", ".join(f"'{module.__name__}:{name}'" for name in apps)
        raise NoAppException(
            f"Module '{module.__name__}' has several apps. Say which one is meant: {names}."
        )
    if apps:
        return apps.popitem()[1]
    for name in FACTORY_NAMES:
        factory = getattr(module, name, None)
        if inspect.isfunction(factory) and isinstance(app := _ask(module, factory, name), App):
            return app
    for name, value in vars(module).items():
        _refuse_flask(value, f"{module.__name__}:{name}")
    raise NoAppException(
        f"Module '{module.__name__}' has no app: no variable that holds one, and no function"
        f" 'create_app' or 'make_app' that returns one. If it has another name, add it:"
        f" '{module.__name__}:name'."
    )


def _refuse_flask(value: t.Any, path: str) -> None:
    """Say what to do where somebody has an app, but of Flask."""
    if any(cls.__module__.startswith("flask.") for cls in type(value).__mro__):
        raise NoAppException(
            f"{path!r} is an app of the real Flask. Either run 'asyncflask --as-flask ...', which"
            " makes 'import flask' mean asyncflask, or write 'from asyncflask import Flask'."
        )


def _ask(module: ModuleType, factory: Callable[..., t.Any], name: str) -> t.Any:
    if not _takes(factory, (), {}):
        raise NoAppException(
            f"The factory '{name}' in module '{module.__name__}' needs arguments. Give them in the"
            f" app's path: '{module.__name__}:{name}(...)'."
        )
    return _call(factory, (), {})


def _takes(factory: Callable[..., t.Any], args: t.Any, kwargs: t.Any) -> bool:
    """Return whether `factory` can be called so; asked beforehand, its own TypeErrors stay its."""
    try:
        inspect.signature(factory, follow_wrapped=False).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _call(factory: Callable[..., t.Any], args: t.Any, kwargs: t.Any) -> t.Any:
    made = factory(*args, **kwargs)
    return complete(made) if isinstance(made, Awaitable) else made


def find_app_by_string(module: ModuleType, app_name: str) -> t.Any:
    """Return the app that `app_name` names: a variable, a factory, or a call of one.

    :param app_name: such as ``app``, ``create_app`` or ``create_app("dev", debug=True)``. The
        arguments of a call are literals.
    :raises NoAppException: if it cannot be read, found or called, or gives no app.
    """
    name, args, kwargs = _parse(app_name)
    if not hasattr(module, name):
        raise NoAppException(f"Module {module.__name__!r} has no attribute {name!r}.")
    found = getattr(module, name)
    if inspect.isfunction(found):
        if not _takes(found, args, kwargs):
            raise NoAppException(
                f"The factory in {app_name!r} of module {module.__name__!r} does not take these"
                f" arguments: its signature is {name}{inspect.signature(found)}."
            )
        found = _call(found, args, kwargs)
    if isinstance(found, App):
        return found
    _refuse_flask(found, f"{module.__name__}:{app_name}")
    raise NoAppException(
        f"'{module.__name__}:{app_name}' is not an app: it gave an object of type"
        f" {type(found).__name__!r}."
    )


def _parse(app_name: str) -> tuple[str, list[t.Any], dict[str, t.Any]]:
    """Split ``name`` or ``name(literal, key=literal)`` into name and arguments."""
    try:
        node = ast.parse(app_name.strip(), mode="eval").body
    except SyntaxError:
        node = None
    if isinstance(node, ast.Name):
        return node.id, [], {}
    if not isinstance(node, ast.Call):
        raise NoAppException(
            f"{app_name!r} cannot be read as the name of an app or the call of a factory."
        )
    if not isinstance(node.func, ast.Name):
        raise NoAppException(
            f"The factory in {app_name!r} must be a plain name of the module, without dots."
        )
    try:
        given = [ast.literal_eval(arg) for arg in node.args]
        named = {kw.arg: ast.literal_eval(kw.value) for kw in node.keywords if kw.arg}
    except ValueError:
        raise NoAppException(
            f"The arguments in {app_name!r} must be literals: strings, numbers, lists and so on."
        ) from None
    return node.func.id, given, named


def prepare_import(path: str) -> str:
    """Turn a file name or a dotted name into the name of the module to import.

    The directory that the import has to start from is put at the head of ``sys.path``: for a
    module of a package, the one that holds the outermost package.
    """
    base = os.path.realpath(path).removesuffix(".py")
    folder, name = os.path.split(base)
    if name == "__init__":
        folder, name = os.path.split(folder)
    parts = [name]
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, name = os.path.split(folder)
        parts.insert(0, name)
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    return ".".join(parts)


@t.overload
def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: t.Literal[True] = True
) -> t.Any: ...


@t.overload
def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: bool
) -> t.Any | None: ...


def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: bool = True
) -> t.Any | None:
    """Import a module and return the app in it.

    :param app_name: which one; None to look for the best.
    :param raise_if_not_found: False to return None where there is no such module.
    :raises NoAppException: if there is no such module, an import in it fails, or it has no such
        app. Other errors of the module's own code are not caught.
    """
    try:
        importlib.import_module(module_name)
    except ImportError as error:
        if not _is_about(error, module_name):
            raise NoAppException(
                f"The import of {module_name!r} failed, because an import in it did:\n\n"
                f"{user_traceback(error)}"
            ) from None
        if not raise_if_not_found:
            return None
        raise NoAppException(
            f"There is no module {module_name!r} to import: looked in {sys.path[0]!r} and in the"
            " installed packages. Check the name after --app (or in FLASK_APP), and the"
            " directory that you are in."
        ) from None
    module = sys.modules[module_name]
    return find_best_app(module) if app_name is None else find_app_by_string(module, app_name)


def _is_about(error: ImportError, module_name: str) -> bool:
    """Return whether it is `module_name` itself, or a package around it, that is missing."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    return missing is not None and f"{module_name}.".startswith(f"{missing}.")
