"""The other service: three shops that tell their prices. It stands in for real ones, offline."""

from __future__ import annotations

import anyio

from asyncflask import Flask, abort, request

#: Cents for one piece, by shop and product.
PRICES = {
    "north": {"bread": 310, "cheese": 540, "tea": 420},
    "south": {"bread": 290, "tea": 455},
    "west": {"bread": 335, "cheese": 495, "tea": 399},
}


def create_app(delay: float = 0.2) -> Flask:
    """Make the service.

    :param delay: seconds that every answer takes.
    """
    app = Flask(__name__)

    @app.get("/<any(north, south, west):shop>/price")
    async def price(shop: str) -> dict[str, int]:
        """Answer what one piece of ``?product=`` costs; 404 if the shop does not sell it."""
        await anyio.sleep(delay)
        return {"cents": find(shop, request.args.get("product", ""))}

    @app.post("/<any(north, south, west):shop>/total")
    async def total(shop: str) -> dict[str, int]:
        """Answer what a basket costs; 404 if the shop does not sell all of it."""
        await anyio.sleep(delay)
        basket: dict[str, int] = request.get_json()
        return {"cents": sum(find(shop, product) * count for product, count in basket.items())}

    return app


def find(shop: str, product: str) -> int:
    """Return a price in cents.

    :raises NotFound: if the shop does not sell the product.
    """
    if product not in PRICES[shop]:
        abort(404)
    return PRICES[shop][product]
