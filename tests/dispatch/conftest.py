"""Every test here runs on each way that a request can take."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from asyncflask import Flask

Fetch = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def app() -> Flask:
    app = Flask("pipeline")
    app.secret_key = "k"
    return app


@pytest.fixture(params=["asgi", "bridge", "wsgi"])
async def fetch(app: Flask, request: pytest.FixtureRequest) -> AsyncIterator[Fetch]:
    """A function that makes a request: over ASGI, through WSGI middleware, or over WSGI."""
    if request.param == "bridge":
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    if request.param == "wsgi":
        transport = httpx.WSGITransport(app, raise_app_exceptions=False)
        with httpx.Client(transport=transport, base_url="http://localhost") as client:

            async def by_wsgi(path: str = "/", method: str = "GET", **options: t.Any) -> t.Any:
                return client.request(method, path, **options)  # noqa: ASYNC212 - no network

            yield by_wsgi
    else:
        async with app.async_client(raise_app_exceptions=False) as async_client:

            async def by_asgi(path: str = "/", method: str = "GET", **options: t.Any) -> t.Any:
                return await async_client.request(method, path, **options)

            yield by_asgi
