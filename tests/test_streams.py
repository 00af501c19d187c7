"""stream_with_context: the request stays current for each step, and the source is closed."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import threading
import typing as t
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator

import pytest

from asyncflask import (
    Flask,
    Response,
    g,
    has_request_context,
    request,
    session,
    stream_with_context,
)

app = Flask(__name__, static_folder=None)
app.secret_key = "k"


class Source:
    """An iterable that counts how often it was closed, and whether with a request."""

    def __init__(self, items: list[str], fail: Exception | None = None) -> None:
        self.items, self.fail = items, fail
        self.closed: list[str] = []

    def __iter__(self) -> Iterator[str]:
        yield from self.items
        if self.fail is not None:
            raise self.fail

    def close(self) -> None:
        self.closed.append(request.path)


class AsyncSource(Source):
    __iter__ = None  # type: ignore[assignment]

    async def __aiter__(self) -> AsyncIterator[str]:
        for item in self.items:
            await asyncio.sleep(0)
            yield item
        if self.fail is not None:
            raise self.fail

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.close()


@contextlib.contextmanager
def made_in_a_request(make: Callable[[], t.Any], path: str = "/path?name=World") -> Iterator[t.Any]:
    """Give a stream that was made in a request whose context is gone."""
    with app.test_request_context(path):
        g.mark = "mark"
        stream = make()
    assert not has_request_context()
    yield stream
    assert not has_request_context()


def greet() -> Generator[str, None, None]:
    yield "Hello "
    yield request.args["name"]
    yield g.mark


async def greet_async() -> AsyncGenerator[str, None]:
    yield "Hello "
    await asyncio.sleep(0)
    yield request.args["name"]
    yield g.mark


class TestSync:
    def test_as_a_function(self) -> None:
        with made_in_a_request(lambda: stream_with_context(greet())) as stream:
            assert [*stream] == ["Hello ", "World", "mark"]

    def test_as_a_decorator(self) -> None:
        @stream_with_context
        def count(to: int, *, end: str) -> Iterator[str]:
            """Count."""
            for number in range(to):
                yield f"{request.path}{number}"
            yield end

        assert count.__doc__ == "Count."
        with made_in_a_request(lambda: count(2, end=".")) as stream:
            assert [*stream] == ["/path0", "/path1", "."]

    def test_is_a_generator(self) -> None:
        with made_in_a_request(lambda: stream_with_context(greet())) as stream:
            assert isinstance(stream, Generator)
            stream.close()

    def test_takes_any_iterable(self) -> None:
        with made_in_a_request(lambda: stream_with_context(["a", "b"])) as stream:
            assert [*stream] == ["a", "b"]

    def test_does_not_leak_into_who_iterates(self) -> None:
        with made_in_a_request(lambda: stream_with_context(greet())) as stream:
            for _ in stream:
                assert not has_request_context()
        with (
            made_in_a_request(lambda: stream_with_context(greet())) as stream,
            app.test_request_context("/other"),
        ):
            for _ in stream:
                assert request.path == "/other"

    def test_each_step_in_another_thread_and_context(self) -> None:
        pieces: list[str] = []
        with made_in_a_request(lambda: stream_with_context(greet())) as stream:
            for _ in range(3):
                run = contextvars.copy_context().run
                thread = threading.Thread(target=lambda: pieces.append(run(next, stream)))  # noqa: B023
                thread.start()
                thread.join()
            stream.close()
        assert pieces == ["Hello ", "World", "mark"]

    def test_iterators_of_a_closed_stream_are_at_their_end(self) -> None:
        with made_in_a_request(lambda: stream_with_context(["a"])) as stream:
            stream.close()
            stream.close()
            assert [*stream] == []

    @pytest.mark.parametrize("steps", [0, 1, 2, 3])
    def test_closes_its_source_however_it_ends(self, steps: int) -> None:
        source = Source(["a", "b"])
        with made_in_a_request(lambda: stream_with_context(source)) as stream:
            for _, _item in zip(range(steps), stream, strict=False):
                pass
            stream.close()
        assert source.closed == ["/path"]

    def test_closes_its_source_when_dropped(self) -> None:
        source = Source(["a"])
        with made_in_a_request(lambda: stream_with_context(source)) as stream:
            pass
        del stream
        gc.collect()
        assert source.closed == ["/path"]

    def test_closes_its_source_when_it_fails(self) -> None:
        source = Source(["a"], fail=ZeroDivisionError())
        with made_in_a_request(lambda: stream_with_context(source)) as stream:
            assert next(stream) == "a"
            with pytest.raises(ZeroDivisionError):
                next(stream)
        assert source.closed == ["/path"]

    def test_the_sources_cleanup_has_a_request(self) -> None:
        seen = []

        def source() -> Iterator[str]:
            try:
                yield "a"
            finally:
                seen.append(request.path)

        with made_in_a_request(lambda: stream_with_context(source())) as stream:
            next(stream)
            stream.close()
        assert seen == ["/path"]


class TestAsync:
    async def test_as_a_function(self) -> None:
        with made_in_a_request(lambda: stream_with_context(greet_async())) as stream:
            assert [piece async for piece in stream] == ["Hello ", "World", "mark"]

    async def test_as_a_decorator(self) -> None:
        make = stream_with_context(greet_async)
        with made_in_a_request(make) as stream:
            assert [piece async for piece in stream] == ["Hello ", "World", "mark"]

    async def test_is_an_async_generator(self) -> None:
        with made_in_a_request(lambda: stream_with_context(greet_async())) as stream:
            assert isinstance(stream, AsyncGenerator)
            await stream.aclose()

    async def test_does_not_leak_into_who_iterates(self) -> None:
        with made_in_a_request(lambda: stream_with_context(greet_async())) as stream:
            async for _ in stream:
                assert not has_request_context()

    async def test_each_step_in_another_task(self) -> None:
        with made_in_a_request(lambda: stream_with_context(greet_async())) as stream:
            pieces = [await asyncio.create_task(anext(stream)) for _ in range(3)]
            await asyncio.create_task(stream.aclose())
        assert pieces == ["Hello ", "World", "mark"]

    async def test_hands_on_what_is_sent(self) -> None:
        async def echo() -> AsyncGenerator[str, str]:
            got = yield request.path
            yield got

        with made_in_a_request(lambda: stream_with_context(echo())) as stream:
            assert await stream.asend(None) == "/path"
            assert await stream.asend("sent") == "sent"
            await stream.aclose()

    @pytest.mark.parametrize("steps", [0, 1, 2, 3])
    async def test_closes_its_source_however_it_ends(self, steps: int) -> None:
        source = AsyncSource(["a", "b"])
        with made_in_a_request(lambda: stream_with_context(source)) as stream:
            for _ in range(steps):
                await anext(stream, None)
            await stream.aclose()
            await stream.aclose()
            assert [piece async for piece in stream] == []
        assert source.closed == ["/path"]

    async def test_closes_its_source_when_it_fails(self) -> None:
        source = AsyncSource([], fail=ZeroDivisionError())
        with made_in_a_request(lambda: stream_with_context(source)) as stream:
            with pytest.raises(ZeroDivisionError):
                await anext(stream)
            assert source.closed == ["/path"]

    async def test_closes_its_source_when_something_is_thrown_in(self) -> None:
        source = AsyncSource(["a", "b"])
        with made_in_a_request(lambda: stream_with_context(source)) as stream:
            await anext(stream)
            with pytest.raises(KeyError, match="thrown"):
                await stream.athrow(KeyError("thrown"))
        assert source.closed == ["/path"]

    async def test_closes_its_source_when_cancelled(self) -> None:
        seen, waiting = [], asyncio.Event()

        async def source() -> AsyncIterator[str]:
            try:
                waiting.set()
                await asyncio.get_running_loop().create_future()
                yield "never"
            finally:
                await asyncio.sleep(0)
                seen.append(request.path)

        with made_in_a_request(lambda: stream_with_context(source())) as stream:
            task = asyncio.create_task(anext(stream))
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert seen == ["/path"]


class TestMisuse:
    @pytest.mark.parametrize("make", [greet, greet_async])
    def test_without_a_request(self, make: Callable[[], t.Any]) -> None:
        with pytest.raises(RuntimeError, match="'stream_with_context' can only be used"):
            stream_with_context(make())
        with pytest.raises(RuntimeError, match="'stream_with_context' can only be used"):
            t.cast("t.Any", stream_with_context(make))()

    def test_nothing_to_iterate_over(self) -> None:
        with pytest.raises(TypeError, match="not int"):
            stream_with_context(7)  # type: ignore[call-overload]


class TestInViews:
    def make_app(self) -> Flask:
        app = Flask(__name__, static_folder=None)
        app.secret_key = "k"
        return app

    def test_async_view_and_sync_generator(self) -> None:
        app = self.make_app()

        @app.get("/")
        async def index() -> Response:
            session["who"] = "view"

            @stream_with_context
            def generate() -> Iterator[str]:
                yield session["who"] + " "
                yield request.args["name"]

            return Response(generate())

        client = app.test_client()
        client.get("/?name=a").close()  # never read
        assert client.get("/?name=a").data == b"view a"
        with client:
            client.get("/?name=a").close()
        with client:
            assert client.get("/?name=b").data == b"view b"

    @pytest.mark.parametrize("make", [greet, greet_async])
    def test_both_kinds_of_views_and_streams(self, make: Callable[[], t.Any]) -> None:
        app = self.make_app()

        @app.before_request
        def mark() -> None:
            g.mark = "mark"

        @app.get("/sync")
        def sync() -> t.Any:
            return stream_with_context(make())

        @app.get("/async")
        async def async_() -> t.Any:
            return Response(stream_with_context(make()))

        client = app.test_client()
        for path in ("/sync", "/async"):
            assert client.get(path + "?name=World").data == b"Hello Worldmark"

    async def test_under_asgi(self) -> None:
        app = self.make_app()

        @app.get("/")
        async def index() -> t.Any:
            g.mark = "mark"
            return stream_with_context(greet_async())

        async with app.async_client() as client:
            assert (await client.get("/?name=World")).text == "Hello Worldmark"
