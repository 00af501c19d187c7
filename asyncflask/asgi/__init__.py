"""ASGI: each module drives one kind of connection, and only they call ``send``."""

from .entry import serve

__all__ = ["serve"]
