"""The examples of `docs/streaming.md` do what is said of them."""

from __future__ import annotations

import hashlib
import json
import re
import types
import typing as t

import httpx
import pytest

from asyncflask import defaults

from .documented import Page
from .played import Played, part

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)

PAGE = Page("streaming")
example = PAGE.example


def test_all_examples_are_named() -> None:
    names = ["report", "proxy", "orders", "hints", "trailers", "search"]
    assert PAGE.names == names
    PAGE.assert_all_are_named()


def test_the_settings_are_those_of_the_code() -> None:
    row = re.search(r"^\| `BODY_TIMEOUT` \| (\d+) \|", PAGE.text, re.MULTILINE)
    assert row is not None
    assert int(row[1]) == defaults.OWN["BODY_TIMEOUT"]


async def test_the_report() -> None:
    async with example("report").app.async_client() as client:
        response = await client.get("/report.csv?rows=2")
    assert response.text == "number,square\n0,0\n1,1\n"
    assert response.headers["content-type"] == "text/csv; charset=utf-8"


async def test_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = example("proxy")

    def answer(asked: httpx.Request) -> httpx.Response:
        if asked.url.path == "/down":
            raise httpx.ConnectError("refused")
        return httpx.Response(203, content=b"data", headers={"Content-Type": "text/csv"})

    class Client(httpx.AsyncClient):
        def __init__(self, **options: t.Any) -> None:
            super().__init__(transport=httpx.MockTransport(answer), **options)

    monkeypatch.setattr(
        proxy,
        "httpx",
        types.SimpleNamespace(AsyncClient=Client, ConnectError=httpx.ConnectError),
    )
    played = await Played(part(b"")).play(proxy.app, "/proxy/data")
    assert (played.status, played.body) == (203, b"data")
    assert played.headers[b"content-type"] == b"text/csv"
    played = await Played(part(b"")).play(proxy.app, "/proxy/down")
    assert (played.status, played.body) == (502, b"The upstream is down.")


async def test_the_orders() -> None:
    orders = example("orders").app
    async with orders.async_client() as client:
        response = await client.get("/orders.ndjson")
    assert [json.loads(line) for line in response.text.splitlines()] == orders.config["ORDERS"]


@pytest.mark.parametrize("path", ["/", "/sync"])
async def test_the_hints(path: str) -> None:
    app = example("hints").app
    offered = ["http.response.early_hint"]
    played = await Played(part(b"")).play(app, path, extensions=offered)
    assert played.sent[0]["links"] == [b"</style.css>; rel=preload; as=style"]
    assert played.sent[1]["status"] == 200
    await app._budgets.close()


async def test_the_trailers() -> None:
    app = example("trailers").app
    offered = ["http.response.trailers"]
    played = await Played(part(b"")).play(
        app, "/data", headers=[(b"te", b"trailers")], extensions=offered
    )
    digest = hashlib.sha256(b"0,1,2,").hexdigest().encode()
    assert played.sent[-1]["headers"] == [(b"x-sha256", digest)]
    assert played.headers[b"trailer"] == b"X-SHA256"


async def test_the_search() -> None:
    app = example("search").app
    assert (await Played(part(b"")).play(app, "/search")).body == b'{"found":[]}\n'
    assert (await Played(part(b"")).play(app, "/count")).body == b'{"count":100}\n'
    gone = Played(part(b""))
    gone.gone.set()
    assert (await gone.play(app, "/search")).sent == []
    gone = Played(part(b""))
    gone.gone.set()
    assert (await gone.play(app, "/count")).status == 499
    await app._budgets.close()
