"""Environment variables from ``.env`` files."""

from __future__ import annotations

import os

import click

#: Files that are looked for in this directory and those above it. The later ones win.
DEFAULT_FILES = (".flaskenv", ".env")


def load_dotenv(path: str | os.PathLike[str] | None = None, load_defaults: bool = True) -> bool:
    """Set environment variables from files, those only that are not set yet.

    What stands in `path` wins over ``.env``, and that over ``.flaskenv``. Without the package
    python-dotenv nothing is loaded, and a tip says so if there is something to load.

    :param path: a file to load; it is no error if there is none.
    :param load_defaults: whether ``.env`` and ``.flaskenv`` are looked for, from the current
        directory upwards.
    :return: whether a file had a variable.
    """
    try:
        from dotenv import dotenv_values, find_dotenv
    except ImportError:
        _tip(path)
        return False
    files = [find_dotenv(name, usecwd=True) for name in DEFAULT_FILES] if load_defaults else []
    if path is not None:
        files.append(os.fspath(path))
    found: dict[str, str | None] = {}
    for file in files:
        if os.path.isfile(file):
            found.update(dotenv_values(file, encoding="utf-8"))
    for name, text in found.items():
        if text is not None:
            os.environ.setdefault(name, text)
    return bool(found)


def _tip(path: str | os.PathLike[str] | None) -> None:
    if path or any(os.path.isfile(name) for name in DEFAULT_FILES):
        tip = "there are .env files, and none is loaded. `pip install python-dotenv` changes that."
        click.secho(f" * Tip: {tip}", fg="yellow", err=True)
