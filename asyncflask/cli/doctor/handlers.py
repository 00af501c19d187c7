"""The functions that an app runs for its requests."""

from __future__ import annotations

import inspect
import typing as t
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import FunctionType, MethodType

from ...views import http_method_funcs

#: Registries of the form ``{scope: [function]}``, and what their functions are called.
HOOKS = {
    "url_value_preprocessors": "URL value preprocessor",
    "before_request_funcs": "before_request function",
    "after_request_funcs": "after_request function",
    "teardown_request_funcs": "teardown_request function",
    "template_context_processors": "context processor",
}


@dataclass(frozen=True)
class Handler:
    """A function that is registered with an app.

    :param role: what it is, such as ``view 'index'``.
    :param func: as it is registered, decorators included.
    """

    role: str
    func: Callable[..., t.Any]

    def coroutine_function(self) -> FunctionType | None:
        """Return the ``async def`` that runs on the event loop in the end, if there is one.

        Decorators may stand between it and `func`, if they say what they wrap.
        """
        func: t.Any = self.func
        while func is not None:
            if type(func) is not FunctionType:
                func = _called(func)
            elif inspect.iscoroutinefunction(func) or inspect.isasyncgenfunction(func):
                found: FunctionType = func
                return found
            else:
                func = func.__dict__.get("__wrapped__")
        return None


def _called(func: t.Any) -> t.Any:
    """Return what is called by calling what is no function: a method, a partial, an object."""
    if isinstance(func, partial):
        return func.func
    if isinstance(func, MethodType):
        return func.__func__
    return None if isinstance(func, type) else vars(type(func)).get("__call__")


def handlers(app: t.Any) -> Iterator[Handler]:
    """Iterate over the views, hooks and error handlers of an app, each once."""
    seen: set[int] = set()
    for handler in _registered(app):
        if id(handler.func) not in seen:
            seen.add(id(handler.func))
            yield handler


def _registered(app: t.Any) -> Iterator[Handler]:
    for endpoint, view in app.view_functions.items():
        yield from _views(endpoint, view)
    for registry, role in HOOKS.items():
        for functions in getattr(app, registry).values():
            yield from (Handler(_named(role, func), func) for func in functions)
    for func in app.teardown_appcontext_funcs:
        yield Handler(_named("teardown_appcontext function", func), func)
    for by_code in app.error_handler_spec.values():
        for by_class in by_code.values():
            for func in by_class.values():
                yield Handler(_named("error handler", func), func)


def _views(endpoint: str, view: t.Any) -> Iterator[Handler]:
    yield Handler(f"view {endpoint!r}", view)
    kind = getattr(view, "view_class", None)
    for name in ("dispatch_request", *sorted(http_method_funcs)) if kind is not None else ():
        method = getattr(kind, name, None)
        if method is not None:
            yield Handler(f"view {endpoint!r} ({name})", method)


def _named(role: str, func: t.Any) -> str:
    name = getattr(func, "__name__", None)
    return role if name is None else f"{role} {name!r}"
