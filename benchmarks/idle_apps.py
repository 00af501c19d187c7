"""One route in each framework whose idle worker is weighed."""

from __future__ import annotations

import typing as t

TEXT = "Hello, World!"


def asyncflask() -> t.Any:
    """Return our app."""
    from asyncflask import Flask

    async def text() -> str:
        return TEXT

    app = Flask(__name__)
    app.add_url_rule("/str", view_func=text)
    return app


def flask() -> t.Any:
    """Return Flask's, a WSGI application."""
    import flask as real

    app = real.Flask(__name__)
    app.add_url_rule("/str", view_func=lambda: TEXT, endpoint="text")
    return app


def starlette() -> t.Any:
    """Return Starlette's."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def text(request: Request) -> PlainTextResponse:
        return PlainTextResponse(TEXT)

    return Starlette(routes=[Route("/str", text)])
