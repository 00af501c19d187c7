"""What asyncflask itself raises where users may see it.

- `NoRequest`: a context without a request was asked for it.
- `NoHost`: a URL of this server is needed, and the request names no host.
- `LoopCancelled`: what sync code waited for on the event loop was cancelled.
- `PipeClosed`: the client of a streamed response went away.
- `BlockNotFound`: a template has no such block.
- `QueueFull`: more sync work waits than the app allows.
"""

from __future__ import annotations

from werkzeug.exceptions import BadRequest, ServiceUnavailable


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
