"""The signals that an app sends, on blinker (`<https://blinker.readthedocs.io>`_).

The sender is always the app. Receivers may be plain functions or ``async def``.
"""

from __future__ import annotations

import typing as t

from blinker import Namespace, Signal

from . import watched

__all__ = [
    "Namespace",
    "Signal",
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "got_background_exception",
    "got_request_exception",
    "got_websocket_exception",
    "message_flashed",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "template_rendered",
    "websocket_finished",
    "websocket_started",
    "websocket_tearing_down",
]

# The framework's own; an extension makes a `Namespace` for its signals.
_signals = Namespace()

#: A request is about to be handled; nothing of the app has run for it yet.
request_started = _signals.signal("request-started")
#: The response is complete, as ``response``, and about to be sent.
request_finished = _signals.signal("request-finished")
#: The request's context ends, after success (``exc=None``) and after failure (``exc=error``).
request_tearing_down = _signals.signal("request-tearing-down")
#: An unhandled exception, as ``exception``, is about to become a 500 response.
got_request_exception = _signals.signal("got-request-exception")
#: A background task raised, as ``exception``.
got_background_exception = _signals.signal("got-background-exception")

#: A websocket's handshake is about to be handled; nothing of the app has run for it yet.
websocket_started = _signals.signal("websocket-started")
#: A websocket's handler is done; ``response`` denies the handshake, or is None as mostly.
websocket_finished = _signals.signal("websocket-finished")
#: A websocket's context ends; ``exc`` as for `request_tearing_down`.
websocket_tearing_down = _signals.signal("websocket-tearing-down")
#: An unhandled exception, as ``exception``, is about to close a websocket, or to deny it.
got_websocket_exception = _signals.signal("got-websocket-exception")

#: A template is about to be rendered: ``template`` and its ``context``, which may be changed.
before_render_template = _signals.signal("before-render-template")
#: A template was rendered: ``template`` and the ``context`` that it saw.
template_rendered = _signals.signal("template-rendered")

#: A context of the app became current.
appcontext_pushed = _signals.signal("appcontext-pushed")
#: The app's context is about to end; ``exc`` as for `request_tearing_down`.
appcontext_tearing_down = _signals.signal("appcontext-tearing-down")
#: The app's context ended and is no longer current.
appcontext_popped = _signals.signal("appcontext-popped")

#: ``flash`` was called: ``message`` and ``category``.
message_flashed = _signals.signal("message-flashed")

#: The signals of a request that goes well.
_OF_REQUESTS = (
    appcontext_pushed,
    request_started,
    request_finished,
    request_tearing_down,
    appcontext_tearing_down,
    appcontext_popped,
)

#: Those of them that somebody listens to, or has until `forget_unheard`.
#: PERF: one thing to look at for each request, not six.
heard: set[Signal] = set()


def _note(signal: Signal, **_: t.Any) -> None:
    heard.add(signal)
    watched.changed()


for _signal in _OF_REQUESTS:
    _signal.receiver_connected.connect(_note)


def forget_unheard() -> None:
    """Drop from `heard` what nobody listens to any more."""
    for signal in [*heard]:
        if not signal.receivers:
            heard.discard(signal)
            if signal.receivers:  # another thread has just connected one
                heard.add(signal)
            watched.changed()
