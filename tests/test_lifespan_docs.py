"""The examples of `docs/lifespan.md` and `docs/background.md` do what is said of them."""

from __future__ import annotations

import re
import sys
import typing as t

import anyio
import pytest

from asyncflask import Flask
from asyncflask.defaults import OWN

from .documented import Page

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)

PAGE = Page("lifespan", "background")
example = PAGE.example


async def until(condition: t.Callable[[], t.Any]) -> None:
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110 (plain functions decide)
            await anyio.sleep(0.001)


def test_all_examples_are_named() -> None:
    names = ["shop", "weather", "test_shop", "orders", "reported", "poller"]
    assert PAGE.names == names
    assert PAGE.text.count("```python") == len(names)


async def test_the_shop_and_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = example("shop")
    monkeypatch.setitem(sys.modules, "shop", shop)
    await example("test_shop").test_product()
    assert shop.app.state.greeting == "Product 1"


async def test_the_weather() -> None:
    app: Flask = example("weather").app
    async with app.async_client() as client:
        assert (await client.get("/")).json() == {"ready": True}
    assert app.state.client.is_closed


async def test_orders_are_confirmed() -> None:
    app: Flask = example("orders").app
    async with app.async_client() as client:
        assert (await client.post("/orders/3")).status_code == 202
    assert app.state.sent == [3]


async def test_failures_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    module = example("reported")
    async with module.app.async_client() as client:
        assert (await client.post("/")).status_code == 202
        await until(lambda: module.reported)
    assert [text.partition("(")[0] for text in module.reported] == ["ValueError"]
    assert "Exception in the background task 'int'" in caplog.text


async def test_the_poller() -> None:
    app: Flask = example("poller").app
    async with app.async_client() as client:
        await until(lambda: app.state.polled)
        assert (await client.get("/health")).json() == [
            {"name": "poller", "status": "running", "restarts": 0, "error": None}
        ]


def test_settings_have_their_defaults() -> None:
    found = dict(re.findall(r"^\| `(BACKGROUND_\w+)` \| ([\d.,]+) \|", PAGE.text, re.MULTILINE))
    told = {name: float(value.replace(",", "")) for name, value in found.items()}
    assert told == {name: value for name, value in OWN.items() if name.startswith("BACKGROUND_")}
