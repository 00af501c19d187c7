"""Clients and runners that call an app in the same process, with no server and no socket.

- `FlaskClient` (``app.test_client()``): synchronous, Flask's own, with ``with client:`` blocks
  that keep the last request's context.
- `AsyncClient` (``app.async_client()``): an `httpx.AsyncClient` for ``async def`` tests, with
  lifespan and with bodies that stream both ways; on asyncio and on trio.
- Both open websockets (``client.websocket(...)``) and read events (``client.sse(...)``).
- `StartedApp` (``app.test_app()``): the app's lifespan as a block, for clients of either kind.
- `FlaskCliRunner` (``app.test_cli_runner()``): runs commands of ``app.cli``.

The names are loaded when they are first asked for: an app that is served has no use for them.
PERF: 90 ms of a start, for httpx and what it imports.
"""

from __future__ import annotations

import sys
import typing as t
from importlib import import_module

if t.TYPE_CHECKING:
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

_HOME = {
    "ASGITransport": "transport",
    "AsyncClient": "async_client",
    "AsyncWebSocket": "websocket",
    "EnvironBuilder": "client",
    "FlaskCliRunner": "cli",
    "FlaskClient": "client",
    "LifespanError": "lifespan",
    "StartedApp": "started",
    "WebSocket": "websocket",
    "WebSocketRefused": "handshake",
}


def __getattr__(name: str) -> t.Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    return sorted({*vars(sys.modules[__name__]), *__all__})
