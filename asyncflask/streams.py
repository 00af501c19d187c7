"""Streams that keep a request's context: `stream_with_context`.

The context is made current for each step of the source and for its closing, and never across a
``yield``. So it does not leak into whoever iterates, steps may be taken in any thread or task, and
there is nothing to undo where a stream is abandoned.
"""

from __future__ import annotations

import typing as t
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from contextvars import Token
from functools import update_wrapper
from types import TracebackType

from . import _current

T = t.TypeVar("T")
P = t.ParamSpec("P")


class _Current:
    """Makes a context current inside a ``with`` block, without a push: no teardown follows."""

    __slots__ = ("_ctx", "_token")

    def __init__(self, ctx: t.Any) -> None:
        self._ctx = ctx

    def __enter__(self) -> None:
        self._token: Token[t.Any] = _current.context.set(self._ctx)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        _current.context.reset(self._token)


def _sync_stream(source: Iterable[T], ctx: t.Any) -> Generator[T, None, None]:
    """Yield what `source` yields, after a first None that is for the caller to take.

    Taking it puts the generator inside the ``try``, so that closing it closes `source` even if
    nothing was ever read.
    """
    with _Current(ctx):
        steps = iter(source)
    try:
        yield t.cast("T", None)
        while True:
            with _Current(ctx):
                try:
                    item = next(steps)
                except StopIteration:
                    return
            yield item
    finally:
        with _Current(ctx):
            close_both(steps, source)


def close_both(steps: t.Any, source: t.Any) -> None:
    """Close an iterator and then what it iterates over, where they can be closed.

    As PEP 3333 has it for what a WSGI app returns.

    :param steps: the iterator; None if there is none yet.
    :param source: what it iterates over, which may be the same.
    """
    try:
        getattr(steps, "close", _nothing)()
    finally:
        if source is not steps:
            getattr(source, "close", _nothing)()


async def aclose_both(steps: t.Any, source: t.Any) -> None:
    """Do the same for an async iterator."""
    try:
        await getattr(steps, "aclose", _nothing_async)()
    finally:
        if source is not steps:
            await getattr(source, "aclose", _nothing_async)()


def _nothing() -> None:
    pass


async def _nothing_async() -> None:
    pass


class _AsyncStream(AsyncGenerator[T, t.Any]):
    """Yields what `source` yields, and closes it when it ends, fails, or is closed itself."""

    def __init__(self, source: AsyncIterable[T], ctx: t.Any) -> None:
        self._source: t.Any = source
        self._ctx = ctx
        self._steps: t.Any = None
        self._closed = False

    async def asend(self, value: t.Any) -> T:
        """Take the next step, handing `value` to a source that is a generator."""
        if self._closed:
            raise StopAsyncIteration
        with _Current(self._ctx):
            try:
                if self._steps is None:
                    self._steps = aiter(self._source)
                step = anext(self._steps) if value is None else self._steps.asend(value)
                return t.cast("T", await step)
            except BaseException:
                await self.aclose()
                raise

    async def athrow(self, *error: t.Any) -> T:
        """Close the source and raise an error."""
        await self.aclose()
        return await super().athrow(*error)

    async def aclose(self) -> None:
        """Close the source, once."""
        if self._closed:
            return
        self._closed = True
        with _Current(self._ctx):
            await aclose_both(self._steps, self._source)


@t.overload
def stream_with_context(
    generator_or_function: Callable[P, AsyncIterator[T]],
) -> Callable[P, AsyncGenerator[T, t.Any]]: ...


@t.overload
def stream_with_context(
    generator_or_function: Callable[P, Iterator[T]],
) -> Callable[P, Iterator[T]]: ...


@t.overload
def stream_with_context(
    generator_or_function: AsyncIterable[T],
) -> AsyncGenerator[T, t.Any]: ...


@t.overload
def stream_with_context(generator_or_function: Iterable[T]) -> Iterator[T]: ...


def stream_with_context(generator_or_function: t.Any) -> t.Any:
    """Keep `request`, `session` and `g` current while a stream is sent.

    As a function, for something to iterate over, sync or async; or as the decorator of a function
    that makes it::

        @app.get("/report")
        async def report():
            @stream_with_context
            async def rows():
                async for row in db.rows(request.args["of"]):
                    yield f"{row};"

            return rows()

    The source is closed (``close`` or ``aclose``) however the stream ends, also if it never began.

    :param generator_or_function: an iterable, an async iterable, or a function that returns one.
    :returns: a generator of the same kind, or a function that returns one.
    :raises RuntimeError: if no request is being handled where the stream is made.
    :raises TypeError: if there is nothing to iterate over, and nothing to call.
    """
    kind = type(generator_or_function)
    if getattr(kind, "__iter__", None) is not None:  # None says: not iterable
        stream = _sync_stream(generator_or_function, _requested())
        next(stream)
        return stream
    if getattr(kind, "__aiter__", None) is not None:
        return _AsyncStream(generator_or_function, _requested())
    if not callable(generator_or_function):
        raise TypeError(
            "stream_with_context() needs an iterable, an async iterable, or a function that returns"
            f" one, not {kind.__name__}. If you called an 'async def' without"
            " a 'yield', await it first."
        )

    def decorated(*args: t.Any, **kwargs: t.Any) -> t.Any:
        return stream_with_context(generator_or_function(*args, **kwargs))

    return update_wrapper(decorated, generator_or_function)


def _requested() -> t.Any:
    ctx = _current.request_context()
    if ctx is None:
        raise RuntimeError(
            "'stream_with_context' can only be used when a request context is active, such as in a"
            " view function: there is no request here whose context the stream could keep."
        )
    return ctx
