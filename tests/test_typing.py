"""Types: what the type checker has to accept. That it does is the better half of these tests."""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator, Iterator
from http import HTTPStatus

import flask.typing
import pytest
from starlette.responses import PlainTextResponse
from werkzeug.exceptions import BadRequest, NotFound

from asyncflask import Blueprint, Flask, Response
from asyncflask import typing as ft
from asyncflask.views import MethodView, View

app = Flask("typed", root_path="/")
app.secret_key = "key"
bp = Blueprint("typed", "typed", root_path="/")


# What views return


@app.get("/str")
def text() -> str:
    return "str"


@app.get("/bytes")
async def data() -> bytes:
    return b"bytes"


@app.get("/response")
def response() -> Response:
    return Response("response")


@app.get("/dict")
@app.post("/dict")
async def mapping() -> dict[str, t.Any]:
    return {"a": 1}


@app.get("/list")
def items() -> list[t.Any]:
    return [1]


class Status(t.TypedDict):
    ok: bool


@app.get("/typed-dict")
async def typed_dict() -> Status:
    return {"ok": True}


@app.get("/generator")
def generator() -> Generator[str, None, None]:
    yield "generator"


@app.get("/iterator")
def iterator() -> Iterator[bytes]:
    return iter([b"iterator"])


@app.get("/async-generator")
async def async_generator() -> AsyncGenerator[str, None]:
    yield "async generator"


@app.get("/async-iterator")
def async_iterator() -> AsyncIterator[bytes]:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"async iterator"

    return chunks()


@app.get("/tuple")
@app.get("/tuple/<int:code>")
def pair(code: int = 201) -> tuple[str, int]:
    return "tuple", code


@app.get("/tuple-enum")
async def pair_enum() -> tuple[str, HTTPStatus]:
    return "tuple", HTTPStatus.CREATED


@app.get("/headers")
def headers() -> tuple[str, dict[str, str]]:
    return "headers", {"X-A": "1"}


@app.get("/triple")
async def triple() -> tuple[dict[str, int], int, list[tuple[str, str]]]:
    return {"a": 1}, 202, [("X-A", "1")]


@app.get("/asgi")
async def asgi() -> PlainTextResponse:
    return PlainTextResponse("asgi")


@app.get("/awaitable")
def awaitable() -> Awaitable[str]:
    async def late() -> str:
        return "awaitable"

    return late()


# Decorators keep the types of what they decorate

kept_text: t.Callable[[], str] = text
kept_data: t.Callable[[], t.Coroutine[t.Any, t.Any, bytes]] = data
kept_pair: t.Callable[[int], tuple[str, int]] = pair


@app.before_request
def before() -> None: ...


@bp.before_app_request
@app.before_request
async def before_async() -> tuple[str, int] | None:
    return None


@bp.after_request
@app.after_request
def after(response: Response) -> Response:
    return response


@app.after_request
async def after_async(response: Response) -> Response:
    return response


@app.teardown_request
@app.teardown_appcontext
def teardown(error: BaseException | None) -> None: ...


@bp.teardown_app_request
@app.teardown_appcontext
async def teardown_async(error: BaseException | None) -> None: ...


@app.context_processor
def context() -> dict[str, t.Any]:
    return {}


@bp.app_context_processor
async def context_async() -> dict[str, t.Any]:
    return {}


@app.url_defaults
def defaults(endpoint: str, values: dict[str, t.Any]) -> None: ...


@app.url_value_preprocessor
def values(endpoint: str | None, values: dict[str, t.Any] | None) -> None: ...


@bp.app_url_value_preprocessor
async def values_async(endpoint: str | None, values: dict[str, t.Any] | None) -> None: ...


@app.errorhandler(400)
@app.errorhandler(HTTPStatus.BAD_REQUEST)
@app.errorhandler(BadRequest)
def bad_request(error: BadRequest) -> str:
    return ""


@bp.app_errorhandler(BadRequest)
@app.errorhandler(404)
async def bad_or_missing(error: BadRequest | NotFound) -> tuple[str, int]:
    return "", 400


@app.template_filter("shout")
def shout(value: str) -> str:
    return value.upper()


@app.template_test()
async def shouted(value: str) -> bool:
    return value.isupper()


@bp.app_template_global()
def now() -> float:
    return 0.0


@app.shell_context_processor
def shell() -> dict[str, t.Any]:
    return {}


class Page(View):
    def __init__(self, title: str) -> None:
        self.title = title

    def dispatch_request(self) -> str:
        return self.title


class Item(View):
    async def dispatch_request(self, id: int) -> dict[str, int]:
        return {"id": id}


class Items(MethodView):
    async def get(self) -> list[t.Any]:
        return []


app.add_url_rule("/page", view_func=Page.as_view("page", title="page"))
app.add_url_rule("/items/<int:id>", view_func=Item.as_view("item"))
app.add_url_rule("/items", view_func=Items.as_view("items_view"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/str", (200, "str")),
        ("/bytes", (200, "bytes")),
        ("/response", (200, "response")),
        ("/dict", (200, '{"a":1}\n')),
        ("/list", (200, "[1]\n")),
        ("/typed-dict", (200, '{"ok":true}\n')),
        ("/generator", (200, "generator")),
        ("/iterator", (200, "iterator")),
        ("/async-generator", (200, "async generator")),
        ("/async-iterator", (200, "async iterator")),
        ("/tuple", (201, "tuple")),
        ("/tuple/202", (202, "tuple")),
        ("/tuple-enum", (201, "tuple")),
        ("/headers", (200, "headers")),
        ("/triple", (202, '{"a":1}\n')),
        ("/asgi", (200, "asgi")),
        ("/awaitable", (200, "awaitable")),
        ("/page", (200, "page")),
        ("/items/7", (200, '{"id":7}\n')),
        ("/items", (200, "[]\n")),
    ],
)
def test_accepted_types_are_answered(path: str, expected: tuple[int, str]) -> None:
    with contextlib.closing(app.test_client().get(path)) as response:
        assert (response.status_code, response.text) == expected


def test_flask_s_names() -> None:
    theirs = {name for name in vars(flask.typing) if not name.startswith("_")}
    assert theirs - {"annotations", "cabc"} - set(vars(ft)) == set()


def test_types_resolve_at_run_time() -> None:
    assert t.get_type_hints(Flask.add_url_rule)["view_func"] == ft.RouteCallable | None
    assert t.get_type_hints(Flask.make_response)["rv"] == ft.ResponseReturnValue


def test_generic_alias() -> None:
    alias: t.Any = ft.AfterRequestCallable
    arguments = t.get_args(alias[Response])
    assert t.get_args(arguments[0]) == ([Response], Response)
