"""Who gets the page, and who the text."""

from __future__ import annotations

import typing as t

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

#: From the most to the least wanted, should a client like them equally. ``application/json`` stands
#: for programs: they find their way in text rather than in HTML.
_OFFERS = ("text/plain", "application/json", "text/html", "application/xhtml+xml")


def negotiate(accept_header: str | None) -> t.Literal["html", "text"]:
    """Tell what a client wants to see, by its ``Accept`` header (RFC 9110, 12.5.1).

    HTML goes to those that name it and prefer it, as browsers do. ``*/*`` (curl, test clients),
    JSON clients and a missing header mean text.
    """
    accept = parse_accept_header(accept_header, MIMEAccept)
    best = accept.best_match(_OFFERS, default="text/plain")
    return "html" if best in ("text/html", "application/xhtml+xml") else "text"
