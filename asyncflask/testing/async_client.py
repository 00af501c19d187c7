"""The asynchronous test client."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing

import httpx
from httpx import USE_CLIENT_DEFAULT
from starlette.types import ASGIApp

from ..drivers import LoopDriver
from ..sessions import SessionMixin
from .handshake import handshake
from .session import open_session, store_session
from .sse import EVENT_STREAM, AsyncEvents, aiter_sse
from .transport import DISCONNECT_GRACE, ASGITransport
from .websocket import AsyncWebSocket, json_of


class AsyncClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` that calls an app in the same event loop; on asyncio and on trio.

    ::

        async with app.async_client() as client:
            response = await client.post("/login", json={"name": "ada"})
            assert response.status_code == 200

    The ``async with`` block is the app's lifespan: it is started before the block and shut down
    after it. A client that is used without the block makes requests all the same, to an app that
    was never started.

    :param app: the app, or any ASGI app.
    :param raise_app_exceptions: whether what the app raises (with ``TESTING``, all that its views
        raise) comes out of the request; if not, the client sees what a server would show.
    :param root_path: the path under which the app is mounted.
    :param client: host and port of the client, for ``request.remote_addr``.
    :param extensions: ASGI extensions that the "server" offers, name to options.
    :param lifespan: whether ``async with`` runs the app's lifespan.
    :param state: the lifespan's state, if the app was started elsewhere: see `StartedApp`.
    :param disconnect_grace: seconds that the app gets to notice that a response was closed early,
        before it is cancelled.
    :param base_url: what relative URLs are relative to.
    :param timeout: seconds, or an `httpx.Timeout`; its read timeout bounds the wait for the app.
        None for as long as it takes, so that a debugger can be used in a test.
    :param kwargs: the other parameters of `httpx.AsyncClient`.
    :raises LifespanError: at the start or the end of the block, if the app fails to start or to
        shut down.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        raise_app_exceptions: bool = True,
        root_path: str = "",
        client: tuple[str, int] = ("127.0.0.1", 123),
        extensions: Mapping[str, t.Any] | None = None,
        lifespan: bool = True,
        state: Mapping[str, t.Any] | None = None,
        disconnect_grace: float = DISCONNECT_GRACE,
        base_url: httpx.URL | str = "http://localhost",
        timeout: float | httpx.Timeout | None = None,
        **kwargs: t.Any,
    ) -> None:
        transport = ASGITransport(
            app,
            raise_app_exceptions=raise_app_exceptions,
            root_path=root_path,
            client=client,
            extensions=extensions,
            lifespan=lifespan,
            state=state,
            disconnect_grace=disconnect_grace,
        )
        super().__init__(transport=transport, base_url=base_url, timeout=timeout, **kwargs)
        self.app = app

    def websocket(
        self,
        url: httpx.URL | str,
        *,
        subprotocols: Sequence[str] = (),
        denial_responses: bool = True,
        auth: t.Any = USE_CLIENT_DEFAULT,
        timeout: t.Any = USE_CLIENT_DEFAULT,
        **kwargs: t.Any,
    ) -> AsyncWebSocket:
        """Return a websocket to the app, for ``async with``.

        ::

            async with client.websocket("/rooms/1", subprotocols=["chat"]) as ws:
                await ws.send_json({"text": "hello"})
                assert (await ws.receive_json())["text"] == "hello"

        The client's cookies and headers go along, and cookies that the app sets with its acceptance
        or refusal are kept.

        :param url: relative to `base_url`, or with one of the schemes ws, wss, http and https.
        :param subprotocols: what the client can speak, the best first.
        :param denial_responses: whether the "server" lets the app refuse with a response of its own
            (the ASGI extension ``websocket.http.response``); most do, and else it is a bare 403.
        :param auth: as for requests.
        :param timeout: likewise; its read timeout bounds the handshake, and each `receive` too.
        :param kwargs: `params`, `headers` and `cookies`, as for requests.
        :raises httpx.LocalProtocolError: if a subprotocol cannot be sent.
        """
        request = self.build_request("GET", url, timeout=timeout, **kwargs)
        handshake(request, subprotocols, denial_responses)

        async def opening() -> httpx.Response:
            return await self.send(request, stream=True, auth=auth, follow_redirects=False)

        return AsyncWebSocket(opening, json_of(self.app), request.extensions["timeout"]["read"])

    @asynccontextmanager
    async def session_transaction(
        self, url: httpx.URL | str = "/", **kwargs: t.Any
    ) -> AsyncIterator[SessionMixin]:
        """Open the session that this client's cookies carry, and store it back after the block.

        ::

            async with client.session_transaction() as session:
                session["user_id"] = 1

        :param url: of the request that the session belongs to, should its interface look at it.
        :param kwargs: more about it: `headers`, for instance.
        :raises RuntimeError: if the app opens no session, mostly for want of a `SECRET_KEY`.
        """
        app: t.Any = self.app
        request = self.build_request("GET", url, **kwargs)
        ctx = app.test_request_context(str(request.url), headers=request.headers.multi_items())
        with closing(LoopDriver(app)) as driver:
            async with ctx:
                session = await open_session(ctx, driver)
            yield session
            async with ctx:
                cookies = await store_session(ctx, driver, session)
        told = [("Set-Cookie", cookie) for cookie in cookies]
        self.cookies.extract_cookies(httpx.Response(200, headers=told, request=request))

    @asynccontextmanager
    async def sse(
        self, url: httpx.URL | str, *, last_event_id: str | None = None, **kwargs: t.Any
    ) -> AsyncIterator[AsyncEvents]:
        """Open a stream of server-sent events, as a browser's ``EventSource`` does.

        ::

            async with client.sse("/events") as events:
                event = await anext(events)
                assert event.json() == {"number": 1}

        The end of the block is a disconnect. To reconnect, open another with the last event's `id`.

        :param url: what to request.
        :param last_event_id: sent as ``Last-Event-ID``.
        :param kwargs: as for `stream`; `method` is GET unless given.
        :raises ValueError: if the answer is no stream of events.
        """
        headers = httpx.Headers(EVENT_STREAM)
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        headers.update(kwargs.pop("headers", None))
        method = kwargs.pop("method", "GET")
        async with self.stream(method, url, headers=headers, **kwargs) as response:
            yield aiter_sse(response)
