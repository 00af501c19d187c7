"""All that a view may return, from plain functions and from coroutines."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator, Iterable, Iterator
from http import HTTPStatus
from wsgiref.types import StartResponse, WSGIEnvironment

from starlette.responses import PlainTextResponse
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as BaseResponse

from asyncflask import (
    Flask,
    Response,
    jsonify,
    make_response,
    redirect,
    render_template,
    render_template_async,
    send_file,
    stream_template,
    stream_template_async,
    stream_with_context,
)
from asyncflask.typing import ASGIApplication, ResponseReturnValue

app = Flask(__name__)


class Book(t.TypedDict):
    title: str
    pages: int


class Shelf(Response):
    """A response class of the app's own."""


@app.get("/str")
def text() -> str:
    return "text"


@app.get("/bytes")
def data() -> bytes:
    return b"data"


@app.get("/dict")
def mapping() -> dict[str, int]:
    return {"pages": 3}


@app.get("/typed-dict")
def typed_mapping() -> Book:
    return {"title": "Emma", "pages": 474}


@app.get("/list")
def sequence() -> list[Book]:
    return [{"title": "Emma", "pages": 474}]


@app.get("/jsonify")
def as_json() -> Response:
    return jsonify(title="Emma")


@app.get("/none-or-text/<int:number>")
def chosen(number: int) -> ResponseReturnValue:
    if number < 0:
        return {"error": "too small"}, 400
    return ("ok", HTTPStatus.CREATED) if number else redirect("/")


@app.get("/text-status")
def with_status() -> tuple[str, int]:
    return "gone", 410


@app.get("/dict-status")
def mapping_with_status() -> tuple[dict[str, str], int]:
    return {"error": "gone"}, 410


@app.get("/text-headers")
def with_headers() -> tuple[str, dict[str, str]]:
    return "text", {"X-Part": "1"}


@app.get("/text-status-pairs")
def with_pairs() -> tuple[str, int, list[tuple[str, str]]]:
    return "text", 200, [("X-Part", "1"), ("X-Part", "2")]


@app.get("/text-status-headers")
def with_header_object() -> tuple[str, int, Headers]:
    return "text", 200, Headers({"X-Part": "1"})


@app.get("/response")
def own_response() -> Shelf:
    return Shelf("text", status=HTTPStatus.ACCEPTED)


@app.get("/response-tuple")
def response_in_tuple() -> tuple[Response, int]:
    return make_response("text"), 202


@app.get("/werkzeug")
def base_response() -> BaseResponse:
    return redirect("/elsewhere", code=303)


@app.get("/generator")
def generated() -> Iterator[str]:
    yield "part"


@app.get("/bytes-generator")
def generated_bytes() -> Iterator[bytes]:
    yield b"part"


@app.get("/file")
def file() -> Response:
    return send_file("book.pdf", as_attachment=True, max_age=60)


@app.get("/template")
def template() -> str:
    return render_template("book.html", title="Emma")


@app.get("/template-stream")
def template_stream() -> Iterator[str]:
    return stream_template(["book.html", "page.html"], title="Emma")


@app.get("/with-context")
def context_kept() -> Iterator[str]:
    return stream_with_context(generated())


@app.get("/wsgi")
def wsgi() -> t.Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    return BaseResponse("text")


@app.get("/async/str")
async def async_text() -> str:
    return "text"


@app.get("/async/dict-status")
async def async_tuple() -> tuple[dict[str, t.Any], int]:
    return {"title": "Emma", "pages": None}, 201


@app.get("/async/any")
async def async_chosen() -> ResponseReturnValue:
    return "text", 200, {"X-Part": ["1", "2"]}


@app.get("/async/template")
async def async_template() -> str:
    return await render_template_async("book.html", title="Emma")


@app.get("/async/template-stream")
async def async_template_stream() -> AsyncIterator[str]:
    return stream_template_async("book.html")


@app.get("/async/generator")
async def async_generated() -> AsyncIterator[bytes]:
    yield b"part"


@app.get("/async/asgi")
async def asgi() -> ASGIApplication:
    return PlainTextResponse("text")


app.add_url_rule("/added", view_func=text, methods=["GET", "POST"])
app.add_url_rule("/async/added", "added", async_text, provide_automatic_options=False)

t.assert_type(make_response("text", 200), Response)
