"""Which driver a request takes.

All of its handlers sync: the whole request is one hop into a worker thread. All async, or none at
all: it stays on the loop. Mixed: it stays on the loop, and the sync ones go to its lane.
"""

from __future__ import annotations

import typing as t
from itertools import chain

from ..ctx import AppContext
from ..drivers import is_async, stays_on_loop


def runs_in_thread(ctx: AppContext) -> bool:
    """Whether the thread driver takes the whole request; matches its URL, if that is safe here.

    A custom converter may block, an overridden step is sync code: both decide for the thread.
    """
    app = ctx.app
    if app._overridden or app._converts_in_thread:
        return True
    ctx.match()
    rule = ctx.request.url_rule
    view = None if rule is None else app.view_functions.get(rule.endpoint)
    if view is not None and stays_on_loop(view):
        return False
    hooks = [*_hooks(app, ctx.request.blueprints)]
    if view is None and not hooks:
        return False
    return not any(map(is_async, hooks))


def needs_lane(ctx: AppContext) -> bool:
    """Whether a request that stays on the loop has sync handlers, for which it needs a thread."""
    return not all(map(stays_on_loop, _hooks(ctx.app, ctx.request.blueprints)))


def _hooks(app: t.Any, blueprints: list[str]) -> t.Iterator[t.Callable[..., t.Any]]:
    """Iterate over the callbacks that a request may run, from the live registries."""
    yield from app.teardown_appcontext_funcs
    for registry in (
        app.url_value_preprocessors,
        app.before_request_funcs,
        app.after_request_funcs,
        app.teardown_request_funcs,
    ):
        if registry:
            yield from chain.from_iterable(registry.get(name, ()) for name in (*blueprints, None))
