"""The synchronous test client: werkzeug's, taught about the app's config, contexts and sessions."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from copy import copy
from functools import cache
from importlib.metadata import version
from types import TracebackType
from urllib.parse import SplitResult, quote, urlsplit

import httpx
import werkzeug.test
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse
from werkzeug.wrappers import Request as BaseRequest

from ..drivers import ThreadDriver, drive
from ..mounts import ENVIRON_STATE
from ..sessions import SessionMixin
from .handshake import handshake
from .session import open_session, store_session
from .sse import EVENT_STREAM, Events, iter_sse
from .transport import ASGITransport
from .websocket import AsyncWebSocket, WebSocket

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: The environ key under which the app finds the function that takes a context to keep.
PRESERVE_CONTEXT = "werkzeug.debug.preserve_context"


@cache
def _user_agent() -> str:
    return f"Werkzeug/{version('werkzeug')}"


class EnvironBuilder(werkzeug.test.EnvironBuilder):
    """Builds a WSGI environ, with the app's configuration as its defaults.

    :param app: the app whose configuration fills the gaps.
    :param path: what is requested: a path, with a query string if you like, or a whole URL.
    :param base_url: scheme, host and root path under which the app is served. By default it is
        made of `url_scheme`, `subdomain`, `SERVER_NAME` and `APPLICATION_ROOT`.
    :param subdomain: put in front of `SERVER_NAME`.
    :param url_scheme: "http" or "https"; by default `PREFERRED_URL_SCHEME`.
    :param args: further positional arguments of `werkzeug.test.EnvironBuilder`.
    :param kwargs: further keyword arguments of it; `json` is dumped by the app's JSON provider.
    :raises AssertionError: if `base_url` comes together with one of its parts.
    """

    def __init__(
        self,
        app: t.Any,
        path: str = "/",
        base_url: str | None = None,
        subdomain: str | None = None,
        url_scheme: str | None = None,
        *args: t.Any,
        **kwargs: t.Any,
    ) -> None:
        if base_url is not None and (subdomain or url_scheme):
            raise AssertionError(
                "'base_url' already names scheme and host: pass it alone, or leave it out and"
                " pass 'subdomain' or 'url_scheme'."
            )
        if base_url is None:
            url = urlsplit(path)
            base_url = _base_url(app.config, url, subdomain, url_scheme)
            path = f"{url.path}?{url.query}" if url.query else url.path
        self.app = app
        super().__init__(path, base_url, *args, **kwargs)

    def json_dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        """Return `obj` as JSON, written by the app's own JSON provider."""
        text: str = self.app.json.dumps(obj, **kwargs)
        return text


def _base_url(
    config: t.Mapping[str, t.Any], url: SplitResult, subdomain: str | None, scheme: str | None
) -> str:
    host = config.get("SERVER_NAME") or "localhost"
    if subdomain:
        host = f"{subdomain}.{host}"
    scheme = url.scheme or (config["PREFERRED_URL_SCHEME"] if scheme is None else scheme)
    root = config["APPLICATION_ROOT"].lstrip("/")
    return f"{scheme}://{url.netloc or host}/{root}"


def _as_httpx(environ: WSGIEnvironment) -> httpx.Request:
    """Return the request that a WSGI environ describes, without its body and its root path."""
    request = BaseRequest(environ)
    path = quote(environ["PATH_INFO"].encode("latin-1"), safe="/~!$&'()*+,;=:@")
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers]
    query = quote(request.query_string, safe="%/?:@!$&'()*+,;=~[]")
    url = httpx.URL(f"{request.scheme}://{request.host}{path}{query and '?'}{query}")
    return httpx.Request("GET", url, headers=headers)


