"""Properties that are computed once for each object, and lock nothing.

Until Python 3.12, `functools.cached_property` holds one lock for all objects of a class while it
computes. A form is computed as its body arrives: one slow client would keep all others waiting, and
the event loop, which is what the slow one's thread waits for, with them.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from functools import cached_property as cached_property
else:
    _missing = object()

    class cached_property:
        """A property that is computed when it is first asked for, and kept in the object.

        Two threads that ask at the same time may both compute it; both get the first one's value.

        :param func: computes it.
        """

        def __init__(self, func: t.Callable[[t.Any], t.Any]) -> None:
            self.func, self.__doc__ = func, func.__doc__

        def __set_name__(self, owner: type, name: str) -> None:
            self._name = name

        def __get__(self, instance: t.Any, owner: type | None = None) -> t.Any:
            if instance is None:
                return self
            kept = instance.__dict__
            value = kept.get(self._name, _missing)
            return kept.setdefault(self._name, self.func(instance)) if value is _missing else value
