"""One request and its time, as cheaply as httpx can.

The request is built once, and goes to the transport itself: an `httpx.AsyncClient` would build it
anew, look for cookies, redirects and credentials, and decode the body.
"""

from __future__ import annotations

import ssl
import typing as t
from collections.abc import Callable, Mapping
from time import perf_counter_ns

import anyio
import httpx

from .._version import __version__
from . import failures, openfiles
from .plan import Plan
from .record import Record

#: Makes what carries the requests of one connection.
Connect: t.TypeAlias = Callable[[], httpx.AsyncBaseTransport]

USER_AGENT = f"asyncflask-load/{__version__}"


class Sender(t.Protocol):
    """Sends one request after the other, or runs one scenario after the other."""

    async def send(self, record: Record, since: int) -> None:
        """Do it once, and record what came of it.

        :param since: when it was to start: what its duration counts from.
        """

    async def aclose(self) -> None:
        """Close the connection."""


def over_network(plan: Plan) -> Connect:
    """Return what makes connections: each a transport of its own.

    PERF: one pool for all, as httpx has it, looks through its connections with each request: 1,030
    us of the client's CPU time for each at 10 connections and 8,600 at 200, instead of 470 and 480.
    """
    openfiles.allow(plan.connections)
    # One for all: to read the certificates takes 20 ms, and httpx would for each.
    context = ssl.create_default_context()
    if plan.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # A plain sender never needs a second connection. A scenario may have two requests open.
    limits = httpx.Limits(max_connections=None if plan.scenario else 1)
    return lambda: httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)


def in_process(app: t.Any, state: Mapping[str, t.Any]) -> Connect:
    """Return what calls an ASGI app in this event loop.

    :param state: of the app's lifespan; each request gets a copy.
    """

    async def stateful(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await app(scope | {"state": dict(state)}, receive, send)

    return lambda: httpx.ASGITransport(stateful, raise_app_exceptions=False)


def request(plan: Plan) -> httpx.Request:
    """Return the request of a plan, to be sent any number of times."""
    defaults = {"Accept": "*/*", "User-Agent": USER_AGENT}
    given = {name.lower() for name, _ in plan.headers}
    headers = [pair for pair in defaults.items() if pair[0].lower() not in given]
    return httpx.Request(
        plan.method, plan.url, headers=[*headers, *plan.headers], content=plan.body or None
    )


class PlainSender:
    """Sends the request of a plan over a connection of its own.

    :param plan: the plan.
    :param connect: makes the transport.
    """

    def __init__(self, plan: Plan, connect: Connect) -> None:
        self._transport = connect()
        self._request = request(plan)
        self._timeout = plan.timeout
        self._sent = len(plan.body)

    async def send(self, record: Record, since: int) -> None:
        """Send the request and read the whole answer, or give it up after the timeout."""
        try:
            with anyio.fail_after(self._timeout):
                status, received = await self._exchange()
        except Exception as error:
            kind = failures.kind(error)
            waited = kind == failures.TIMEOUT
            record.fail(since, perf_counter_ns(), kind, self._example(error), waited=waited)
        else:
            record.answer(since, perf_counter_ns(), status, received, self._sent)

    async def _exchange(self) -> tuple[int, int]:
        response = await self._transport.handle_async_request(self._request)
        stream = t.cast("httpx.AsyncByteStream", response.stream)
        received = 0
        try:
            async for chunk in stream:  # as it came: not decoded
                received += len(chunk)
        finally:
            await stream.aclose()
        return response.status_code, received

    def _example(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no complete answer within {self._timeout:g} s"
        return failures.example(error)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._transport.aclose()
