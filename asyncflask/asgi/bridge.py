"""ASGI -> WSGI: a request through the WSGI middleware that wraps ``app.wsgi_app``.

The middleware and the app below it run in the request's lane, as under a threaded WSGI server;
async views that they reach run on this server's loop.
"""

from __future__ import annotations

import typing as t

from ..wrappers import Response
from .http import Exchange


class BridgedExchange(Exchange):
    """One request that is handed to the app as a WSGI request, middleware included."""

    async def serve(self) -> None:
        """Handle the request; its context is made below the middleware, by the WSGI entry."""
        self.current = None
        await super().serve()

    async def handle(self) -> Response:
        """Call the WSGI application up to its first chunk, in the lane."""
        self.in_thread = True
        await self.read_small_body()
        response: Response = await self.driver_call(self._call)
        return response

    def _call(self) -> Response:
        """Call the WSGI application up to its first chunk; in the lane's thread."""
        response = t.cast("Response", Response.from_app(self.app, self.request.environ))
        response.direct_passthrough = True  # its context is the inner request's business
        return response
