"""A parser of event streams for the tests: the grammar of the HTML standard as one expression.

Section 9.2.5 has the grammar. It shares nothing with what the package encodes or parses with.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

#: ``[field or comment] end-of-line``; `re`'s own idea of a line is not asked for.
_LINE = re.compile(
    r"(?:(?P<name>[^\x0a\x0d:]+)(?::\x20?(?P<value>[^\x0a\x0d]*))?|:(?P<comment>[^\x0a\x0d]*))?"
    r"(?:\x0d\x0a|\x0a|\x0d)"
)


@dataclass
class Told:
    """What an ``EventSource`` does on a stream."""

    #: (name, data, last event ID) of the events that it dispatches.
    events: list[tuple[str, str, str]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    retries: list[int] = field(default_factory=list)


def parse(stream: bytes) -> Told:
    """Interpret a whole stream by the steps of section 9.2.6."""
    text = stream.decode("utf-8", "replace")
    text = text[1:] if text[:1] == "\ufeff" else text
    told, position = Told(), 0
    last_id, kind, data = "", "", ""
    while match := _LINE.match(text, position):
        position = match.end()
        found: dict[str, t.Any] = match.groupdict()
        name, value = found["name"], found["value"] or ""
        if found["comment"] is not None:
            told.comments.append(found["comment"])
        elif name is None:
            if data:
                told.events.append((kind or "message", data[:-1], last_id))
            kind = data = ""
        elif name == "event":
            kind = value
        elif name == "data":
            data += value + "\n"
        elif name == "id" and "\0" not in value:
            last_id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            told.retries.append(int(value))
    return told
