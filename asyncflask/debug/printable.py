"""Text from anywhere, made safe to look at."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[^\n\t]")


def printable(text: str) -> str:
    r"""Return `text` as an exact `str` in which what cannot be seen is escaped (``\x1b``).

    Terminal control sequences, text direction overrides, lone surrogates (which cannot be encoded)
    and unusual blanks become visible; line breaks and tabs stay.
    """
    text = str.__str__(text)
    return text if text.isprintable() else _CONTROL.sub(_visible, text)


def _visible(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")
