"""Items of an iterable, as the bytes that are sent."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator, Iterator

import pytest

from asyncflask.encoders import AsyncEncoded, Encoded, encoded

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)


def encode(item: t.Any) -> bytes:
    return f"<{item}>".encode()


def test_a_sync_iterable_is_encoded_and_closed_once() -> None:
    log: list[str] = []

    def items() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            log.append("closed")

    made = encoded(items(), encode, "It", "items")
    assert isinstance(made, Encoded)
    assert next(made) == b"<1>"
    made.close()
    made.close()
    assert log == ["closed"]
    assert [*made] == []


async def test_an_async_iterable_is_encoded_and_closed_once() -> None:
    log: list[str] = []

    async def items() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            log.append("closed")

    made = encoded(items(), encode, "It", "items")
    assert isinstance(made, AsyncEncoded)
    assert await anext(made) == b"<1>"
    await made.aclose()
    await made.aclose()
    assert log == ["closed"]
    assert [item async for item in made] == []


def test_an_iterable_that_is_no_iterator_is_closed_too() -> None:
    class Source:
        closed = 0

        def __iter__(self) -> Iterator[int]:
            return iter([1])

        def close(self) -> None:
            self.closed += 1

    source = Source()
    made = encoded(source, encode, "It", "items")
    assert isinstance(made, Encoded)
    assert [*made] == [b"<1>"]
    made.close()
    assert source.closed == 1


async def test_what_cannot_be_iterated_is_told() -> None:
    async def coroutine() -> None:
        raise AssertionError

    def function() -> None:
        raise AssertionError

    for source, hint in [
        ("text", "Put what it is into a list"),
        ({}, "Put what it is into a list"),
        (function, "Call the generator function"),
        (coroutine(), "Await the coroutine first"),
    ]:
        with pytest.raises(TypeError, match=f"It needs .* of items, .*{hint}"):
            encoded(source, encode, "It", "items")


@pytest.mark.anyio
async def test_closing_that_was_interrupted_is_done_again() -> None:
    class Source:
        closed = 0
        interrupted = False

        async def __aiter__(self) -> AsyncIterator[str]:
            yield "a"

        async def aclose(self) -> None:
            if not self.interrupted:
                self.interrupted = True
                raise InterruptedError
            self.closed += 1

    source = Source()
    made = AsyncEncoded(source, str.encode)
    assert [piece async for piece in made] == [b"a"]
    with pytest.raises(InterruptedError):
        await made.aclose()
    await made.aclose()
    await made.aclose()
    assert source.closed == 1
