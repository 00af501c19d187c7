"""The shortest way: a request in whose response nobody but its view has a say.

No callback is registered, nothing is overridden, nobody listens, the request has no body and no
session, and the matcher knows the view. Then a plain value that the view returns is the response.
Nothing is done here that an `Exchange` would not do; what it would find to be nothing is left out.
Whatever turns out otherwise on the way is the exchange's to go on with: it gets what the view
returned or raised.
PERF: 4 us a request, where all the steps of the pipeline take 9.
"""

from __future__ import annotations

import typing as t
from contextvars import copy_context
from functools import partial

from .. import _current
from ..drivers import is_async
from ..wrappers.scope import NOTABLE, is_plain_host, plain_hosts
from . import shortlane
from .http import Message, Receive, Send, send_all
from .isolation import begun_in
from .served import matched_context
from .shortened import Answer, Known, LongExchange, View, Way, answer_of, raising, same

#: Methods that are answered with more or less than what the view returns.
_SPECIAL = frozenset({"HEAD", "OPTIONS"})

_set, _reset = _current.context.set, _current.context.reset


def begin(
    app: t.Any, scope: Message, receive: Receive, send: Send
) -> t.Coroutine[t.Any, t.Any, None] | None:
    """Return what handles a request and sends its response, if it may take the shortcut."""
    if scope["type"] != "http" or any(app._say):
        return None
    method = scope["method"]
    if method in _SPECIAL or scope.get("root_path"):
        return None
    host = None
    for name, value in scope["headers"]:
        if name in NOTABLE:
            if name == b"host" and host is None:
                host = value
            elif name != b"cookie" or _may_hold_session(app, value):
                return None
    if host is not None and host not in plain_hosts and not is_plain_host(host):
        return None
    found = app._find_rule(scope["path"], method, app._matcher)
    if found is None:
        return None
    rule, args = found
    view = app.view_functions.get(rule.endpoint)
    if view is None or getattr(rule, "is_guarded", False):
        return None
    entered = copy_context()
    ctx = matched_context(app, (scope, receive, send, entered), found)
    way = app, scope, receive, send, entered, ctx
    return (_on_loop if is_async(view) else shortlane.serve)(way, view, args)


def _may_hold_session(app: t.Any, cookies: bytes) -> bool:
    return app.config["SESSION_COOKIE_NAME"].encode() in cookies


async def _on_loop(way: Way, view: View, args: dict[str, t.Any]) -> None:
    _, _, _, send, entered, ctx = way
    answer: Answer | None = None
    known: Known | None = None
    token = _set(ctx)
    try:
        value = await view(**args)
        answer = answer_of(ctx, value)
    except BaseException as error:
        known = partial(raising, error)
    finally:
        _reset(token)
    if answer is None:
        await LongExchange(way, None, known or partial(same, value)).serve()
    elif entered or copy_context():  # the view may have set variables that the server must not see
        rest = begun_in(entered, send_all(send, answer))
        if rest is not None:
            await rest
    else:
        start, end = answer
        await send(start)
        await send(end)
