"""A websocket's messages as they go out, in ASGI's form (ASGI websocket spec 2.x)."""

from __future__ import annotations

import typing as t

from .wire import wire_header

Message = t.MutableMapping[str, t.Any]
HeadersValue = t.Mapping[str, str] | t.Iterable[tuple[str, str]]

#: Codes that a close frame may carry (RFC 6455 section 7.4, with IANA's later entries). 1004 has no
#: meaning; 1005, 1006 and 1015 say what was not sent.
_SENT_CODES = (range(1000, 1004), range(1007, 1015), range(3000, 5000))

#: Bytes of a reason: a control frame has 125, of which the code takes two (RFC 6455 section 5.5).
_REASON_BYTES = 123


def accept_message(
    headers: HeadersValue | None, subprotocol: str | None, offered: t.Sequence[str]
) -> Message:
    """Return the message that accepts a websocket.

    :param headers: headers of the handshake's answer.
    :param subprotocol: one of those that are offered, or None.
    :param offered: the subprotocols that the client offers.
    :raises ValueError: if the client has not offered the subprotocol (RFC 6455 section 4.2.2), or
        if a header cannot be sent or is not for handlers to send.
    """
    if subprotocol is not None and subprotocol not in offered:
        raise ValueError(
            f"The subprotocol {subprotocol!r} was accepted, and the client offers {[*offered]}: it"
            " would break the connection off. Choose one of them, or none."
        )
    made = [wire_header(name, value) for name, value in pairs(headers)]
    for name, _ in made:
        if name.startswith(b"sec-websocket-"):
            raise ValueError(
                f"The header {name.decode()!r} is the server's to send; the subprotocol is named"
                " with accept(subprotocol=...)."
            )
    return {"type": "websocket.accept", "subprotocol": subprotocol, "headers": made}


def pairs(headers: HeadersValue | None) -> t.Iterable[tuple[str, str]]:
    """Return headers as names and values."""
    return headers.items() if isinstance(headers, t.Mapping) else headers or ()


def data_message(data: t.Any) -> Message:
    """Return the message that sends some data.

    :raises TypeError: if it is neither str nor bytes.
    """
    if isinstance(data, str):
        return {"type": "websocket.send", "text": data}
    if isinstance(data, (bytes, bytearray, memoryview)):
        return {"type": "websocket.send", "bytes": bytes(data)}
    raise TypeError(
        f"A websocket sends str or bytes, not {type(data).__name__}. For anything that has a form"
        " in JSON there is send_json()."
    )


def check_close(code: int, reason: str) -> None:
    """Check what a websocket is to be closed with.

    :raises ValueError: if the code must not be sent, or if the reason is too long.
    """
    if not any(code in codes for codes in _SENT_CODES):
        raise ValueError(
            f"A websocket cannot be closed with the code {code}: 1000 is a normal end, 1008 says"
            " that a rule was broken, and 3000 to 4999 are the app's own."
        )
    if len(reason.encode()) > _REASON_BYTES:
        raise ValueError(
            f"The reason has {len(reason.encode())} bytes; a close frame has room for"
            f" {_REASON_BYTES}."
        )


def size(data: str | bytes) -> int:
    """Return how many bytes a message has: of text, in UTF-8."""
    return len(data) if isinstance(data, bytes) else len(data.encode("utf-8", "surrogatepass"))
