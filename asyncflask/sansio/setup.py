"""Setting up: methods that refuse to run when it is over, and the shape of what they fill."""

from __future__ import annotations

import typing as t
from collections.abc import Callable
from functools import update_wrapper

from .. import typing as ft

F = t.TypeVar("F", bound=Callable[..., t.Any])

V = t.TypeVar("V")
#: ``{blueprint name or None: value}``
Scoped: t.TypeAlias = dict[ft.AppOrBlueprintKey, V]


class SetUp(t.Protocol):
    """What is set up first, and used then."""

    def _check_setup_finished(self, f_name: str) -> None: ...


def setupmethod(f: F) -> F:
    """Make a method refuse to run once its object's setup is over."""
    name = f.__name__

    def checked(self: SetUp, *args: t.Any, **kwargs: t.Any) -> t.Any:
        self._check_setup_finished(name)
        return f(self, *args, **kwargs)

    return t.cast("F", update_wrapper(checked, f))
