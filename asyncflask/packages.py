"""Where a package lies on disk, and which installation it belongs to.

Resources (templates, static files) are found relative to the *root path* of the module that made
the app; the instance folder relative to the *prefix* of the installation that it lives in.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import typing as t
from importlib.machinery import ModuleSpec
from pathlib import Path, PurePath


def get_root_path(import_name: str) -> str:
    """Return the directory of a module's file, absolute.

    A name that cannot be imported, and the ``__main__`` of an interactive session, answer with
    the current directory.

    :param import_name: a module's or package's dotted name, usually ``__name__``.
    :raises RuntimeError: if the module can be imported but has no file, as namespace packages
        have none.
    """
    filename = getattr(sys.modules.get(import_name), "__file__", None)
    if filename is None:
        spec = _find_spec(import_name)
        if spec is None or spec.loader is None:
            return os.getcwd()
        filename = _loader_filename(spec.loader, import_name)
    return os.path.dirname(os.path.abspath(filename))


def find_package(import_name: str) -> tuple[str | None, str]:
    """Return the prefix of the installation a package belongs to, and its import directory.

    The prefix is the directory above ``lib``, ``bin`` and the like. It is None for a package that
    is not installed, neither under `sys.prefix` nor in a ``site-packages`` directory.

    :param import_name: a module's or package's dotted name, usually ``__name__``.
    :returns: ``(prefix, path)``, where ``path`` is the entry of `sys.path` that provides it.
    """
    package_path = _find_package_path(import_name)
    prefix = os.path.abspath(sys.prefix)
    if PurePath(package_path).is_relative_to(prefix):
        return prefix, package_path
    return _site_prefix(PurePath(package_path)), package_path


def _site_prefix(path: PurePath) -> str | None:
    """Return what a ``site-packages`` directory was installed under, None if it is not one."""
    if path.name.lower() != "site-packages":
        return None
    around = path.parent
    if around.name.lower() == "lib":  # Windows: PREFIX/Lib/site-packages
        return str(around.parent)
    if around.parent.name.lower() == "lib":  # Unix: PREFIX/lib/python3.11/site-packages
        return str(around.parent.parent)
    return str(around)


def _find_package_path(import_name: str) -> str:
    """Return the directory that has to be on `sys.path` to import a name.

    It is the current directory where the name is not importable, ``__main__`` included.
    """
    top = import_name.partition(".")[0]
    spec = _find_spec(top)
    if spec is None:
        return os.getcwd()
    if not spec.submodule_search_locations:
        return os.path.dirname(spec.origin or "")
    if spec.origin in (None, "namespace"):
        portion = _namespace_portion(list(spec.submodule_search_locations), import_name)
        return os.path.dirname(portion)
    return os.path.dirname(os.path.dirname(spec.origin))


def _namespace_portion(portions: list[str], import_name: str) -> str:
    """Return the directory of a namespace package that holds a module, else its first one."""
    spec = importlib.util.find_spec(import_name)
    if spec is None or not spec.submodule_search_locations:
        return portions[0]
    inside = Path(os.path.commonpath(spec.submodule_search_locations))
    return next(portion for portion in portions if inside.is_relative_to(portion))


def _find_spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        # A parent is missing, the name is not one, or it is `__main__`, which has no spec.
        return None


def _loader_filename(loader: t.Any, import_name: str) -> str:
    """Ask a loader for a module's file; import the module if the loader cannot tell."""
    if hasattr(loader, "get_filename"):
        return t.cast("str", loader.get_filename(import_name))
    filename = getattr(importlib.import_module(import_name), "__file__", None)
    if filename is None:
        raise RuntimeError(
            f"The module {import_name!r} has no file, so templates and static files cannot be"
            " found next to it: it is a namespace package, or its importer does not tell file"
            " names. Say where they are with `root_path=...`."
        )
    return t.cast("str", filename)
