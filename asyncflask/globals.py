"""The proxies that users import, with their types.

Nothing inside asyncflask imports this module; `asyncflask._current` holds the objects.
"""

from __future__ import annotations

import typing as t
from contextvars import Token

from . import _current
from .app import Flask
from .ctx import AppContext, _AppCtxGlobals
from .sessions import SessionMixin
from .wrappers import Request, Websocket

__all__ = ["app_ctx", "current_app", "g", "request", "request_ctx", "session", "websocket"]

#: The active app context.
app_ctx: AppContext = _current.app_ctx
#: The app that handles the current request or owns the current app context.
current_app: Flask = _current.current_app
#: A namespace that lives as long as the current app context.
g: _AppCtxGlobals = _current.g
#: The active request context.
request_ctx: AppContext = _current.request_ctx
#: The request being handled.
request: Request = _current.request
#: The session of the request being handled.
session: SessionMixin = _current.session
#: The websocket being served.
websocket: Websocket = _current.websocket

for _proxy, _held_as, _kind in (
    (request, "_request", Request),
    (websocket, "websocket", Websocket),
):
    _current.expect(_proxy, _held_as, (name for name in dir(_kind) if not name.startswith("_")))


class _ContextView:
    """One side of the context, under the `ContextVar` methods that extensions call.

    Flask 3.1 keeps app and request contexts in two variables; here they are two views of one.
    """

    def __init__(self, name: str, find: t.Callable[[], AppContext | None]) -> None:
        self.name = name
        self._find = find

    def get(self, *default: t.Any) -> t.Any:
        """Return the current context, or `default`.

        :raises LookupError: if there is none and no default was given.
        """
        found = self._find()
        if found is not None:
            return found
        if default:
            return default[0]
        raise LookupError(self.name)

    def set(self, value: AppContext) -> Token[t.Any]:
        """Make `value` the innermost context; give the token to `reset`."""
        return _current.context.set(value)

    def reset(self, token: Token[t.Any]) -> None:
        """Undo a `set`."""
        _current.context.reset(token)


_cv_app = _ContextView("asyncflask.app_ctx", _current.app_context)
_cv_request = _ContextView("asyncflask.request_ctx", _current.request_context)
