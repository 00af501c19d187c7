"""The page for an exception that escaped the app, in debug mode."""

from __future__ import annotations

import typing as t

from ..wrappers import Request

Headers = list[tuple[bytes, bytes]]


def debug_page(app: t.Any, request: Request, error: Exception) -> tuple[Headers, bytes]:
    """Render the exception for whoever asked: HTML for browsers, plain text for the others.

    :return: the headers that say which it is, and the page.
    """
    from .. import debug  # PERF: 25 ms of a start, for what a served app never shows

    secrets = [app.config["SECRET_KEY"], *(app.config["SECRET_KEY_FALLBACKS"] or ())]
    headers = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in t.cast("t.Any", request.scope)["headers"]
    }
    if debug.negotiate(headers.get("accept", "")) == "text":
        text = debug.render_text(error, secrets=secrets)
        return [(b"content-type", b"text/plain; charset=utf-8")], _encoded(text)
    page = debug.render_exception(error, request=_facts(request, headers), secrets=secrets)
    policy = debug.CONTENT_SECURITY_POLICY.encode()
    kind = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", policy),
    ]
    return kind, _encoded(page)


def _facts(request: Request, headers: dict[str, str]) -> dict[str, t.Any]:
    """Collect what the page tells of the request, touching nothing that could fail anew."""
    scope = t.cast("t.Any", request.scope)
    query = scope["query_string"].decode("latin-1")
    facts: dict[str, t.Any] = {
        "method": request.method,
        "url": f"{scope['path']}?{query}" if query else scope["path"],
        "headers": headers,
        "endpoint": request.endpoint,
        "view_args": request.view_args,
    }
    if "form" in vars(request):
        facts["form"] = [*request.form]
    return facts


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
