"""Containers and classes that tell when they change, so that nobody looks at them all the time.

Whoever derives something from them has it dropped by `changed`::

    with watched.lock:
        self._derived = derive(...)
        watched.see(self)

PERF: an app's registries, settings and signals took 2,200 instructions of each request to look at,
and another 2,500 where it answers with JSON.
"""

from __future__ import annotations

import typing as t
import weakref
from abc import ABCMeta
from collections import defaultdict
from functools import wraps
from threading import RLock

Kind = t.TypeVar("Kind", bound=type)
Key = t.TypeVar("Key")
Value = t.TypeVar("Value")

#: What changes a dict or a list.
_CHANGES = (
    *("__delitem__", "__iadd__", "__imul__", "__ior__", "__setitem__", "append", "clear", "extend"),
    *("insert", "pop", "popitem", "remove", "reverse", "setdefault", "sort", "update"),
)


class Seeing(t.Protocol):
    """Has derived something from what is watched."""

    def _look_again(self) -> None:
        """Drop it."""
        ...


#: Held while something is derived. A change that comes meanwhile drops it afterwards.
lock = RLock()

_seeing: weakref.WeakSet[Seeing] = weakref.WeakSet()


def see(seeing: Seeing) -> None:
    """Have the next change told; `lock` must be held.

    :param seeing: who is told, once.
    """
    _seeing.add(seeing)


def changed() -> None:
    """Tell everybody who sees anything that something has changed."""
    with lock:
        for seeing in [*_seeing]:
            seeing._look_again()
        _seeing.clear()


class Watched:
    """A container that tells of each change."""


def _telling(kind: Kind) -> Kind:
    """Have a class of containers tell of what its methods change."""
    for name in _CHANGES:
        if change := getattr(kind, name, None):
            setattr(kind, name, _told(change))
    return kind


def _told(change: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    @wraps(change)
    def method(*args: t.Any, **kwargs: t.Any) -> t.Any:
        try:
            return change(*args, **kwargs)
        finally:  # it may have changed something before it failed
            changed()

    return method


@_telling
class WatchedDict(Watched, dict[Key, Value]):
    """A dict that tells of each change."""


@_telling
class Registry(Watched, defaultdict[Key, Value]):
    """A `collections.defaultdict` that tells of each change, not of those inside of its values."""


@_telling
class WatchedList(Watched, list[Value]):
    """A list that tells of each change."""


class TellingType(ABCMeta):
    """The type of classes of which it is told what is changed: in them, and in their instances.

    `abc.ABCMeta`, so that abstract classes can be mixed in.
    """

    def __setattr__(cls, name: str, value: t.Any) -> None:
        super().__setattr__(name, value)
        changed()

    def __delattr__(cls, name: str) -> None:
        super().__delattr__(name)
        changed()


class Telling(metaclass=TellingType):
    """Tells of each change of its instances' attributes.

    NOTE: the same two methods for both need two classes: in one that is an ancestor of a class and
    of its metaclass, `super` would take the class for an instance.
    """

    if not t.TYPE_CHECKING:  # so that types are still checked of what is set

        def __setattr__(self, name: str, value: t.Any) -> None:
            super().__setattr__(name, value)
            changed()

        def __delattr__(self, name: str) -> None:
            super().__delattr__(name)
            changed()
