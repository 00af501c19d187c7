"""`repr`, but short, without secrets, and whatever the object does, an answer."""

from __future__ import annotations

import reprlib
import typing as t
from collections import deque
from collections.abc import Mapping
from itertools import islice

from .bounded import Bounded
from .redaction import MASK, Redactor

#: Characters of one value: several lines on the page, more than anybody reads.
LONGEST = 1000
#: Characters of one text, so that its length fits behind.
LONGEST_TEXT = 900
#: Items of one container.
MOST = 20
#: Levels of containers in containers; with `MOST`, 8,000 values at the very most.
DEEPEST = 3

#: Quick to show, with nothing to mask.
_PLAIN = (bool, float, complex, type(None))
#: What `reprlib` knows to shorten.
_BUILT_IN = (str, bytes, int, dict, list, tuple, set, frozenset, deque)


class SafeRepr:
    """Makes reprs for the page.

    :param redactor: masks the secrets.
    :param bounded: bounds the time.
    """

    def __init__(self, redactor: Redactor, bounded: Bounded) -> None:
        self._redactor = redactor
        self._bounded = bounded
        self._repr = _Repr(redactor)

    def __call__(self, value: object) -> str:
        """Return a repr of `value`, at most `LONGEST` characters and an ellipsis long."""
        if type(value) in _PLAIN:
            return repr(value)
        return self._bounded.call(lambda: self._repr.shorten(self._repr.repr(value)))

    def named(self, name: object, value: object) -> str:
        """Return a repr of `value`, or a mask if its name says that it is secret."""
        return MASK if self._redactor.hides(name) else self(value)


class _Repr(reprlib.Repr):
    """Masks before it cuts, so that half of a secret is never what is left of it."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self.maxlevel = DEEPEST
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = MOST
        self.maxfrozenset = self.maxdeque = MOST
        self.maxlong = 200
        self._redactor = redactor

    def shorten(self, text: str, limit: int = LONGEST) -> str:
        """Mask the secrets of `text` and cut what is too long."""
        masked = self._redactor.text(text[: limit + self._redactor.longest])
        return masked if len(text) <= limit else masked[:limit] + "\N{HORIZONTAL ELLIPSIS}"

    def repr1(self, x: t.Any, level: int) -> str:
        """Return a repr, by the exact type; one bad item does not spoil the rest."""
        try:
            if type(x) in _BUILT_IN:
                return super().repr1(x, level)
            if isinstance(x, Mapping):
                return f"{type(x).__name__}({self._mapping(x, level)})"
            return self.shorten(str.__str__(repr(x)))
        except Exception as error:
            return f"<{type(x).__name__}, whose repr raised {type(error).__name__}>"

    def repr_str(self, x: str, level: int) -> str:
        """Return the repr of the beginning of a text."""
        return self._beginning(x)

    def repr_bytes(self, x: bytes, level: int) -> str:
        """Return the repr of the beginning of some bytes."""
        return self._beginning(x)

    def _beginning(self, x: str | bytes) -> str:
        text = self.shorten(repr(x[: LONGEST_TEXT + self._redactor.longest]), LONGEST_TEXT)
        return text if len(x) <= LONGEST_TEXT else f"{text} ({len(x):,} in all)"

    def repr_dict(self, x: dict[t.Any, t.Any], level: int) -> str:
        """Return the repr of the first items, with the values of secret names masked."""
        return self._mapping(x, level)

    def _mapping(self, x: Mapping[t.Any, t.Any], level: int) -> str:
        if level <= 0:
            return "{...}" if x else "{}"
        parts = [self._item(key, x[key], level - 1) for key in islice(x, MOST)]
        return "{" + ", ".join(parts + ["..."] * (len(x) > MOST)) + "}"

    def _item(self, key: t.Any, value: t.Any, level: int) -> str:
        shown = MASK if self._redactor.hides(key) else self.repr1(value, level)
        return f"{self.repr1(key, level)}: {shown}"

    def repr_tuple(self, x: tuple[t.Any, ...], level: int) -> str:
        """Return the repr of the first items; of a pair with a secret name, only the name."""
        if len(x) == 2 and level > 0 and self._redactor.hides(x[0]):
            return f"({self.repr1(x[0], level - 1)}, {MASK})"
        return super().repr_tuple(x, level)
