"""Clients and runners that call an app in the same process, with no server and no socket.

- `FlaskClient` (``app.test_client()``): synchronous, Flask's own, with ``with client:`` blocks
  that keep the last request's context.
- `AsyncClient` (``app.async_client()``): an `httpx.AsyncClient` for ``async def`` tests, with
  lifespan and with bodies that stream both ways; on asyncio and on trio.
- Both open websockets (``client.websocket(...)``) and read events (``client.sse(...)``).
- `StartedApp` (``app.test_app()``): the app's lifespan as a block, for clients of either kind.
- `FlaskCliRunner` (``app.test_cli_runner()``): runs commands of ``app.cli``.
"""

from __future__ import annotations

from .async_client import AsyncClient
from .cli import FlaskCliRunner
from .client import EnvironBuilder, FlaskClient
from .handshake import WebSocketRefused
from .lifespan import LifespanError
from .started import StartedApp
from .transport import ASGITransport
from .websocket import AsyncWebSocket, WebSocket

__all__ = [
    "ASGITransport",
    "AsyncClient",
    "AsyncWebSocket",
    "EnvironBuilder",
    "FlaskCliRunner",
    "FlaskClient",
    "LifespanError",
    "StartedApp",
    "WebSocket",
    "WebSocketRefused",
]
