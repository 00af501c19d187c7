"""What a developer sees when a view raises in debug mode.

`render_exception` makes an HTML page, `render_text` plain text, and `negotiate` tells which of the
two a client wants. The page executes nothing and loads nothing: no console, no script, no request
to anywhere. What looks like a secret is masked in both; still, show them in debug mode only.

A leaf: whatever these functions need of the app or of the request is passed to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .bounded import Bounded
from .negotiation import negotiate
from .page import CONTENT_SECURITY_POLICY, render_page
from .plaintext import traceback_text
from .redaction import Redactor
from .report import Reporter
from .request_facts import request_facts

__all__ = ["CONTENT_SECURITY_POLICY", "negotiate", "render_exception", "render_text"]


def render_exception(
    exc: BaseException,
    *,
    request: Mapping[str, Any] | None = None,
    secrets: Iterable[str | bytes | None] = (),
) -> str:
    """Return an HTML page about an exception.

    Send it with `CONTENT_SECURITY_POLICY` as its ``Content-Security-Policy`` header; the page says
    the same in a ``<meta>`` element, for those who forget.

    :param exc: the exception; its causes, contexts and, in a group, members are shown too.
    :param request: facts about the request, all optional: "method" and "url" (str), "headers" (a
        mapping, or pairs), "form" (field names, or a mapping: its values are not shown). Anything
        else is shown under its own name, a mapping as a table.
    :param secrets: texts to mask wherever they occur, such as the app's `SECRET_KEY`.
    """
    redactor = Redactor(secrets)
    with Bounded() as bounded:
        return render_page(
            Reporter(redactor, bounded).report(exc),
            request_facts(request or {}, redactor, bounded),
            traceback_text(exc, redactor, bounded),
        )


def render_text(exc: BaseException, *, secrets: Iterable[str | bytes | None] = ()) -> str:
    """Return the traceback of an exception, as the interpreter prints it, with secrets masked.

    :param exc: the exception.
    :param secrets: texts to mask wherever they occur.
    """
    with Bounded() as bounded:
        return traceback_text(exc, Redactor(secrets), bounded)
