"""A response's headers as they go out, in ASGI's form."""

from __future__ import annotations

import re
from functools import lru_cache

#: RFC 9110 section 5.6.2 (a name is a token) and 5.5 (no controls but the tab in a value).
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def wire_header(name: str, value: str) -> tuple[bytes, bytes]:
    """Return a header in ASGI's form.

    :raises ValueError: if it could be read as more than one header, or as none.
    """
    raw_name = _wire_name(name)
    if raw_name is None or _CONTROL.search(value):
        raise ValueError(
            f"The response header {name!r}: {value!r} cannot be sent. A name is letters, digits and"
            " hyphens; a value has no control characters. Was it made from what a client sent?"
        )
    # Blanks around a value are no part of it (RFC 9110 section 5.5), and some servers refuse them.
    return raw_name, value.strip(" \t").encode("latin-1")


@lru_cache(maxsize=256)  # an app has a few dozen; bounded in case it makes names up
def _wire_name(name: str) -> bytes | None:
    return name.lower().encode() if _NAME.fullmatch(name) else None
