"""What asyncflask itself raises where users may see it.

- `NoRequest`: a context without a request was asked for it.
- `NoHost`: a URL of this server is needed, and the request names no host.
- `LoopCancelled`: what sync code waited for on the event loop was cancelled.
- `PipeClosed`: the client of a streamed response went away.
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


class QueueFull(ServiceUnavailable):
    """Raised when more sync work waits than `SYNC_QUEUE_LIMIT` allows; answered with 503."""
