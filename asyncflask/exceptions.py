"""What asyncflask itself raises where users may see it.

- `NoRequest`: a context without a request was asked for it.
- `NoHost`: a URL of this server is needed, and the request names no host.
- `LoopCancelled`: what sync code waited for on the event loop was cancelled.
- `PipeClosed`: the client of a streamed response went away.
- `BlockNotFound`: a template has no such block.
- `QueueFull`: more sync work waits than the app allows.
- `WebSocketDisconnect`: the other side of a websocket has left.
- `InvalidMessage`: a websocket's message is not what the handler asks for.
- `BodyTimeout`: the client was silent for too long in the middle of its request.
- `ViewTimeout`: a view took longer than its route allows.
"""

from __future__ import annotations

from werkzeug.exceptions import BadRequest, RequestTimeout, ServiceUnavailable


class NoHost(BadRequest):
    """Raised where a URL of this server is needed and the request's `Host` gives none."""

    description = "The request's Host header is not a host, so no URL can be made of it."


class NoRequest(RuntimeError, AttributeError):
    """Raised when a context is asked for its request and carries none.

    An `AttributeError` too, so that `hasattr` and `getattr` with a default tell without raising.
    """


class LoopCancelled(RuntimeError):
    """Raised in sync code whose awaited coroutine was cancelled, as at a server's shutdown."""


class PipeClosed(BrokenPipeError):
    """Raised in the writer of a `Pipe` whose reader went away."""


class BlockNotFound(LookupError):
    """Raised when one block of a template is to be rendered, and the template has none such.

    :param template: the template's name, if it has one.
    :param block: the block that was asked for.
    :param known: the blocks that there are.
    """

    def __init__(self, template: str | None, block: str, known: list[str]) -> None:
        self.template, self.block, self.known = template, block, known
        there = ", ".join(map(repr, known)) or "none at all"
        super().__init__(
            f"The template {template!r} has no block {block!r}. With those of the templates that it"
            f" extends, its blocks are: {there}. A block is defined by"
            f" {{% block {block} %}}...{{% endblock %}}."
        )


class QueueFull(ServiceUnavailable):
    """Raised when more sync work waits than `SYNC_QUEUE_LIMIT` allows; answered with 503."""


class WebSocketDisconnect(Exception):
    """Raised where a websocket is read or written whose other side has left.

    :param code: why it was closed (RFC 6455 section 7.4); 1005 if that was not said, 1006 if the
        connection was lost.
    :param reason: the same in words, as the other side has chosen them.
    """

    def __init__(self, code: int = 1005, reason: str = "") -> None:
        super().__init__(f"The websocket was closed with code {code}{reason and ': '}{reason}")
        self.code, self.reason = code, reason


class InvalidMessage(BadRequest, ValueError):
    """Raised where a websocket's message is not what the handler asks for, such as JSON.

    What nothing handles closes the websocket with code 1007.
    """


class BodyTimeout(RequestTimeout):
    """Raised where a body is read whose client sent nothing for `BODY_TIMEOUT` seconds (408)."""

    description = (
        "The server closes the connection: the rest of the request's body did not arrive in time."
    )


class ViewTimeout(ServiceUnavailable):
    """Raised in place of what a view returns when it takes longer than its route's `timeout`.

    503, as Go's ``http.TimeoutHandler`` has it: 504 speaks of another server behind a gateway (RFC
    9110 section 15.6.5), and proxies take the two for different things.
    """

    description = "The server took too long to answer. Please try again later."
