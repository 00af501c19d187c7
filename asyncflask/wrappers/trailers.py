"""Trailers: headers behind a body (RFC 9110 section 6.5), as ASGI's extension has them."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from .wire import RawHeaders, wire_header

EXTENSION = "http.response.trailers"

#: What a recipient must know before it reads the body, and may do harm where it is believed later
#: (RFC 9110 section 6.5.1: framing, routing, authentication, controls, what the content is).
_FORBIDDEN = frozenset(
    {
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "host",
        "keep-alive",
        "location",
        "proxy-authenticate",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "www-authenticate",
    }
)


def announce(response: t.Any, request: t.Any, start: t.MutableMapping[str, t.Any]) -> bool:
    """Announce a response's trailers in the message that begins it; return whether they are wanted.

    They are where the server offers them and the client asks for them (``TE: trailers``); where
    their names are known, the ``Trailer`` header tells them (RFC 9110 section 6.6.2).

    :raises ValueError: if one of them cannot be sent.
    """
    trailers = getattr(response, "trailers", None)
    if trailers is None or not request.offers(EXTENSION) or not _asked(request):
        return False
    start["trailers"] = True
    if isinstance(trailers, Mapping) and "Trailer" not in response.headers:
        names = b", ".join(name for name, _ in wire_trailers(trailers))
        start["headers"].append((b"trailer", names))
    return True


def _asked(request: t.Any) -> bool:
    """Whether the client takes trailers (RFC 9110 section 10.1.4)."""
    codings = request.headers.get("TE", "").lower().split(",")
    return any(each.partition(";")[0].strip() == "trailers" for each in codings)


def wire_trailers(trailers: t.Any) -> RawHeaders:
    """Return trailers in ASGI's form.

    :param trailers: a mapping, or pairs of names and values.
    :raises ValueError: if one could be read as more than one, or is none that may come so late.
    """
    pairs = trailers.items() if isinstance(trailers, Mapping) else trailers
    sent = []
    for name, value in pairs:
        if name.lower() in _FORBIDDEN:
            raise ValueError(
                f"{name!r} cannot be a trailer: a client has to know it before it reads the body"
                " (RFC 9110 section 6.5.1). Set it in the response's headers."
            )
        sent.append(wire_header(name, value))
    return sent


async def trailers_message(
    response: t.Any, call: t.Callable[..., t.Awaitable[t.Any]]
) -> dict[str, t.Any]:
    """Return the message with what a response has behind its body.

    :param call: calls a function of either kind, as the request's driver does.
    :raises ValueError: as for `wire_trailers`.
    """
    trailers = response.trailers
    if callable(trailers):
        trailers = await call(trailers)
    return {"type": EXTENSION, "headers": wire_trailers(trailers), "more_trailers": False}
