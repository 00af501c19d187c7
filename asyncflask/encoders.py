"""Bodies made of items: what a view yields, item by item, as the bytes that are sent."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping

from .streams import aclose_both, close_both

#: Makes the bytes of one item.
Encode = Callable[[t.Any], bytes]


class Encoded(Iterator[bytes]):
    """The items of an iterable, as they are sent.

    :param source: the iterable, which is closed with this.
    :param encode: makes the bytes of an item.
    """

    def __init__(self, source: Iterable[t.Any], encode: Encode) -> None:
        self._source, self._encode = source, encode
        self._steps: Iterator[t.Any] | None = None
        self._closed = False

    def __next__(self) -> bytes:
        if self._closed:
            raise StopIteration
        if self._steps is None:
            self._steps = iter(self._source)
        return self._encode(next(self._steps))

    def close(self) -> None:
        """Close the iterable, once."""
        if self._closed:
            return
        self._closed = True
        close_both(self._steps, self._source)


class AsyncEncoded(AsyncIterator[bytes]):
    """The items of an async iterable, as they are sent.

    PERF: who iterates over its `items` and has it `encode` each saves 0.4 us an item.

    :param source: the iterable, which is closed with this.
    :param encode: makes the bytes of an item.
    """

    def __init__(self, source: AsyncIterable[t.Any], encode: Encode) -> None:
        self._source, self.encode = source, encode
        self._steps: AsyncIterator[t.Any] | None = None
        self._closed = self._is_over = False

    def items(self) -> AsyncIterator[t.Any]:
        """Return the source's iterator, always the same; nothing more comes once it is closed."""
        if self._closed:
            return self
        if self._steps is None:
            self._steps = aiter(self._source)
        return self._steps

    async def __anext__(self) -> bytes:
        if self._closed:
            raise StopAsyncIteration
        return self.encode(await anext(self.items()))

    async def aclose(self) -> None:
        """Close the iterable, once; again, if that was interrupted."""
        if self._is_over:
            return
        self._closed = True
        await aclose_both(self._steps, self._source)
        self._is_over = True


def encoded(source: t.Any, encode: Encode, who: str, what: str) -> Encoded | AsyncEncoded:
    """Return the items of an iterable of either kind, as they are sent.

    :param who: the name of what needs them, for the error.
    :param what: what it calls them.
    :raises TypeError: if `source` is nothing to iterate over, or is text, bytes or a mapping.
    """
    if hasattr(source, "__aiter__"):
        return AsyncEncoded(source, encode)
    if hasattr(source, "__iter__") and not isinstance(source, (str, bytes, bytearray, Mapping)):
        return Encoded(source, encode)
    hint = "Call the generator function" if callable(source) else "Put what it is into a list"
    if hasattr(source, "__await__"):
        getattr(source, "close", str)()
        hint = "Await the coroutine first, or have its function yield"
    raise TypeError(
        f"{who} needs an iterable or async iterable of {what}, not {type(source).__name__}. {hint}."
    )
