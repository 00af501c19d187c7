"""The examples of `docs/sse.md` do what is said of them."""

from __future__ import annotations

import sys

import pytest

from asyncflask import Flask
from asyncflask.testing.sse import ReceivedEvent, aiter_sse

from .documented import Page

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)

PAGE = Page("sse")
example = PAGE.example


async def received(app: Flask, path: str, last_id: str | None = None) -> ReceivedEvent:
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    async with (
        app.async_client() as client,
        client.stream("GET", path, headers=headers) as response,
    ):
        return await anext(aiter_sse(response))


def test_all_examples_are_named() -> None:
    assert PAGE.names == ["clock", "orders", "news", "test_news"]
    PAGE.assert_all_are_named()


async def test_the_clock_goes_on_where_it_was() -> None:
    app = example("clock").app
    assert await received(app, "/events") == ReceivedEvent("tick", '{"number": 1}', "1", None)
    assert (await received(app, "/events", "41")).json() == {"number": 42}


async def test_orders_are_told_once() -> None:
    app = example("orders").app
    assert await received(app, "/orders") == ReceivedEvent("message", "tea", "0", None)
    assert await received(app, "/orders", "0") == ReceivedEvent("message", "coffee", "1", None)


async def test_the_test_of_the_news(monkeypatch: pytest.MonkeyPatch) -> None:
    news = example("news")
    monkeypatch.setitem(sys.modules, "news", news)
    await example("test_news").test_news()
    assert news.listeners == set()


async def test_a_slow_listener_of_the_news_is_let_go() -> None:
    news = example("news")
    async with news.app.async_client() as client, client.stream("GET", "/news") as response:
        for number in range(150):
            assert (await client.post("/news", json=number)).status_code == 202
        assert news.listeners == set()
        numbers = [event.json() async for event in aiter_sse(response)]
    assert numbers == [*range(len(numbers))]
    assert len(numbers) < 150
