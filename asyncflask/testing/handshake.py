"""The opening handshake of a websocket, on the client's side (RFC 6455 section 4.1)."""

from __future__ import annotations

import base64
import typing as t
from collections.abc import Sequence

import httpx

from .exchange import TOKEN

#: Under which key a request says that it is a handshake, and its response has what runs the app.
EXTENSION = "asyncflask.websocket"

_SCHEMES = {"http": "ws", "https": "wss"}


class WebSocketRefused(Exception):
    """Raised where the app answers a websocket's handshake with anything but its acceptance.

    :param response: the answer; a bare 403 where the app closed before it accepted.
    """

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(
            f"The app refused the websocket {response.request.url} with"
            f" {response.status_code} {response.reason_phrase}"
        )
        self.response = response


def handshake(
    request: httpx.Request, subprotocols: Sequence[str], denial_responses: bool
) -> httpx.Request:
    """Make a GET request the opening handshake of a websocket (RFC 6455 section 4.1).

    :param request: the request; it is changed.
    :param subprotocols: what the client can speak, the best first.
    :param denial_responses: whether the app may refuse with a response of its own.
    :raises httpx.UnsupportedProtocol: if the URL's scheme is none of ws, wss, http and https.
    :raises httpx.LocalProtocolError: if a subprotocol cannot be sent.
    """
    scheme = _SCHEMES.get(request.url.scheme, request.url.scheme)
    if scheme not in _SCHEMES.values():
        raise httpx.UnsupportedProtocol(f"{request.url} is no URL of a websocket: ws:// or wss://.")
    request.url = request.url.copy_with(scheme=scheme)
    request.headers.update(
        {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(b"asyncflask.tests").decode(),
        }
    )
    for name in subprotocols:
        if not TOKEN.fullmatch(name.encode()) or subprotocols.count(name) > 1:
            raise httpx.LocalProtocolError(
                f"{name!r} cannot be offered as a subprotocol: each is one token, and named once."
            )
    if subprotocols:
        request.headers["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)
    offered: dict[str, t.Any] = {"websocket.http.response": {}} if denial_responses else {}
    request.extensions[EXTENSION] = (list(subprotocols), offered)
    return request
