"""What an app does before, while and after it is served."""

from __future__ import annotations

import inspect
import types
import typing as t

from .. import typing as ft
from .scaffold import Scaffold, setupmethod

T_before_serving = t.TypeVar("T_before_serving", bound=ft.ServingCallable)
T_after_serving = t.TypeVar("T_after_serving", bound=ft.ServingCallable)
T_while_serving = t.TypeVar("T_while_serving", bound=ft.WhileServingCallable)

_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


class ServingRegistry(Scaffold):
    """The part of an app that knows what belongs to its lifespan."""

    #: Run in order before requests are served.
    before_serving_funcs: list[ft.ServingCallable]
    #: Run in reverse order when no request is served any more.
    after_serving_funcs: list[ft.ServingCallable]
    #: Run up to their one ``yield`` before requests are served, and from there on afterwards.
    while_serving_gens: list[ft.WhileServingCallable]

    @setupmethod
    def before_serving(self, f: T_before_serving) -> T_before_serving:
        """Run a function, ``def`` or ``async def``, before the app serves its first request.

        It runs once in each server process, in an app context. If it raises, the server does not
        start.
        """
        self.before_serving_funcs.append(f)
        return f

    @setupmethod
    def after_serving(self, f: T_after_serving) -> T_after_serving:
        """Run a function, ``def`` or ``async def``, when the app has served its last request.

        All such functions are run, the last one first, even if one raises.
        """
        self.after_serving_funcs.append(f)
        return f

    @setupmethod
    def while_serving(self, f: T_while_serving) -> T_while_serving:
        """Run a function with one ``yield`` around the time in which the app serves requests.

        ::

            @app.while_serving
            async def database():
                async with connect(app.config["DSN"]) as pool:
                    yield {"pool": pool}

        What it yields, if it is a mapping, is found on `app.state` and on each `request.state`.
        What follows the ``yield`` is run even if the start of something else fails.

        :raises TypeError: if `f` has no ``yield``.
        """
        check_generator(f)
        self.while_serving_gens.append(f)
        return f


def check_generator(f: t.Any) -> None:
    """Refuse a function for `while_serving` that yields nothing, where that can be told.

    :raises TypeError: if it is one.
    """
    plain = type(f) is types.FunctionType and not hasattr(f, "__wrapped__")
    if plain and not f.__code__.co_flags & _GENERATOR:
        raise TypeError(
            f"while_serving() needs a function with one 'yield', and {f.__qualname__!r} has none:"
            " what stands before it is run at the start, what follows it at the end. For a"
            " function that is only run at the start there is before_serving()."
        )
