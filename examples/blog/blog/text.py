"""Template filters: how texts and times are shown."""

from __future__ import annotations

import re
from datetime import datetime

from markupsafe import Markup

from asyncflask import Flask

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
EXCERPT = 280  # characters of a post in the list: about four lines


def paragraphs(text: str) -> Markup:
    """Return plain text as HTML paragraphs, split at blank lines, with everything escaped."""
    parts = re.split(r"\n{2,}", text)
    return Markup("\n").join(Markup("<p>{}</p>").format(part) for part in parts)


def excerpt(text: str) -> str:
    """Return the beginning of a text, ending at a whole word."""
    text = " ".join(text.split())
    if len(text) <= EXCERPT:
        return text
    whole_words, _, _ = text[:EXCERPT].rpartition(" ")
    return f"{whole_words or text[:EXCERPT]} …"


def day(timestamp: str) -> str:
    """Return the day of an ISO 8601 time as people write it: 7 November 2026.

    The blog is in English, whatever language the server's own settings ask ``strftime`` for.
    """
    time = datetime.fromisoformat(timestamp)
    return f"{time.day} {MONTHS[time.month - 1]} {time.year}"


def init_app(app: Flask) -> None:
    """Let templates use the filters under their own names."""
    for function in (paragraphs, excerpt, day):
        app.add_template_filter(function)
