"""Websockets on apps and blueprints: the routes, and the hooks around their handlers."""

from __future__ import annotations

import typing as t
from collections import defaultdict
from collections.abc import Callable

from .. import typing as ft
from .setup import Scoped, setupmethod

T_websocket = t.TypeVar("T_websocket", bound=ft.WebsocketCallable)
T_before_websocket = t.TypeVar("T_before_websocket", bound=ft.BeforeRequestCallable)
T_after_websocket = t.TypeVar("T_after_websocket", bound=ft.AfterWebsocketCallable)
T_teardown = t.TypeVar("T_teardown", bound=ft.TeardownCallable)


class WebsocketRegistry:
    """The part of an app or a blueprint that knows its websockets."""

    if t.TYPE_CHECKING:

        def add_url_rule(
            self,
            rule: str,
            endpoint: str | None = None,
            view_func: t.Any = None,
            provide_automatic_options: bool | None = None,
            **options: t.Any,
        ) -> None:
            """Register a URL rule."""

        def _check_setup_finished(self, f_name: str) -> None: ...

    def __init__(self) -> None:
        #: Run before a websocket's handler, in order, the app's before the blueprint's.
        self.before_websocket_funcs: Scoped[list[ft.BeforeRequestCallable]] = defaultdict(list)
        #: Run when the handler is done, in reverse order, the blueprint's before the app's.
        self.after_websocket_funcs: Scoped[list[ft.AfterWebsocketCallable]] = defaultdict(list)
        #: Run when the websocket's context ends, in the same order.
        self.teardown_websocket_funcs: Scoped[list[ft.TeardownCallable]] = defaultdict(list)

    @setupmethod
    def websocket(self, rule: str, **options: t.Any) -> Callable[[T_websocket], T_websocket]:
        """Register a handler, ``def`` or ``async def``, for websockets at a URL rule.

        ::

            @app.websocket("/echo/<name>")
            async def echo(name):
                async for message in websocket:
                    await websocket.send(f"{name}: {message}")

        The handler lives as long as the websocket; when it returns, the websocket is closed. What
        it returns before it has accepted the websocket is the answer to the handshake, as a view's
        would be. In a plain ``def``, which runs in a worker thread, the methods of the websocket
        wait and return: ``message = websocket.receive()``.

        :param rule: the rule, in the syntax of `werkzeug.routing`; a view may have the same.
        :param options: `endpoint`, and what `werkzeug.routing.Rule` takes.
        """
        # Popped here and not in the decorator, which may be applied more than once.
        endpoint = options.pop("endpoint", None)

        def register(f: T_websocket) -> T_websocket:
            self.add_websocket(rule, endpoint, f, **options)
            return f

        return register

    @setupmethod
    def add_websocket(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.WebsocketCallable | None = None,
        **options: t.Any,
    ) -> None:
        """Do what the decorator `websocket` does, as a call.

        :param rule: the rule, in the syntax of `werkzeug.routing`.
        :param endpoint: the name to build URLs by; by default the handler's.
        :param view_func: the handler.
        :param options: what `werkzeug.routing.Rule` takes.
        """
        options = {"methods": ["GET"], **options, "websocket": True}  # RFC 6455 section 4.1
        self.add_url_rule(rule, endpoint, view_func, provide_automatic_options=False, **options)

    @setupmethod
    def before_websocket(self, f: T_before_websocket) -> T_before_websocket:
        """Run a function before each websocket's handler, and before the websocket is accepted.

        What it returns, unless None, is the answer to the handshake, and neither further such
        functions nor the handler are called. It may accept the websocket itself. On a blueprint,
        it runs for that blueprint's websockets only.
        """
        self.before_websocket_funcs.setdefault(None, []).append(f)
        return f

    @setupmethod
    def after_websocket(self, f: T_after_websocket) -> T_after_websocket:
        """Run a function when a websocket's handler is done, whoever ended the websocket.

        It is given the response that denies the handshake and returns it or another one; mostly
        there is none, and it is given None. On a blueprint, it runs for that blueprint's
        websockets only.
        """
        self.after_websocket_funcs.setdefault(None, []).append(f)
        return f

    @setupmethod
    def teardown_websocket(self, f: T_teardown) -> T_teardown:
        """Run a function when a websocket's context ends, whatever happened in it.

        It is given the unhandled exception, or None; a client that left is none. On a blueprint,
        it runs for that blueprint's websockets only.
        """
        self.teardown_websocket_funcs.setdefault(None, []).append(f)
        return f
