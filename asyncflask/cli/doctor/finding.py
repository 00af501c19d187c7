"""What a check finds."""

from __future__ import annotations

import os
import sysconfig
import typing as t
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

Level = t.Literal["error", "warning", "note"]
#: The levels, the worst first. An error makes the command fail.
LEVELS: tuple[Level, ...] = ("error", "warning", "note")

#: The folders that installed packages lie in.
LIBRARIES = frozenset({"site-packages", "dist-packages"})


@dataclass(frozen=True)
class Finding:
    """Something to know about an app.

    :param level: ``error``: wrong as it is; ``warning``: dear, or wrong in production; ``note``:
        different, and worth knowing.
    :param place: where it is: ``file:line``, a setting, or an attribute.
    :param what: what is the matter, and what follows from it.
    :param way_out: what to do.
    """

    level: Level
    place: str
    what: str
    way_out: str


def shown(path: str) -> str:
    """Return a file's path as a reader wants it: relative to this directory, or its package's."""
    for folder in LIBRARIES:
        path = path.rpartition(f"{os.sep}{folder}{os.sep}")[2]
    relative = os.path.relpath(path) if os.path.isabs(path) else path
    return path if relative.startswith(os.pardir) else relative


def is_foreign(path: str) -> bool:
    """Return whether a file is neither Python's own nor one of this package."""
    if path.startswith("<"):  # made up, or frozen
        return False
    full = os.path.abspath(path)
    return is_library(full) or not full.startswith((*_PYTHON, _OURS))


def is_library(path: str) -> bool:
    """Return whether a file belongs to an installed package."""
    return not LIBRARIES.isdisjoint(Path(path).parts)


#: Folders with a separator at the end. The one for libraries lies below Python's own.
_PYTHON = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib"))
_OURS = str(Path(__file__).parents[2]) + os.sep


def place_of(code: CodeType, line: int | None = None) -> str:
    """Return ``file:line`` of code; by default its first line."""
    return f"{shown(code.co_filename)}:{line or code.co_firstlineno}"


def name_of(value: t.Any) -> str:
    """Return the name of a class or function, or that of an object's class, with its module.

    A function that is made by another one goes by the name of that.
    """
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__.partition('.<locals>')[0]}"


def place_of_callable(func: Callable[..., t.Any]) -> str:
    """Return ``file:line`` of a function, or the name of what has none."""
    code = getattr(getattr(func, "func", func), "__code__", None)
    return name_of(func) if code is None else place_of(code)


def listed(words: list[str], most: int = 4) -> str:
    """Join words with commas; beyond `most` of them, say how many more there are."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
