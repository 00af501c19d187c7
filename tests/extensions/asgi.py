"""The app as any ASGI server finds it: the alias first, then the app, unchanged."""

from __future__ import annotations

import asyncflask

asyncflask.install_as_flask()

from .app import app as app  # noqa: E402 - what it imports has to be aliased by then
