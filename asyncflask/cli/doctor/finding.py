"""What a check finds."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType

Level = t.Literal["error", "warning", "note"]
#: The levels, the worst first. An error makes the command fail.
LEVELS: tuple[Level, ...] = ("error", "warning", "note")


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
    """Return a file's path as a reader wants it: relative, if it is below this directory."""
    relative = os.path.relpath(path) if os.path.isabs(path) else path
    return path if relative.startswith(os.pardir) else relative


def place_of(code: CodeType, line: int | None = None) -> str:
    """Return ``file:line`` of code; by default its first line."""
    return f"{shown(code.co_filename)}:{line or code.co_firstlineno}"


def name_of(value: t.Any) -> str:
    """Return the name of a class or function with its module, or that of an object's class."""
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def place_of_callable(func: Callable[..., t.Any]) -> str:
    """Return ``file:line`` of a function, or the name of what has none."""
    code = getattr(func, "__code__", None) or getattr(
        getattr(type(func), "__call__", None), "__code__", None
    )
    return name_of(func) if code is None else place_of(code)


def listed(words: list[str], most: int = 4) -> str:
    """Join words with commas; beyond `most` of them, say how many more there are."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