class FlaskClient(werkzeug.test.Client):
    """A `werkzeug.test.Client` for an app; made by ``app.test_client()``.

    In a ``with client:`` block the context of the latest request stays current after it, so that
    a test can look at `request`, `session` and `g`.

    `environ_base` holds what every request's environ starts from; change it as you like.
    `lifespan_state` is the state of the app's lifespan, if it was started (see `StartedApp`):
    websockets and mounted apps find it in their scope.
    """

    application: t.Any

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self.environ_base: dict[str, t.Any] = {
            "HTTP_USER_AGENT": _user_agent(),
            "REMOTE_ADDR": "127.0.0.1",
        }
        self.lifespan_state: Mapping[str, t.Any] | None = None
        self.preserve_context = False
        self._context_stack = ExitStack()
        self._new_contexts: list[AbstractContextManager[t.Any]] = []

    @contextmanager
    def session_transaction(self, *args: t.Any, **kwargs: t.Any) -> Iterator[SessionMixin]:
        """Open the session that this client's cookies carry, and store it back after the block.

        ::

            with client.session_transaction() as session:
                session["user_id"] = 1

        :param args: as for ``app.test_request_context()``: the request that the session belongs
            to, should the session interface look at it.
        :param kwargs: likewise.
        :raises TypeError: if the client was made with ``use_cookies=False``.
        :raises RuntimeError: if the app opens no session, mostly for want of a `SECRET_KEY`.
        """
        if self._cookies is None:
            raise TypeError(
                "Cookies are disabled. A session travels in a cookie: make the client with"
                " 'use_cookies=True'."
            )
        driver = ThreadDriver(self.application)
        ctx = self.application.test_request_context(*args, **kwargs)
        self._add_cookies_to_wsgi(ctx.request.environ)
        with ctx:
            session = drive(open_session(ctx, driver))
        yield session
        with ctx:
            cookies = drive(store_session(ctx, driver, session))
        host, _, _ = ctx.request.host.partition(":")
        self._update_cookies_from_response(host, ctx.request.path, cookies)

    def _copy_environ(self, other: WSGIEnvironment) -> WSGIEnvironment:
        environ = self.environ_base | other
        if self.lifespan_state is not None:
            environ[ENVIRON_STATE] = self.lifespan_state
        if self.preserve_context:
            environ[PRESERVE_CONTEXT] = self._new_contexts.append
        return environ

    def _request_from_builder_args(
        self, args: tuple[t.Any, ...], kwargs: dict[str, t.Any]
    ) -> BaseRequest:
        base = self._copy_environ(kwargs.pop("environ_base", {}))
        builder = EnvironBuilder(self.application, *args, environ_base=base, **kwargs)
        try:
            return builder.get_request()
        finally:
            builder.close()

    def _prepare(self, args: tuple[t.Any, ...], kwargs: dict[str, t.Any]) -> BaseRequest:
        """Turn what `open` was called with into a request that carries this client's environ."""
        given = args[0] if args else None
        if isinstance(given, BaseRequest):
            request = copy(given)
            request.environ = self._copy_environ(given.environ)
            return request
        if isinstance(given, dict):
            base = self._copy_environ({})
            made = EnvironBuilder.from_environ(given, app=self.application, environ_base=base)
            return made.get_request()
        if isinstance(given, werkzeug.test.EnvironBuilder):
            builder = copy(given)
            builder.environ_base = self._copy_environ(dict(given.environ_base or {}))
            return builder.get_request()
        return self._request_from_builder_args(args, kwargs)

    def open(
        self,
        *args: t.Any,
        buffered: bool = False,
        follow_redirects: bool = False,
        **kwargs: t.Any,
    ) -> TestResponse:
        """Make a request and return its response.

        :param args: a path, an environ, an environ builder or a request.
        :param buffered: whether to read the whole body at once, and close it.
        :param follow_redirects: whether to go on to where a redirect points.
        :param kwargs: the parameters of `EnvironBuilder`.
        """
        request = self._prepare(args, kwargs)
        # What an earlier request of the same block left behind ends before this one begins.
        self._context_stack.close()
        try:
            response = super().open(request, buffered=buffered, follow_redirects=follow_redirects)
            for context in self._new_contexts:
                self._context_stack.enter_context(context)
        finally:
            self._new_contexts.clear()
        response.json_module = self.application.json
        return response

    def websocket(
        self,
        *args: t.Any,
        subprotocols: Sequence[str] = (),
        denial_responses: bool = True,
        **kwargs: t.Any,
    ) -> WebSocket:
        """Return a websocket to the app, for ``with``.

        ::

            with client.websocket("/rooms/1", subprotocols=["chat"]) as ws:
                ws.send_json({"text": "hello"})
                assert ws.receive_json()["text"] == "hello"

        The client's cookies, and with them the session, go along, and cookies that the app sets
        with its acceptance or refusal are kept. The app runs on the process's background loop.

        :param args: as for `open`.
        :param subprotocols: what the client can speak, the best first.
        :param denial_responses: whether the "server" lets the app refuse with a response of its own
            (the ASGI extension ``websocket.http.response``); most do, and else it is a bare 403.
        :param kwargs: the parameters of `EnvironBuilder`.
        :raises httpx.LocalProtocolError: if a subprotocol cannot be sent.
        """
        environ = self._prepare(args, kwargs).environ
        self._add_cookies_to_wsgi(environ)
        request = handshake(_as_httpx(environ), subprotocols, denial_responses)
        transport = ASGITransport(
            self.application,
            root_path=environ["SCRIPT_NAME"].rstrip("/"),
            client=(environ["REMOTE_ADDR"], int(environ.get("REMOTE_PORT", 123))),
            lifespan=False,
            state=self.lifespan_state,
        )

        async def opening() -> httpx.Response:
            response = await transport.handle_async_request(request)
            response.request = request
            cookies = response.headers.get_list("Set-Cookie")
            self._update_cookies_from_response(request.url.host, request.url.path, cookies)
            return response

        return WebSocket(AsyncWebSocket(opening, self.application.json))

    @contextmanager
    def sse(
        self, *args: t.Any, last_event_id: str | None = None, **kwargs: t.Any
    ) -> Iterator[Events]:
        """Open a stream of server-sent events, as a browser's ``EventSource`` does.

        ::

            with client.sse("/events") as events:
                assert next(events).json() == {"number": 1}

        The end of the block is a disconnect. To reconnect, open another with the last event's `id`.

        :param args: as for `open`.
        :param last_event_id: sent as ``Last-Event-ID``.
        :param kwargs: the parameters of `EnvironBuilder`.
        :raises ValueError: if the answer is no stream of events.
        """
        headers = Headers(EVENT_STREAM)
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        headers.update(kwargs.pop("headers", None) or {})
        with closing(self.open(*args, headers=headers, **kwargs)) as response:
            yield iter_sse(response)

    def __enter__(self) -> t.Self:
        if self.preserve_context:
            raise RuntimeError(
                "Cannot nest client invocations: this client is in a 'with' block already. Use a"
                " second client for the inner block."
            )
        self.preserve_context = True
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.preserve_context = False
        self._context_stack.close()
