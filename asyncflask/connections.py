"""The kinds of connection that the one pipeline handles, and what differs between them."""

from __future__ import annotations

import typing as t

from blinker import Signal

from . import signals


class Kind(t.NamedTuple):
    """Whose hooks are run for a connection, by the names of the app's registries, and who hears.

    :param before: run before the handler.
    :param after: given the response when the handler is done.
    :param teardown: run when the context ends.
    :param started: announces that the handling begins.
    :param failed: announces an exception that nothing handled.
    :param finished: announces the response.
    :param tearing_down: announces the end of the context.
    """

    before: str
    after: str
    teardown: str
    started: Signal
    failed: Signal
    finished: Signal
    tearing_down: Signal


HTTP: t.Final = Kind(
    "before_request_funcs",
    "after_request_funcs",
    "teardown_request_funcs",
    signals.request_started,
    signals.got_request_exception,
    signals.request_finished,
    signals.request_tearing_down,
)

WEBSOCKET: t.Final = Kind(
    "before_websocket_funcs",
    "after_websocket_funcs",
    "teardown_websocket_funcs",
    signals.websocket_started,
    signals.got_websocket_exception,
    signals.websocket_finished,
    signals.websocket_tearing_down,
)
