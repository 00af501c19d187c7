"""What the page shows of the request."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .bounded import Bounded
from .printable import printable
from .redaction import MASK, Redactor
from .reprs import SafeRepr

#: Rows of one table.
MOST_ROWS = 200
#: Characters of a URL or of a header's value.
LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Table:
    """Names and values under a title."""

    title: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """A request, as text that need only be escaped."""

    method: str
    url: str
    alone: tuple[tuple[str, str], ...]  # facts that are no tables
    tables: tuple[Table, ...]


def request_facts(facts: Mapping[str, t.Any], redactor: Redactor, bounded: Bounded) -> RequestFacts:
    """Return what is known of a request, with secrets masked and form values left out."""
    texts = _Texts(redactor, SafeRepr(redactor, bounded))
    alone, tables = [], []
    for name, value in facts.items():
        if name in ("method", "url"):
            continue
        if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
            rows = ((MASK, MASK),) if redactor.hides(name) else texts.rows(name, value)
            tables.append(Table(printable(name), rows))
        else:
            alone.append((printable(name), texts.named(name, value)))
    return RequestFacts(
        texts.text(facts.get("method", "")),
        texts.text(facts.get("url", "")),
        tuple(alone),
        tuple(tables),
    )


class _Texts:
    def __init__(self, redactor: Redactor, safe_repr: SafeRepr) -> None:
        self._redactor = redactor
        self._repr = safe_repr

    def text(self, value: object) -> str:
        """Return a text as it is, anything else as a repr."""
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        if not isinstance(value, str):
            return printable(self._repr(value))
        start = str.__str__(value)[: LONGEST + self._redactor.longest]
        return printable(self._redactor.text(start)[:LONGEST])

    def rows(self, title: str, value: Iterable[t.Any]) -> tuple[tuple[str, str], ...]:
        """Return the rows of a table."""
        if title == "form":
            return tuple((self.text(name), "(not shown)") for name in _first(value))
        try:
            items = value.items() if isinstance(value, Mapping) else value
            return tuple(self._row(item) for item in _first(items))
        except (
            Exception
        ) as error:  # the app's own mapping, perhaps; the page must come all the same
            return (("", f"<not shown: raised {type(error).__name__}>"),)

    def _row(self, item: t.Any) -> tuple[str, str]:
        if isinstance(item, tuple) and len(item) == 2:
            return self.text(item[0]), self.named(*item)
        return "", self.text(item)

    def named(self, name: object, value: object) -> str:
        """Return a text, or a mask if its name says that it is secret."""
        return MASK if self._redactor.hides(name) else self.text(value)


def _first(values: Iterable[t.Any]) -> list[t.Any]:
    return [value for value, _ in zip(values, range(MOST_ROWS), strict=False)]
