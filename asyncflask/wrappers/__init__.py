"""The request and response classes: werkzeug's, with what Flask adds and what ASGI needs."""

from .request import Request
from .response import Response
from .websocket import Websocket

__all__ = ["Request", "Response", "Websocket"]
