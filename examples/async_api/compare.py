"""A JSON API that asks three shops at once and tells where things are cheapest."""

from __future__ import annotations

import typing as t

import anyio
import httpx
import shops
from starlette.types import Message, Receive, Scope, Send
from werkzeug.exceptions import HTTPException

from asyncflask import Blueprint, Flask, abort, current_app, request
from asyncflask.typing import ResponseReturnValue

SHOPS = ("north", "south", "west")
MOST = 99  # pieces of one product in a basket

Cents = dict[str, int]  # by shop

bp = Blueprint("compare", __name__)


def create_app(
    test_config: t.Mapping[str, t.Any] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Flask:
    """Make the app.

    :param test_config: settings that win over the defaults and the environment.
    :param transport: how the shops are reached. By default over the network at `SHOPS_URL`
        (``COMPARE_SHOPS_URL`` in the environment), or in this process if that is not set.
    """
    app = Flask(__name__)
    app.config.update(DEADLINE=2.0, SHOPS_URL=None)  # seconds that one shop gets to answer
    app.config.from_prefixed_env("COMPARE")
    app.config.update(test_config or {})
    app.register_blueprint(bp)
    keep_client(app, transport)
    return app


def keep_client(app: Flask, transport: httpx.AsyncBaseTransport | None) -> None:
    """Open one client, with one pool of connections, when the app starts; close it at the end.

    That is ASGI middleware: the server's ``lifespan`` scope lasts from start-up to shutdown.
    """
    serve = app.asgi_app

    async def asgi_app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return await serve(scope, receive, send)
        url = app.config["SHOPS_URL"]
        way = transport or (None if url else httpx.ASGITransport(shops.create_app()))
        client = httpx.AsyncClient(base_url=url or "http://shops", transport=way)
        app.extensions["shops"] = client

        async def receive_and_close() -> Message:
            # Now, and not after `serve`: its last message lets the server end the process.
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await client.aclose()
            return message

        await serve(scope, receive_and_close, send)

    app.asgi_app = asgi_app  # type: ignore[method-assign]


async def ask(shop: str, method: str, path: str, **content: t.Any) -> int | None:
    """Return the cents that a shop asks for, or None if it does not sell that.

    :raises httpx.HTTPError: if the shop cannot be reached or does not answer as it should.
    :raises TimeoutError: if it does not answer within `DEADLINE`. The timeouts of httpx bound
        single waits, for a connection or for the next bytes; this bounds their sum.
    """
    client: httpx.AsyncClient = current_app.extensions["shops"]
    with anyio.fail_after(current_app.config["DEADLINE"]):
        response = await client.request(method, f"/{shop}/{path}", **content)
    if response.status_code == httpx.codes.NOT_FOUND:
        return None
    response.raise_for_status()
    try:
        return int(response.json()["cents"])
    except (KeyError, TypeError, ValueError) as error:
        raise httpx.DecodingError(f"{shop} sent no price", request=response.request) from error


async def ask_all(method: str, path: str, **content: t.Any) -> tuple[Cents, list[str]]:
    """Ask all shops at once; return who sells it for how much, and who did not answer.

    It takes as long as the slowest shop, not as all of them together.

    :raises httpx.HTTPError: or `TimeoutError`, as `ask` does, if no shop answered.
    """
    answers: dict[str, int | None] = {}
    failures: dict[str, Exception] = {}

    async def visit(shop: str) -> None:
        # Caught here, since one exception that leaves a task group cancels all its other tasks.
        try:
            answers[shop] = await ask(shop, method, path, **content)
        except (httpx.HTTPError, TimeoutError) as error:
            current_app.logger.warning("%s: %r", shop, error)
            failures[shop] = error

    async with anyio.create_task_group() as group:
        for shop in SHOPS:
            group.start_soon(visit, shop)
    if not answers:
        raise next(iter(failures.values()))
    return {shop: cents for shop, cents in answers.items() if cents is not None}, sorted(failures)


def offers(found: tuple[Cents, list[str]]) -> dict[str, t.Any]:
    """Return what `ask_all` found as a JSON object, the cheapest offer first."""
    cents, silent = found
    ranked = sorted(cents, key=lambda shop: (cents[shop], shop))
    return {
        "offers": [{"shop": shop, "cents": cents[shop]} for shop in ranked],
        "no_answer": silent,
    }


@bp.get("/prices/<product>")
async def prices(product: str) -> dict[str, t.Any]:
    """Compare what one piece of a product costs."""
    return offers(await ask_all("GET", "price", params={"product": product}))


@bp.get("/shops/<any(north, south, west):shop>/prices/<product>")
async def price(shop: str, product: str) -> dict[str, t.Any]:
    """Tell what one piece of a product costs in one shop."""
    cents = await ask(shop, "GET", "price", params={"product": product})
    if cents is None:
        abort(404, f"{shop} does not sell {product}.")
    return {"shop": shop, "cents": cents}


@bp.post("/baskets")
async def baskets() -> dict[str, t.Any]:
    """Compare what a basket costs in the shops that sell all of it."""
    return offers(await ask_all("POST", "total", json=read_basket()))


def read_basket() -> dict[str, int]:
    """Return the basket that was sent: ``{"tea": 2, "bread": 1}``.

    A plain function, called from an ``async def`` view: the body is there without an ``await``.

    :raises HTTPException: 400 or 415 if it is no JSON, 422 if it is no basket.
    """
    basket = request.get_json()
    if not isinstance(basket, dict) or not basket:
        abort(422, 'Send an object of products and numbers, as in {"tea": 2}.')
    for product, count in basket.items():
        if type(count) is not int or not 1 <= count <= MOST:
            abort(422, f"{product}: expected a whole number from 1 to {MOST}, got {count!r}.")
    return basket


@bp.app_errorhandler(httpx.HTTPError)
async def bad_gateway(error: httpx.HTTPError) -> ResponseReturnValue:
    """A shop is down or talks nonsense: 502, since it is not the client's fault."""
    return {"error": "A shop did not answer as it should."}, 502


@bp.app_errorhandler(httpx.TimeoutException)
@bp.app_errorhandler(TimeoutError)
async def gateway_timeout(error: Exception) -> ResponseReturnValue:
    """A shop is too slow: 504."""
    return {"error": "A shop took too long to answer."}, 504


@bp.app_errorhandler(HTTPException)
async def http_error(error: HTTPException) -> ResponseReturnValue:
    """Every other error, as JSON too."""
    return {"error": error.description}, error.code or 500
