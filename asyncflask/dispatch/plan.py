"""Which driver a request takes.

All of its handlers sync: the whole request is one hop into a worker thread. All async, or none at
all: it stays on the loop. Mixed: it stays on the loop, and the sync ones go to its lane.
"""

from __future__ import annotations

import enum
import typing as t

from ..connections import Kind
from ..ctx import AppContext
from ..drivers import ThreadDriver, is_async, stays_on_loop


class Way(enum.Enum):
    """Where a request's handlers run."""

    LOOP = enum.auto()  # all of them on the event loop: no thread is needed
    THREAD = enum.auto()  # all of them in one thread, in one hop
    BOTH = enum.auto()  # the async ones on the loop, the sync ones in the request's lane


#: Stands for all that may have a say in a request which the app does not answer by its own means
#: alone: it is overridden, mounted on, put behind middleware, or not set up yet.
NOT_OURS = (True,)

#: Sets of handlers whose way an app keeps: views, and hooks that may be added in between.
_MAX_WAYS = 1024

#: Lists of callbacks that an app may have before only those of a rule are compared: the time is the
#: same with about so many.
_FEW = 16


def way_of(ctx: AppContext) -> Way:
    """Return which way a request takes; matches its URL, if that is safe on the loop.

    A custom converter may block, an overridden step is sync code: both decide for the thread.
    """
    app = ctx.app
    if (app._overridden and ctx.websocket is None) or (
        app._converts_in_thread and not ctx.match_simply()
    ):
        return Way.THREAD
    ctx.match()
    rule = ctx.request.url_rule
    view = None if rule is None else app.view_functions.get(rule.endpoint)
    handlers = _hooks(app, ctx.kind, ctx.request.blueprints)
    if view is not None:
        handlers.append(view)
    return _way(app._ways, tuple(handlers))


def _way(known: dict[t.Any, Way], handlers: tuple[t.Any, ...]) -> Way:
    """Return which way handlers take.

    PERF: 0.3 us where the same ones were looked at before, 1.5 us for a view and four hooks else.
    """
    try:
        return known[handlers]
    except KeyError:
        if len(known) >= _MAX_WAYS:
            known.clear()
        way = known[handlers] = _found_way(handlers)
        return way
    except TypeError:  # one of them cannot be hashed
        return _found_way(handlers)


def _found_way(handlers: tuple[t.Any, ...]) -> Way:
    on_loop = {stays_on_loop(func) for func in handlers}
    if False not in on_loop:
        return Way.LOOP
    return Way.BOTH if True in on_loop else Way.THREAD


def _hooks(app: t.Any, kind: Kind, blueprints: list[str]) -> list[t.Callable[..., t.Any]]:
    """Return the callbacks that a request may run, from the live registries."""
    hooks = [*app.teardown_appcontext_funcs]
    for registry in (
        app.url_value_preprocessors,
        getattr(app, kind.before),
        getattr(app, kind.after),
        getattr(app, kind.teardown),
    ):
        if registry:
            for name in (*blueprints, None):
                hooks += registry.get(name, ())
    return hooks


class Hooks:
    """The callbacks of the requests of one rule, each kind in the order in which it is called.

    They are a copy of what the app's registries hold; `holds_for` tells whether they still do, and
    need not be asked where `sight` is the app's.

    :param app: the app.
    :param say: what has a say in its requests.
    :param blueprints: the blueprints that the rule belongs to, innermost first.
    :param view: the rule's view.
    """

    def __init__(
        self, app: t.Any, say: tuple[t.Any, ...], blueprints: tuple[str, ...], view: t.Any
    ) -> None:
        *registries, ends, _ = say
        before, after, teardown, processors = registries
        inner = (*blueprints, None)
        #: Equals what has a say in the app's requests as long as these are all that have a say in
        #: the rule's. PERF: 0.03 us less than to call what tells it.
        self._seen = _seen(say, inner)
        #: What the app's requests were judged by when these were all, if it would be another one
        #: otherwise. PERF: 1,500 instructions less than to compare, twice for each request.
        self.sight: t.Any = None
        self.view = view
        self.before = [func for name in reversed(inner) for func in before.get(name, ())]
        self.after = [func for name in inner for func in reversed(after.get(name, ()))]
        self.teardown = [func for name in inner for func in reversed(teardown.get(name, ()))]
        self.teardown += reversed(ends)
        #: What settles what plain functions return; None where all are coroutine functions.
        self.thread: ThreadDriver | None = None
        #: Whether all of them run in one place. If not, the pipeline has to ask for each.
        self.in_one_place = not any(processors.get(name) for name in inner) and self._are_alike(app)

    def holds_for(self, sight: t.Any) -> bool:
        """Whether these are all that have a say in the rule's requests.

        :param sight: what the app's are judged by now, a `deciding.Sight`.
        """
        if self._seen != sight.say:
            return False
        if sight.tells:
            self.sight = sight
        return True

    def _are_alike(self, app: t.Any) -> bool:
        handlers = [self.view, *self.before, *self.after, *self.teardown]
        if all(map(is_async, handlers)):
            return True
        self.thread = ThreadDriver(app)
        return not any(map(stays_on_loop, handlers))


def _seen(say: tuple[t.Any, ...], inner: tuple[str | None, ...]) -> tuple[t.Any, ...] | _OfRule:
    """Return what equals what there is now, as long as a rule's callbacks are the same.

    PERF: 0.1 us for four of them, where to walk the registries takes 6 us of each request.

    :param say: what has a say in the app's requests.
    :param inner: the names under which the registries hold what is the rule's.
    """
    *registries, ends, _ = say
    if sum(map(len, say[:-1])) <= _FEW:
        copies = ({name: [*funcs] for name, funcs in each.items()} for each in registries)
        return (*copies, [*ends], set())
    return _OfRule(say, inner)


class _OfRule:
    """What a rule has in registries that hold much for others, too."""

    def __init__(self, say: tuple[t.Any, ...], inner: tuple[str | None, ...]) -> None:
        *registries, ends, _ = self._say = say
        self._looks = (*(each for each in registries for _ in inner), {None: ends})
        self._names = (*(inner * len(registries)), None)
        self._found = [None if found is None else [*found] for found in self._find()]

    def _find(self) -> t.Iterable[list[t.Any] | None]:
        return map(dict.get, self._looks, self._names)

    def __eq__(self, say: t.Any) -> bool:
        return say is self._say and not say[-1] and [*self._find()] == self._found
