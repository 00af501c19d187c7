from __future__ import annotations

import socket
import typing as t
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
import shops
from compare import create_app

from asyncflask import Flask, Response, request

from ..conftest import Live

NORTH_HAS_TEA = {"shop": "north", "cents": 420}
TEA = [{"shop": "west", "cents": 399}, NORTH_HAS_TEA, {"shop": "south", "cents": 455}]


@asynccontextmanager
async def comparing(service: Flask, **settings: t.Any) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of an app that asks `service` for prices."""
    app = create_app({"TESTING": True, **settings}, transport=httpx.ASGITransport(service))
    async with app.async_client() as client:
        yield client


def broken_shops(south: t.Callable[[], t.Awaitable[t.Any]]) -> Flask:
    """Return the shops with trouble in one of them."""
    service = shops.create_app(delay=0)

    @service.before_request
    async def trouble() -> t.Any:
        return await south() if request.path.startswith("/south") else None

    return service


async def silent() -> None:
    await anyio.sleep_forever()


async def failing() -> Response:
    return Response(status=500)


async def babbling() -> str:
    return "not JSON"


async def test_prices_cheapest_first() -> None:
    async with comparing(shops.create_app(delay=0)) as client:
        response = await client.get("/prices/tea")
        assert response.json() == {"offers": TEA, "no_answer": []}
        response = await client.get("/prices/cheese")
        assert [offer["shop"] for offer in response.json()["offers"]] == ["west", "north"]
        response = await client.get("/prices/caviar")
        assert response.json() == {"offers": [], "no_answer": []}


async def test_product_is_never_a_path() -> None:
    async with comparing(shops.create_app(delay=0)) as client:
        response = await client.get("/shops/north/prices/..%3Fproduct=tea")
        assert response.status_code == 404


async def test_one_price() -> None:
    async with comparing(shops.create_app(delay=0)) as client:
        assert (await client.get("/shops/north/prices/tea")).json() == NORTH_HAS_TEA
        response = await client.get("/shops/south/prices/cheese")
        assert response.status_code == 404
        assert response.json() == {"error": "south does not sell cheese."}
        assert (await client.get("/shops/east/prices/tea")).status_code == 404


async def test_basket() -> None:
    async with comparing(shops.create_app(delay=0)) as client:
        response = await client.post("/baskets", json={"tea": 2, "cheese": 1})
        assert response.json() == {
            "offers": [{"shop": "west", "cents": 1293}, {"shop": "north", "cents": 1380}],
            "no_answer": [],
        }


@pytest.mark.parametrize(
    "basket", [{}, [], "tea", {"tea": 0}, {"tea": 100}, {"tea": True}, {"tea": 1.5}]
)
async def test_no_basket(basket: t.Any) -> None:
    async with comparing(shops.create_app(delay=0)) as client:
        response = await client.post("/baskets", json=basket)
        assert response.status_code == 422
        assert response.json()["error"]


async def test_no_json() -> None:
    async with comparing(shops.create_app(delay=0)) as client:
        response = await client.post("/baskets", content="tea")
        assert response.status_code == 415
        assert "error" in response.json()
        headers = {"Content-Type": "application/json"}
        response = await client.post("/baskets", content="{", headers=headers)
        assert response.status_code == 400
        assert "error" in response.json()


@pytest.mark.parametrize(("south", "status"), [(failing, 502), (babbling, 502), (silent, 504)])
async def test_one_shop_in_trouble(south: t.Callable[[], t.Awaitable[t.Any]], status: int) -> None:
    async with comparing(broken_shops(south), DEADLINE=0.05) as client:
        response = await client.get("/shops/south/prices/tea")
        assert response.status_code == status
        assert "A shop" in response.json()["error"]

        response = await client.get("/prices/tea")
        assert response.status_code == 200
        assert response.json() == {"offers": TEA[:2], "no_answer": ["south"]}


async def test_all_shops_in_trouble() -> None:
    service = Flask("service")

    @service.route("/<path:path>")
    async def crash(path: str) -> Response:
        return Response(status=503)

    async with comparing(service) as client:
        assert (await client.get("/prices/tea")).status_code == 502


async def test_shops_are_asked_at_once() -> None:
    """Each shop answers only once all three have been asked."""
    asked: set[str] = set()
    all_asked = anyio.Event()
    service = shops.create_app(delay=0)

    @service.url_value_preprocessor
    def note(endpoint: str | None, values: dict[str, t.Any] | None) -> None:
        asked.update(values.values() if values else ())

    @service.before_request
    async def wait_for_the_others() -> None:
        if len(asked) == 3:
            all_asked.set()
        await all_asked.wait()

    async with comparing(service) as client:
        response = await client.get("/prices/tea")
        assert response.json() == {"offers": TEA, "no_answer": []}


async def test_the_client_is_closed_with_the_app() -> None:
    app = create_app({"TESTING": True})
    async with app.async_client():
        client: httpx.AsyncClient = app.extensions["shops"]
        assert not client.is_closed
    assert client.is_closed


def test_over_servers(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPARE_SHOPS_URL", live(shops.create_app(delay=0)).url)
    with httpx.Client(base_url=live(create_app()).url, timeout=30) as client:
        assert client.get("/prices/tea").json() == {"offers": TEA, "no_answer": []}
        response = client.post("/baskets", json={"bread": 1})
        assert response.json()["offers"][0] == {"shop": "south", "cents": 290}


def test_shops_that_are_closed(live: Live) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    # Nobody listens there any more: the connection is refused.
    with httpx.Client(base_url=live(create_app({"SHOPS_URL": url})).url, timeout=30) as client:
        response = client.get("/prices/tea")
        assert response.status_code == 502
        assert response.json() == {"error": "A shop did not answer as it should."}
