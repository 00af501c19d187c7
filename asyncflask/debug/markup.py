"""HTML that is escaped unless it was written here."""

from __future__ import annotations

import html
from collections.abc import Iterable


class Html(str):
    """Text that is HTML already; only this package makes it."""

    __slots__ = ()


def fill(template: str, **values: object) -> Html:
    """Return `template` with its ``{name}`` fields filled in.

    Everything is escaped but `Html` itself: subclasses are not trusted, nor is an ``__html__``
    method, since exceptions and reprs may bring their own.
    """
    return Html(template.format(**{name: _escaped(value) for name, value in values.items()}))


def join(parts: Iterable[Html]) -> Html:
    """Return the parts, one after the other."""
    return Html("".join(parts))


def _escaped(value: object) -> str:
    if type(value) is Html:
        return value
    text = value if isinstance(value, str) else str(value)
    return html.escape(str.__str__(text), quote=True)
