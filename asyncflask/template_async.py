"""What Jinja's async mode lacks: async tests in ``select``, and an end for async generators.

A rendering may end before a generator that it loops over does: ``{% break %}``, the filter
``first``, an error, a client that leaves. Left alone, it would be closed when it is collected, in
another task or not at all. So each one that a template comes across is noted, and closed when the
rendering is over.
"""

from __future__ import annotations

import typing as t
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from contextvars import ContextVar
from types import AsyncGeneratorType

from jinja2 import Environment, Undefined, pass_context
from jinja2.async_utils import auto_aiter, auto_await
from jinja2.exceptions import FilterArgumentError
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.runtime import Context
from markupsafe import Markup

#: Generators that are noted before those that are over are forgotten: few templates have more, and
#: one that is streamed for hours may come across any number.
_MANY = 16


class Rendering:
    """The async generators that one rendering has come across."""

    def __init__(self) -> None:
        self._noted: list[AsyncGeneratorType[t.Any, t.Any]] = []
        self._limit = _MANY

    def note(self, generator: AsyncGeneratorType[t.Any, t.Any]) -> None:
        """Remember a generator, and forget those that are over."""
        if len(self._noted) >= self._limit:
            self._noted = [each for each in self._noted if each.ag_frame is not None]
            self._limit = max(_MANY, 2 * len(self._noted))
        self._noted.append(generator)

    async def close(self) -> None:
        """Close all of them, those that were met last first."""
        async with AsyncExitStack() as stack:
            for generator in self._noted:
                stack.push_async_callback(generator.aclose)

    async def whole(self, text: Awaitable[str]) -> str:
        """Return the text of a rendering, and close what it came across."""
        token = _rendering.set(self)
        try:
            return await text
        finally:
            _rendering.reset(token)
            if self._noted:
                await self.close()

    async def follow(self, pieces: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
        """Yield what a template puts out, and close in the end what it came across."""
        try:
            while True:
                # NOTE: not set while this is suspended: the code in between is not the template's.
                token = _rendering.set(self)
                try:
                    piece = await anext(pieces)
                except StopAsyncIteration:
                    return
                finally:
                    _rendering.reset(token)
                yield piece
        finally:
            async with AsyncExitStack() as stack:
                stack.push_async_callback(self.close)
                stack.push_async_callback(pieces.aclose)


_rendering: ContextVar[Rendering | None] = ContextVar("asyncflask.rendering", default=None)


def _note(value: t.Any) -> None:
    if type(value) is AsyncGeneratorType:
        rendering = _rendering.get()
        if rendering is not None:
            rendering.note(value)


def _noting_aiter(iterable: t.Any) -> AsyncIterator[t.Any]:
    """Do what `jinja2.async_utils.auto_aiter` does."""
    _note(iterable)
    # NOTE: asked for as in sync mode, since a strict undefined has only that to raise an error.
    return auto_aiter(iter(iterable) if isinstance(iterable, Undefined) else iterable)


#: What most values in a template are; none of them is awaited.
_PLAIN = frozenset({str, int, float, bool, type(None), Markup, list, dict, tuple})


async def _noting_await(value: t.Any) -> t.Any:
    """Do what `jinja2.async_utils.auto_await` does.

    PERF: 0.1 us for a plain value, without that coroutine in this one; a page has many.
    """
    if type(value) in _PLAIN:
        return value
    _note(value)
    return await auto_await(value)


#: What stands in place of Jinja's own in the code of async templates.
NAMES: dict[str, t.Any] = {"auto_aiter": _noting_aiter, "auto_await": _noting_await}


async def _choose(
    context: Context, value: t.Any, test: t.Any, of: Callable[[t.Any], t.Any], wanted: bool
) -> AsyncIterator[t.Any]:
    """Yield the items for which a test, async or not, says what is wanted."""
    async for item in _noting_aiter(value or ()):
        if bool(await auto_await(test(of(item)))) is wanted:
            yield item


def _choosing(name: str, wanted: bool, by_attribute: bool) -> Callable[..., t.Any]:
    """Return the filter `name`, which awaits async tests where Jinja takes them for true."""
    plain: Callable[..., t.Any] = FILTERS[name]

    @pass_context
    def choose(context: Context, value: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
        environment = context.environment
        if not environment.is_async:
            return plain(context, value, *args, **kwargs)
        of: Callable[[t.Any], t.Any] = _itself
        if by_attribute:
            if not args:
                raise FilterArgumentError(f"The filter {name!r} needs the name of an attribute.")
            of, args = make_attrgetter(environment, args[0]), args[1:]

        def test(item: t.Any) -> t.Any:
            if not args:
                return bool(item)
            return environment.call_test(args[0], item, args[1:], kwargs, context)

        return _choose(context, value, test, of, wanted)

    return choose


def _itself(item: t.Any) -> t.Any:
    return item


_FILTERS = {
    "select": _choosing("select", True, False),
    "reject": _choosing("reject", False, False),
    "selectattr": _choosing("selectattr", True, True),
    "rejectattr": _choosing("rejectattr", False, True),
}


def prepare(environment: Environment) -> None:
    """Give an environment filters that await async tests, unless it has others than Jinja's."""
    for name, filter_ in _FILTERS.items():
        if environment.filters.get(name) is FILTERS[name]:
            environment.filters[name] = filter_
