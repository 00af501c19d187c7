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
from ..matcher import Matcher
from ..wrappers.scope import NOTABLE, is_plain_host, plain_hosts
from . import shortlane
from .http import Message, Receive, Send, send_all
from .isolation import begun_in
from .served import Matched, MatchedContext
from .shortened import Answer, Known, LongExchange, View, answer_of, raising, same

#: Methods that are answered with more or less than what the view returns.
_SPECIAL = frozenset({"HEAD", "OPTIONS"})

#: What a request matches, the view for it, and the coroutine function that has the view called.
_Plan = tuple[Matched, View, t.Callable[..., t.Coroutine[t.Any, t.Any, None]]]

_new = object.__new__
_set, _reset = _current.context.set, _current.context.reset


def begin(
    app: t.Any, scope: Message, receive: Receive, send: Send
) -> t.Coroutine[t.Any, t.Any, None] | None:
    """Return what handles a request and sends its response, if it may take the shortcut."""
    if scope["type"] != "http" or any(app._say) or scope.get("root_path"):
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
    matcher = app._matcher
    if matcher is None or matcher.changes != app.url_map.changes:
        return None  # there is none, or the exchange has it compiled anew
    key = scope["path"], scope["method"]
    plan: _Plan | None = matcher.plans.get(key)
    if plan is None or app.view_functions.get(plan[0][0].endpoint) is not plan[1]:
        plan = _plan(app, matcher, key)
    if plan is None or app.config["TRUSTED_HOSTS"] is not None:
        return None
    found, view, serve = plan
    ctx = _new(MatchedContext)  # PERF: a constructor's call takes 0.1 us more (until Python 3.13)
    ctx.app, ctx.is_touched, ctx.found = app, False, found
    ctx.connection = scope, receive, send, copy_context()
    return serve(ctx, view)


def _plan(app: t.Any, matcher: Matcher, key: tuple[str, str]) -> _Plan | None:
    """Return what a request's path and method lead to, if the shortcut may be taken there.

    PERF: what a path without variables leads to is kept, as long as the rules are what they are
    (and the view, which is compared): 0.2 us less for each request.
    """
    path, method = key
    found: t.Any = None if method in _SPECIAL else matcher.find(path, method)
    if found is None or found[0].is_guarded:
        return None
    rule, args = found
    view = app.view_functions.get(rule.endpoint)
    if view is None:
        return None
    plan = found, view, _on_loop if is_async(view) else shortlane.serve
    if not args and rule.rule == path:
        matcher.plans[key] = (rule, None), *plan[1:]
    return plan


def _may_hold_session(app: t.Any, cookies: bytes) -> bool:
    return app.config["SESSION_COOKIE_NAME"].encode() in cookies


async def _on_loop(ctx: MatchedContext, view: View) -> None:
    """Await an async view, and send its response."""
    answer: Answer | None = None
    known: Known | None = None
    args = ctx.found[1]
    token = _set(ctx)
    try:
        value = await (view(**args) if args else view())
        answer = answer_of(ctx, value)
    except BaseException as error:
        known = partial(raising, error)
    finally:
        _reset(token)
    if answer is None:
        await LongExchange(ctx, None, known or partial(same, value)).serve()
        return
    _, _, send, entered = ctx.connection
    start, end = answer
    if not entered and not copy_context():
        await send(start)
        await send(end)
        return
    # The view may have set context variables, which the server must not see.
    rest = begun_in(entered, send_all(send, answer))
    if rest is not None:
        await rest
