"""Error pages in the blog's own design."""

from __future__ import annotations

from werkzeug.exceptions import HTTPException

from asyncflask import Flask, render_template
from asyncflask.typing import ResponseReturnValue


def show_error(error: HTTPException) -> ResponseReturnValue:
    """Show what went wrong; status and headers (`Allow`, say) stay those of the error."""
    headers = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    return render_template("error.html", error=error), error.code or 500, headers


def init_app(app: Flask) -> None:
    """Show all HTTP errors, a 500 among them, with our page."""
    app.register_error_handler(HTTPException, show_error)
