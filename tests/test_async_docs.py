"""The examples of `docs/async.md` and `docs/templates.md` do what is said of them."""

from __future__ import annotations

import re
import typing as t
from collections.abc import AsyncIterator
from pathlib import Path

import anyio.lowlevel
import pytest
from jinja2 import DictLoader

from asyncflask import Flask, session

DOCS = Path(__file__).parents[1] / "docs"


def examples(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_all_examples_are_looked_at() -> None:
    assert len(examples("async.md", "python")) == 3
    assert len(examples("templates.md", "python")) == 2


class Store:
    """What the sessions of the example are stored in."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, t.Any]] = {}

    async def get(self, key: str) -> dict[str, t.Any] | None:
        await anyio.lowlevel.checkpoint()
        return self.kept.get(key)

    async def replace(self, old: str | None, new: str, value: dict[str, t.Any]) -> None:
        await anyio.lowlevel.checkpoint()
        self.kept.pop(old or "", None)
        self.kept[new] = value


@pytest.mark.anyio
async def test_classes_and_sessions() -> None:
    names: dict[str, t.Any] = {"__name__": "page"}
    for example in examples("async.md", "python")[:2]:
        exec(example, names)
    app: Flask = names["app"]
    store = Store()
    app.session_interface = names["StoreInterface"](store)

    @app.get("/count")
    def count() -> str:
        session["count"] = session.get("count", 0) + 1
        return str(session["count"])

    async with app.async_client() as client:
        assert (await client.get("/hello/ada")).text == "Hello, ada!"
        assert (await client.get("/items")).json() == ["tea"]
        assert (await client.post("/items")).status_code == 201
        assert store.kept == {}
        assert [(await client.get("/count")).text for _ in range(3)] == ["1", "2", "3"]
    assert [*store.kept.values()] == [{"count": 3}]


def test_commands() -> None:
    async def fetch_greeting(name: str) -> str:
        await anyio.lowlevel.checkpoint()
        return f"Hello, {name}!"

    app = Flask("page")
    exec(examples("async.md", "python")[2], {"app": app, "fetch_greeting": fetch_greeting})
    assert app.test_cli_runner().invoke(args=["greet", "ada"]).output == "Hello, ada!\n"


@pytest.mark.anyio
async def test_templates_that_await() -> None:
    async def fetch_orders() -> AsyncIterator[dict[str, str]]:
        for product in ("tea", "<cup>"):
            await anyio.lowlevel.checkpoint()
            yield {"product": product}

    async def price_of(product: str) -> float:
        await anyio.lowlevel.checkpoint()
        return len(product)

    names: dict[str, t.Any] = {
        "__name__": "page",
        "fetch_orders": fetch_orders,
        "price_of": price_of,
    }
    exec(examples("templates.md", "python")[0], names)
    app: Flask = names["app"]
    app.jinja_env.loader = DictLoader({"orders.html": examples("templates.md", "html")[0]})
    async with app.async_client() as client:
        for path in ("/orders", "/report"):
            text = (await client.get(path)).text
            assert "<li>1/2: tea 3.00</li>" in text
            assert "<li>2/2: &lt;cup&gt; 5.00</li>" in text


def test_fragments() -> None:
    names: dict[str, t.Any] = {"__name__": "page"}
    exec(examples("templates.md", "python")[1], names)
    app: Flask = names["app"]
    app.jinja_env.loader = DictLoader(
        {
            "todo.html": examples("templates.md", "html")[1],
            "layout.html": "<title>To do</title>{% block content %}{% endblock %}",
            "macros.html": "{% macro row(item) %}<li>{{ item }}</li>{% endmacro %}",
        }
    )
    client = app.test_client()
    items = "<li>buy tea</li><li>drink it</li>"
    assert f'<ul id="items">{items}</ul>' in client.get("/").text
    added = client.post("/items", data={"item": "<more>"}, headers={"HX-Request": "true"})
    assert added.text == items + "<li>&lt;more&gt;</li>"
    page = client.post("/items", data={"item": "last"}).text
    assert page.startswith("<title>")
