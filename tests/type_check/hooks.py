"""The decorators for what happens around a view, on plain functions and on coroutines."""

from __future__ import annotations

import typing as t

from werkzeug.exceptions import Forbidden, HTTPException, NotFound

from asyncflask import Blueprint, Flask, Response, after_this_request, got_request_exception
from asyncflask.typing import ResponseReturnValue

app = Flask(__name__)
part = Blueprint("part", __name__, url_prefix="/part")


class OutOfStock(Exception):
    title = "?"


@app.before_request
def look() -> None:
    pass


@app.before_request
def refuse() -> ResponseReturnValue | None:
    return {"error": "closed"}, 503


@app.before_request
async def async_refuse() -> str | None:
    return None


@app.after_request
def add_header(response: Response) -> Response:
    response.headers["X-Part"] = "1"
    return response


@app.after_request
async def async_add_header(response: Response) -> Response:
    return response


@app.teardown_request
def end(error: BaseException | None) -> None:
    pass


@app.teardown_appcontext
async def async_end(error: BaseException | None) -> None:
    pass


@app.context_processor
def names() -> dict[str, t.Any]:
    return {"year": 2026}


@app.url_defaults
def add_language(endpoint: str, values: dict[str, t.Any]) -> None:
    values.setdefault("lang", "en")


@app.url_value_preprocessor
def take_language(endpoint: str | None, values: dict[str, t.Any] | None) -> None:
    if values:
        values.pop("lang", None)


@app.shell_context_processor
def shell_names() -> dict[str, t.Any]:
    return {"app": app}


@app.errorhandler(404)
def by_code(error: NotFound) -> ResponseReturnValue:
    return {"error": error.description}, 404


@app.errorhandler(OutOfStock)
def by_class(error: OutOfStock) -> tuple[str, int]:
    return error.title, 409


@app.errorhandler(HTTPException)
async def any_http_error(error: HTTPException) -> Response | HTTPException:
    return error


@app.errorhandler(Exception)
async def any_error(error: Exception) -> tuple[dict[str, str], int]:
    return {"error": type(error).__name__}, 500


@part.errorhandler(Forbidden)
@part.app_errorhandler(Forbidden)
def two_registrations(error: Forbidden) -> str:
    return "no"


@part.before_app_request
async def before_all() -> None:
    @after_this_request
    def note(response: Response) -> Response:
        return response


@part.route("/", methods=("GET", "POST"))
@part.get("/more")
async def many_routes() -> dict[str, bool]:
    return {"more": True}


@part.record_once
def registered(state: t.Any) -> None:
    state.add_url_rule("/late", view_func=many_routes)


@got_request_exception.connect_via(app)
def told(sender: Flask, exception: BaseException, **extra: t.Any) -> None:
    pass


app.register_error_handler(OutOfStock, by_class)
app.register_blueprint(part, url_prefix="/other", name="other")

# A decorated function keeps its own type.
t.assert_type(by_class(OutOfStock()), tuple[str, int])
t.assert_type(names(), dict[str, t.Any])
