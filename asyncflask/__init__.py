"""asyncflask: Flask for ASGI. The Flask API, name for name, on an async-first core.

The names are loaded when they are first asked for, so that importing the package is cheap and
`install_as_flask` can act before anything else (pytest's plugins among them) is imported.

NOTE: the submodule `globals` hides the builtin of that name in this file.
"""

from __future__ import annotations

import sys
import typing as t
from importlib import import_module

from ._version import __version__ as __version__
from .aliasing import install_as_flask as install_as_flask
from .aliasing import install_if_asked as _install_if_asked

if t.TYPE_CHECKING:
    from . import json as json
    from .app import Flask as Flask
    from .blueprints import Blueprint as Blueprint
    from .config import Config as Config
    from .ctx import after_this_request as after_this_request
    from .ctx import copy_current_request_context as copy_current_request_context
    from .ctx import copy_current_websocket_context as copy_current_websocket_context
    from .ctx import has_app_context as has_app_context
    from .ctx import has_request_context as has_request_context
    from .ctx import has_websocket_context as has_websocket_context
    from .exceptions import WebSocketDisconnect as WebSocketDisconnect
    from .fragments import render_block as render_block
    from .fragments import render_block_async as render_block_async
    from .globals import current_app as current_app
    from .globals import g as g
    from .globals import request as request
    from .globals import session as session
    from .globals import websocket as websocket
    from .helpers import abort as abort
    from .helpers import flash as flash
    from .helpers import get_flashed_messages as get_flashed_messages
    from .helpers import get_template_attribute as get_template_attribute
    from .helpers import make_response as make_response
    from .helpers import redirect as redirect
    from .helpers import send_file as send_file
    from .helpers import send_from_directory as send_from_directory
    from .helpers import stream_with_context as stream_with_context
    from .helpers import url_for as url_for
    from .ndjson import NDJSONResponse as NDJSONResponse
    from .signals import appcontext_popped as appcontext_popped
    from .signals import appcontext_pushed as appcontext_pushed
    from .signals import appcontext_tearing_down as appcontext_tearing_down
    from .signals import before_render_template as before_render_template
    from .signals import got_background_exception as got_background_exception
    from .signals import got_request_exception as got_request_exception
    from .signals import got_websocket_exception as got_websocket_exception
    from .signals import message_flashed as message_flashed
    from .signals import request_finished as request_finished
    from .signals import request_started as request_started
    from .signals import request_tearing_down as request_tearing_down
    from .signals import template_rendered as template_rendered
    from .signals import websocket_finished as websocket_finished
    from .signals import websocket_started as websocket_started
    from .signals import websocket_tearing_down as websocket_tearing_down
    from .sse import EventSourceResponse as EventSourceResponse
    from .sse import ServerSentEvent as ServerSentEvent
    from .streaming import streaming_response as streaming_response
    from .templating import render_template as render_template
    from .templating import render_template_async as render_template_async
    from .templating import render_template_string as render_template_string
    from .templating import render_template_string_async as render_template_string_async
    from .templating import stream_template as stream_template
    from .templating import stream_template_async as stream_template_async
    from .templating import stream_template_string as stream_template_string
    from .templating import stream_template_string_async as stream_template_string_async
    from .wrappers import Request as Request
    from .wrappers import Response as Response
    from .wrappers import Websocket as Websocket

    def jsonify(*args: t.Any, **kwargs: t.Any) -> Response:
        """Return a JSON response; see `json.jsonify`, which lies below the response class."""


_NAMES = {
    "app": "Flask",
    "blueprints": "Blueprint",
    "config": "Config",
    "ctx": (
        "after_this_request copy_current_request_context copy_current_websocket_context"
        " has_app_context has_request_context has_websocket_context"
    ),
    "exceptions": "WebSocketDisconnect",
    "globals": "current_app g request session websocket",
    "helpers": (
        "abort flash get_flashed_messages get_template_attribute make_response redirect"
        " send_file send_from_directory stream_with_context url_for"
    ),
    "json": "jsonify",
    "ndjson": "NDJSONResponse",
    "signals": (
        "appcontext_popped appcontext_pushed appcontext_tearing_down"
        " before_render_template got_background_exception got_request_exception"
        " got_websocket_exception message_flashed request_finished request_started"
        " request_tearing_down template_rendered websocket_finished websocket_started"
        " websocket_tearing_down"
    ),
    "sse": "EventSourceResponse ServerSentEvent",
    "streaming": "streaming_response",
    "fragments": "render_block render_block_async",
    "templating": (
        "render_template render_template_async render_template_string"
        " render_template_string_async stream_template stream_template_async"
        " stream_template_string stream_template_string_async"
    ),
    "wrappers": "Request Response Websocket",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

#: The public modules: Flask has loaded them all once it is imported, so they are attributes here.
_MODULES = frozenset(
    {
        "app",
        "blueprints",
        "cli",
        "config",
        "ctx",
        "debughelpers",
        "globals",
        "helpers",
        "json",
        "logging",
        "sansio",
        "sessions",
        "signals",
        "templating",
        "testing",
        "typing",
        "views",
        "wrappers",
    }
)

__all__ = ["__version__", "install_as_flask", "json", *_HOME]


def __getattr__(name: str) -> t.Any:
    if name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        setattr(sys.modules[__name__], name, value)
        return value
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*vars(sys.modules[__name__]), *__all__, *_MODULES})


_install_if_asked()
