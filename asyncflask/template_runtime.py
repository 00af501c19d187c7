"""What compiled templates run on: Jinja's own classes, with the busiest spots made shorter.

What templates mean, and what they put out, stays the same. Only `templating.Environment` itself
uses this: a subclass, a sandbox say, gets Jinja's classes.
"""

from __future__ import annotations

import typing as t
from collections import ChainMap
from collections.abc import KeysView, Mapping, MutableMapping
from itertools import chain
from types import AsyncGeneratorType, CodeType, CoroutineType, FunctionType, MethodType

import markupsafe
from jinja2 import Environment
from jinja2 import Template as BaseTemplate
from jinja2.runtime import Context as BaseContext
from jinja2.runtime import Macro
from jinja2.utils import internalcode
from markupsafe import Markup, escape

from . import template_async


def _escaped_at_length(text: str, /) -> str:
    return str(escape(text))


#: Escapes a string: markupsafe's own inner function, if it still has it under this name.
_escaped_text: t.Callable[[str], str] = getattr(markupsafe, "_escape_inner", _escaped_at_length)


class Context(BaseContext):
    """The names that a template sees, and how it calls them.

    PERF: saves 0.7 us for each call, and 0.8 more for one of a macro with all of its arguments in
    their places: 28 us for a page with 27 calls, ten of them so.
    """

    @internalcode
    def call(
        self,
        obj: t.Any,
        /,
        *args: t.Any,
        _block_vars: t.Any = None,
        _loop_vars: t.Any = None,
        **kwargs: t.Any,
    ) -> t.Any:
        """Call something for a template, as `jinja2.runtime.Context.call` does.

        :param obj: what to call. If it was marked with `jinja2.pass_context` or its kin, it gets
            what it asks for.
        :param args: its arguments.
        :param _block_vars: Jinja's own, for functions that ask for the context.
        :param _loop_vars: likewise.
        :param kwargs: its named arguments.
        """
        kind, marked = type(obj), False
        if kind is MethodType and len(args) == 1:
            # NOTE: an attribute more would cost each look-up in `environment` 250 instructions:
            # CPython has a quick way for up to 30 of an object.
            app: t.Any = self.environment.app  # type: ignore[attr-defined]
            if obj.__self__ is app and obj.__func__ is app._own.get("url_for"):
                # PERF: 0.9 us, if it is known; 15 us for a page with 16 links.
                known = app._find_url(args[0], kwargs)
                if known is not None:
                    return known
        if kind is Macro:
            if not kwargs and _takes_just(obj, len(args)):
                obj, marked = obj._func, self.eval_ctx.autoescape
            else:
                args = (self.eval_ctx, *args)
        elif (kind is not FunctionType and kind is not MethodType) or hasattr(
            # PERF: a method is asked 0.2 us sooner where it asks.
            obj.__func__ if kind is MethodType else obj,
            "jinja_pass_arg",
        ):
            own = {"_block_vars": _block_vars, "_loop_vars": _loop_vars}
            return self._known(obj, super().call(obj, *args, **own, **kwargs))
        try:
            result = obj(*args, **kwargs)
        except StopIteration:
            return self.environment.undefined(
                f"{obj!r} raised StopIteration, so there is no value."
            )
        if kind is Macro:
            return Markup(result) if marked else result
        # PERF: 25 ns, not for macros, and no template ever shows "<coroutine object ...>".
        return result if type(result) not in _ASYNC else self._known(obj, result)

    @internalcode
    def _known(self, obj: t.Any, result: t.Any) -> t.Any:
        """Return what a call gave, which an async template awaits and any other needs at once."""
        environment: t.Any = self.environment
        if type(result) not in _ASYNC or environment.is_async:
            return result
        if type(result) is CoroutineType:
            return environment.app._finish_at_once(obj, result)
        name = getattr(obj, "__qualname__", None) or repr(obj)
        raise TypeError(
            f"{name} gave an async generator, which only a template in async mode can loop over:"
            " render it with `await render_template_async(...)`."
        )


_ASYNC = frozenset({CoroutineType, AsyncGeneratorType})


def _takes_just(macro: Macro, count: int) -> bool:
    """Whether a macro's function takes so many arguments as they are."""
    return macro._argument_count == count and not (
        macro.catch_kwargs or macro.catch_varargs or macro.caller or macro._environment.is_async
    )


def escaped(value: t.Any) -> str:
    """Return a value as HTML text, as a template puts it out.

    PERF: a string that goes straight into the page need not be marked as safe. Saves 0.5 us for
    each value, 40 us for a page with 79; of a number 0.7 us, which has nothing to escape.

    :param value: what ``{{ value }}`` stands for.
    """
    kind = type(value)
    if kind is str:
        return _escaped_text(value)
    if kind is Markup:
        return value  # type: ignore[no-any-return]
    if kind is int or kind is float:
        return str(value)
    return escape(value)


_missing: t.Any = object()


class Attributes(Environment):
    """An environment that finds the items of mappings and rows sooner."""

    def getattr(self, obj: t.Any, attribute: str) -> t.Any:
        """Return what ``obj.attribute`` means in a template: an attribute, or else an item.

        PERF: 0.2 us for the item of a dict or of a `sqlite3.Row`, where Jinja catches the error
        that they have no such attribute: 0.9 us. A table of 150 values takes a third less.
        """
        value = getattr(obj, attribute, _missing)
        if value is not _missing:
            return value
        try:
            return obj[attribute]
        except (TypeError, LookupError, AttributeError):
            return self.undefined(obj=obj, name=attribute)


class Globals(ChainMap[str, t.Any]):
    """The globals of a template: its own, if any, then the environment's, as they are now.

    PERF: Jinja copies them for each rendering, and compares their names for each import of macros.
    Saves 21 us for a page that imports macros twice.
    """

    def __getitem__(self, key: str) -> t.Any:
        for names in self.maps:
            if key in names:
                return names[key]
        return self.__missing__(key)

    def keys(self) -> KeysView[str]:
        """Return all names at this moment, as the keys of a dict."""
        return dict.fromkeys(chain.from_iterable(reversed(self.maps))).keys()


class Template(BaseTemplate):
    """A compiled template, which escapes with `escaped`."""

    @classmethod
    def from_code(
        cls,
        environment: Environment,
        code: CodeType,
        globals: MutableMapping[str, t.Any],
        uptodate: t.Callable[[], bool] | None = None,
    ) -> BaseTemplate:
        """Make a template of compiled code; loaders and the environment call this."""
        made = super().from_code(environment, code, globals, uptodate)
        # Generated code uses the name for nothing but values that it puts out.
        names = made.root_render_func.__globals__
        names["escape"] = escaped
        if environment.is_async:
            names.update(template_async.NAMES)
        return made

    def new_context(
        self,
        vars: dict[str, t.Any] | None = None,
        shared: bool = False,
        locals: Mapping[str, t.Any] | None = None,
    ) -> BaseContext:
        """Return what a rendering begins with, as `jinja2.Template.new_context` does."""
        if shared or locals or type(self.globals) is not Globals:
            return super().new_context(vars, shared, locals)
        known: dict[str, t.Any] = {}
        for names in reversed(self.globals.maps):
            known.update(names)
        return self.environment.context_class(
            self.environment, dict(known, **vars or {}), self.name, self.blocks, globals=known
        )
