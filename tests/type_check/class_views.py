"""Class-based views, with plain and with `async def` methods."""

from __future__ import annotations

import typing as t

from asyncflask import Flask
from asyncflask.typing import ResponseReturnValue
from asyncflask.views import MethodView, View

app = Flask(__name__)


class Page(View):
    methods: t.ClassVar = ["GET", "POST"]
    init_every_request = False

    def __init__(self, template: str) -> None:
        self.template = template

    def dispatch_request(self, **values: t.Any) -> str:
        return self.template


class AsyncPage(View):
    async def dispatch_request(self) -> ResponseReturnValue:
        return "text", 200


class Book(MethodView):
    def get(self, number: int) -> dict[str, int]:
        return {"number": number}

    async def put(self, number: int) -> tuple[str, int]:
        return "changed", 200


app.add_url_rule("/", view_func=Page.as_view("page", "page.html"))
app.add_url_rule("/async", view_func=AsyncPage.as_view("async_page"))
app.add_url_rule("/books/<int:number>", view_func=Book.as_view("book"), methods=["GET", "PUT"])
