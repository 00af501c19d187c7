"""Namespaces: what is behind `g`, and the states of an app and of a request."""

from __future__ import annotations

import typing as t

from . import _current

_unset: t.Any = object()


class _AppCtxGlobals:
    """The namespace behind `g`: attributes of your choice, kept while the context lives."""

    if t.TYPE_CHECKING:

        def __getattr__(self, name: str) -> t.Any: ...

        def __setattr__(self, name: str, value: t.Any) -> None: ...

        def __delattr__(self, name: str) -> None: ...

    def get(self, name: str, default: t.Any | None = None) -> t.Any:
        """Return the attribute `name`, or `default` if it was never set."""
        return vars(self).get(name, default)

    def pop(self, name: str, default: t.Any = _unset) -> t.Any:
        """Remove the attribute `name` and return its value.

        :param default: what to return if there is no such attribute.
        :raises KeyError: if there is none and no default was given.
        """
        rest = () if default is _unset else (default,)
        return vars(self).pop(name, *rest)

    def setdefault(self, name: str, default: t.Any = None) -> t.Any:
        """Return the attribute `name`, after setting it to `default` if it is not there yet."""
        return vars(self).setdefault(name, default)

    def __contains__(self, item: str) -> bool:
        return item in vars(self)

    def __iter__(self) -> t.Iterator[str]:
        return iter(vars(self))

    def __repr__(self) -> str:
        ctx = _current.app_context()
        return object.__repr__(self) if ctx is None else f"<flask.g of {ctx.app.name!r}>"


class State(_AppCtxGlobals):
    """A namespace for what an app, or one request, has at hand: ``app.state``, ``request.state``.

    :param values: the dict that is behind it; others who hold it see what is set here.
    """

    def __init__(self, values: dict[str, t.Any] | None = None) -> None:
        if values is not None:
            self.__dict__ = values

    def __repr__(self) -> str:
        return f"<State {sorted(vars(self))}>"
