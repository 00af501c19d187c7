"""The asynchronous test client."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

import httpx
from starlette.types import ASGIApp

from .transport import DISCONNECT_GRACE, ASGITransport


class AsyncClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` that calls an app in the same event loop; on asyncio and on trio.

    ::

        async with app.async_client() as client:
            response = await client.post("/login", json={"name": "ada"})
            assert response.status_code == 200

    The ``async with`` block is the app's lifespan: it is started before the block and shut down
    after it. A client that is used without the block makes requests all the same, to an app that
    was never started.

    :param app: the app, or any ASGI app.
    :param raise_app_exceptions: whether what the app raises (with ``TESTING``, all that its views
        raise) comes out of the request; if not, the client sees what a server would show.
    :param root_path: the path under which the app is mounted.
    :param client: host and port of the client, for ``request.remote_addr``.
    :param extensions: ASGI extensions that the "server" offers, name to options.
    :param lifespan: whether ``async with`` runs the app's lifespan.
    :param disconnect_grace: seconds that the app gets to notice that a response was closed early,
        before it is cancelled.
    :param base_url: what relative URLs are relative to.
    :param timeout: seconds, or an `httpx.Timeout`; its read timeout bounds the wait for the app.
        None for as long as it takes, so that a debugger can be used in a test.
    :param kwargs: the other parameters of `httpx.AsyncClient`.
    :raises LifespanError: at the start or the end of the block, if the app fails to start or to
        shut down.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        raise_app_exceptions: bool = True,
        root_path: str = "",
        client: tuple[str, int] = ("127.0.0.1", 123),
        extensions: Mapping[str, t.Any] | None = None,
        lifespan: bool = True,
        disconnect_grace: float = DISCONNECT_GRACE,
        base_url: httpx.URL | str = "http://localhost",
        timeout: float | httpx.Timeout | None = None,
        **kwargs: t.Any,
    ) -> None:
        transport = ASGITransport(
            app,
            raise_app_exceptions=raise_app_exceptions,
            root_path=root_path,
            client=client,
            extensions=extensions,
            lifespan=lifespan,
            disconnect_grace=disconnect_grace,
        )
        super().__init__(transport=transport, base_url=base_url, timeout=timeout, **kwargs)
        self.app = app
