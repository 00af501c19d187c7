"""The shortest way: a request whose handlers all run on the loop, or all in one thread.

Nothing is overridden, nobody listens, and the matcher knows the view. Where it has the only say, a
plain value that it returns is the response; callbacks around it are called one after another.
Nothing is done here that an `Exchange` would not do; what it would find to be nothing is left out.
Whatever turns out otherwise on the way is the exchange's to go on with: it gets what the handlers
returned or raised.
PERF: 4 us a request, where all the steps of the pipeline take 9; with four callbacks 8, not 60.
"""

from __future__ import annotations

import typing as t
from contextvars import copy_context
from functools import partial
from types import FunctionType

from .. import _current
from ..dispatch.plan import Hooks
from ..drivers import is_async, stays_on_loop
from ..wrappers.request import blueprints_of
from ..wrappers.scope import NOTABLE, is_plain_host, plain_hosts
from . import shortlane, shortstream
from .body import read_for_loop
from .http import Exchange, send_all
from .isolation import begun_in
from .served import MatchedContext
from .shortened import (
    Answer,
    Known,
    LongExchange,
    Raised,
    View,
    answer_of,
    finalized,
    handled,
    same,
)

#: Methods that are answered with more or less than what the view returns.
_SPECIAL = frozenset({"HEAD", "OPTIONS"})

_set, _reset = _current.context.set, _current.context.reset


def call(app: t.Any, scope: t.Any = None, receive: t.Any = None, send: t.Any = None) -> t.Any:
    """Serve a connection: ``(scope, receive, send)`` is ASGI 3, two arguments are WSGI.

    PERF: this is `Flask.__call__` itself, and no function that it calls: 450 instructions.
    """
    sight = app._sight or app._look()
    matcher = sight.matcher
    if matcher is None or send is None or scope["type"] != "http" or scope.get("root_path"):
        return app._call(scope, receive, send)
    method = scope["method"]
    if method in _SPECIAL:
        return app._call(scope, receive, send)
    host: bytes | None = None
    others: list[tuple[bytes, bytes]] | None = None
    for name, value in scope["headers"]:
        if name in NOTABLE:
            if name == b"host" and host is None:
                host = value
            else:
                others = others or []
                others.append((name, value))
    if matcher.changes != app.url_map.changes or (  # if so, the exchange has it compiled anew
        host is not None and host not in plain_hosts and not is_plain_host(host)
    ):
        return app._call(scope, receive, send)
    path = scope["path"]
    static = matcher.static.get(path)  # PERF: 0.1 us less than by both at once
    found = (static and static.get(method)) or matcher.search(path, method)
    if found is None:
        return app._call(scope, receive, send)
    rule = found[0]
    seen, view, serve, first = rule.shortcut
    if seen is not sight:
        _, view, serve, first = _decide(app, sight, rule)
    if serve is None:
        return app._call(scope, receive, send)
    ctx = MatchedContext()
    # PERF: those that are looked at, also where they are as in the class: 0.15 us (Python 3.11)
    ctx.app, ctx.found = app, found
    ctx.hooks, ctx.declared = None, 0
    ctx.is_touched = ctx.sends_session = False
    ctx.connection = scope, receive, send, copy_context()
    if others and not _note(ctx, others, host):
        return app._call(scope, receive, send)
    if sight.is_busy and not _find_hooks(ctx, rule, view, sight):
        return Exchange(app, *ctx.connection, ctx).serve()
    return serve(ctx, view, first)


def _note(ctx: MatchedContext, headers: list[tuple[bytes, bytes]], host: bytes | None) -> bool:
    """Note whether a request has a session and a body; return whether its headers are clear."""
    notable = {} if host is None else {b"host": [host]}
    length: bytes | None = None
    for name, value in headers:
        if name in notable:
            notable[name].append(value)
        else:
            notable[name] = [value]
        if name == b"cookie":
            session = ctx.app.config["SESSION_COOKIE_NAME"].encode()
            ctx.sends_session = ctx.sends_session or value.find(session) >= 0
        elif name == b"content-length" and length is None and value.isdigit() and len(value) < 19:
            length = value  # up to more than there is (RFC 9110 section 8.6)
        elif name != b"content-type":
            return False  # which host is meant, or how long the body is
    if length is not None:
        ctx.declared = int(length)
    ctx.notable = notable
    return True


def _find_hooks(ctx: MatchedContext, rule: t.Any, view: View, sight: t.Any) -> bool:
    """Note the callbacks of a request; return whether they and the view all run in one place."""
    hooks = rule.hooks
    if (
        hooks is None
        or hooks.view is not view
        or not (hooks.sight is sight or hooks.holds_for(sight))
    ):
        hooks = rule.hooks = Hooks(ctx.app, sight.say, blueprints_of(rule.endpoint), view)
        if not hooks.holds_for(sight):  # somebody listens
            return False
    ctx.hooks = hooks
    return hooks.in_one_place  # type: ignore[no-any-return]


def _decide(app: t.Any, sight: t.Any, rule: t.Any) -> tuple[t.Any, View | None, t.Any, str | None]:
    """Return a rule's view, what serves its requests, and its first argument; keep it there.

    What serves them is None if that is not the shortcut's to do.
    PERF: 0.2 us less for each request than to look at the view again.
    """
    serve, view = None, app.view_functions.get(rule.endpoint)
    if view is not None and not rule.is_guarded:
        on_loop = stays_on_loop(view)  # an async generator function too, whose body needs no thread
        serve = _on_loop if is_async(view) else None if on_loop else shortlane.serve
    rule.shortcut = decided = sight, view, serve, _first_of(view, rule.arguments)
    return decided


def _first_of(view: View | None, names: set[str]) -> str | None:
    """Return the only variable that there is, if a view takes it as its first argument.

    PERF: given by its place, 0.2 us less than by its name.
    """
    if type(view) is not FunctionType or len(names) != 1:
        return None
    code = view.__code__
    by_name = code.co_argcount > 0 and code.co_posonlyargcount == 0
    return code.co_varnames[0] if by_name and code.co_varnames[0] in names else None


async def _on_loop(ctx: MatchedContext, view: View, first: str | None) -> None:
    """Await an async view, and the callbacks around it, and send the response."""
    app, hooks = ctx.app, ctx.hooks
    outcome: Answer | shortstream.Streamed | Known
    token, body = _set(ctx), None
    try:
        if ctx.declared:
            body = ctx._make_request()._body
            rest = read_for_loop(body, ctx.found[0], app.config)
            if rest is not None:
                await rest
        if hooks is not None:
            outcome = await handled(ctx, hooks)
        else:
            args = ctx.found[1]
            if first is not None:
                value = await view(args[first])  # type: ignore[index]
            else:
                value = await (view(**args) if args else view())
            outcome = (
                partial(same, value)
                if (app._sight or app._look()).is_busy
                else answer_of(ctx, value)
                or shortstream.streamed(ctx, value)
                or await finalized(ctx, value, None)
            )
    except BaseException as error:
        outcome = Raised(error)
    finally:
        _reset(token)
    if type(outcome) is not tuple:
        if isinstance(outcome, shortstream.Streamed):
            await shortstream.serve(ctx, outcome)
        else:
            await LongExchange(ctx, None, t.cast("Known", outcome)).serve()
        return
    if body is not None:
        body.release()
    _, _, send, entered = ctx.connection
    if not entered and not copy_context():
        start, end = outcome
        await send(start)
        await send(end)
        return
    # The view may have set context variables, which the server must not see.
    begun = begun_in(entered, send_all(send, outcome))
    if begun is not None:
        await begun
