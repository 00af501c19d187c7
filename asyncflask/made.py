"""Attributes that are made when they are first asked for."""

from __future__ import annotations

import typing as t


class Made:
    """An attribute that is made when it is first asked for, and kept in the object.

    PERF: 0.5 us less than `functools.cached_property` before Python 3.12, which takes a lock.

    :param make: makes its value.
    """

    def __init__(self, make: t.Callable[[t.Any], t.Any]) -> None:
        self._make, self.__doc__ = make, make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: t.Any, owner: type) -> t.Any:
        if instance is None:
            return self
        value = self._make(instance)
        setattr(instance, self._name, value)  # NOTE: a look at `__dict__` would have it made
        return value
