"""Masks what looks like a secret, by name, by shape and by value.

Better one harmless value masked than one secret shown: error pages end up in screenshots, chats
and bug trackers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "\N{BLACK CIRCLE}" * 6

#: Secrets shorter than this are masked as whole words only: the "dev" of a tutorial's SECRET_KEY
#: must not take "devices" apart.
SHORT = 8

_WORDS = (
    r"(?:secret|passw|pass_?phrase|token|api[_-]?key|access[_-]?key|authori[sz]ation|cookie|session|"
    r"credential|private|signature|signing|csrf|xsrf|bearer|"
    r"(?<![a-z])(?:pwd|otp|dsn|jwt|salt|sess)(?![a-z]))"
)
_NAME = re.compile(_WORDS, re.IGNORECASE)
_QUOTED = r"""[rbuf]{0,2}(?:"(?:[^"\\]|\\.)*(?:"|\\?$)|'(?:[^'\\]|\\.)*(?:'|\\?$))"""
_FLAGS = re.IGNORECASE | re.DOTALL

# In code and in reprs: name = 'value', name: str = "value", {'name': b'value'}, ('name', 'value').
_LITERAL = re.compile(
    rf"(?P<before>{_WORDS}[\w.-]*"
    rf"(?:\s*(?::[^=\n'\"]{{0,80}})?[:=]=?\s*|['\"]\]?\s*[:=,]=?\s*))(?P<value>{_QUOTED})",
    _FLAGS,
)
# In reprs and messages, but not in code, where they would hide what it does ...
_IN_TEXT = (
    # ... {'name': 1234}, {'name': ['value', ...]}
    rf"(?P<before>{_WORDS}[\w.-]*['\"]\s*[:,]\s*)(?:\d[\w.]*|[\[({{][^\])}}]*[\])}}]?)",
    # ... name=value, as in a query string
    rf"(?P<before>{_WORDS}[\w.-]*(?:=|%3D))[^\s&;,'\"<>()\[\]{{}}]+",
    # ... Cookie: a=b; c=d
    r"(?P<before>(?:cookie|authori[sz]ation|password|secret[\w-]*|api[_-]?key):\s*)[^\s'\"][^\n'\"]*",
    # ... a header's value without its name
    r"(?P<before>\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}",
    # ... scheme://user:password@host
    r"(?P<before>://[^\s/:@'\"]{0,256}:)[^\s/@'\"]{1,1024}(?=@)",
    # ... a JSON web token, a PEM block
    r"(?P<before>)\beyJ[\w-]{6,}\.[\w-]+\.[\w-]*",
    r"(?P<before>-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----).*?(?=-----END|$)",
)
_SHAPES = tuple(re.compile(pattern, _FLAGS) for pattern in _IN_TEXT)


class Redactor:
    """Masks secrets in names, text and source code.

    :param secrets: texts to mask wherever they occur, as they are, in a repr or in a URL.
    """

    def __init__(self, secrets: Iterable[str | bytes | None] = ()) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        ordered = sorted(forms, key=len, reverse=True)
        self.longest = max(map(len, ordered), default=0)
        self._secrets = re.compile("|".join(map(_pattern, ordered))) if ordered else None

    def hides(self, name: object) -> bool:
        """Whether something of this name is not to be shown."""
        if isinstance(name, bytes):
            name = name.decode("latin-1")
        return isinstance(name, str) and _NAME.search(str.__str__(name)) is not None

    def values(self, text: str) -> str:
        """Mask the given secrets, and nothing else."""
        return text if self._secrets is None else self._secrets.sub(MASK, text)

    def text(self, text: str) -> str:
        """Mask the secrets in a message, a URL or a repr."""
        text = self.source(text)
        for shape in _SHAPES:
            text = shape.sub(rf"\g<before>{MASK}", text)
        return text

    def source(self, text: str) -> str:
        """Mask the secrets in source code: literals only, the code stays readable."""
        return _LITERAL.sub(_mask_literal, self.values(text))


def _mask_literal(match: re.Match[str]) -> str:
    quote = '"' if match["value"].endswith('"') else "'"
    return f"{match['before']}{quote}{MASK}{quote}"


def _forms(secret: str | bytes) -> set[str]:
    """Return the ways in which a repr or a URL may write a secret."""
    text = secret.decode("latin-1") if isinstance(secret, bytes) else str.__str__(secret)
    raw = secret if isinstance(secret, bytes) else text.encode("utf-8", "surrogatepass")
    return {text, repr(text)[1:-1], repr(raw)[2:-1], quote(raw, safe="")}


def _pattern(secret: str) -> str:
    pattern = re.escape(secret)
    return pattern if len(secret) >= SHORT else rf"(?<!\w){pattern}(?!\w)"
