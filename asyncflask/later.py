"""Class attributes whose values lie in modules that are imported when somebody asks for them."""

from __future__ import annotations

import typing as t
from importlib import import_module


class Later:
    """Stands in a class body for what a module has; whoever reads the attribute gets that.

    A subclass, or an instance, that sets the attribute has its own as ever, and imports nothing.

    :param module: the module's full name.
    :param name: the name of the value in it.
    """

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __get__(self, instance: object, owner: type) -> t.Any:
        return getattr(import_module(self.module), self.name)
