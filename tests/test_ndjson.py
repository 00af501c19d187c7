"""JSON values, one a line."""

from __future__ import annotations

import json
import typing as t
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.middleware.gzip import GZipMiddleware

from asyncflask import Flask, NDJSONResponse, Response, g, request
from asyncflask.json.provider import DefaultJSONProvider
from asyncflask.ndjson import encode

from .iterables import of_both_kinds
from .played import Played, part

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class InLines(DefaultJSONProvider):
    """Lays JSON out, with what ends a line wherever it may stand."""

    def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        return "\r\n" + super().dumps(obj, **{**kwargs, "indent": 1, "ensure_ascii": False}) + "\n"


def app_with(respond: Callable[[], Response]) -> Flask:
    """Make an app that answers "/" so from an async view, and "/sync" from a sync one."""
    app = Flask("lines")

    @app.get("/")
    async def view() -> Response:
        return respond()

    app.add_url_rule("/sync", "sync", respond)
    return app


@pytest.mark.parametrize("kind", [0, 1], ids=["async", "sync"])
@pytest.mark.parametrize("path", ["/", "/sync"])
async def test_a_line_for_each_value(path: str, kind: int) -> None:
    items = {"b": 1, "a": [None, "é\n\r"]}, None, "text", [1], 2.5, date(2026, 11, 28), True
    app = app_with(lambda: NDJSONResponse(of_both_kinds(*items)[kind]))
    async with app.async_client() as client:
        response = await client.get(path)
    assert response.text.endswith("\n")
    values = [json.loads(line) for line in response.text.splitlines()]
    assert values == [*items[:5], "Sat, 28 Nov 2026 00:00:00 GMT", True]
    assert dict(response.headers) == {
        "content-type": "application/x-ndjson",
        "x-accel-buffering": "no",
    }


@given(VALUES)
def test_no_value_makes_two_lines(value: t.Any) -> None:
    for provider in (None, InLines):
        app = Flask("lines")
        if provider is not None:
            app.json = provider(app)
        with app.app_context():
            line = encode(value)
        assert line.count(b"\n") == 1
        assert line.endswith(b"\n")
        assert b"\r" not in line
        assert json.loads(line) == value


async def test_the_provider_is_the_app_s_also_in_debug_mode() -> None:
    app = app_with(lambda: NDJSONResponse([{"a": 1}, {"b": {"c": 2}}]))
    app.debug = True
    async with app.async_client() as client:
        assert (await client.get("/")).text == '{"a": 1}\n{"b": {"c": 2}}\n'


@pytest.mark.parametrize("kind", [0, 1], ids=["async", "sync"])
async def test_an_item_that_is_no_json_ends_the_stream_with_an_error(kind: int) -> None:
    app = app_with(lambda: NDJSONResponse(of_both_kinds(1, object(), 2)[kind]))
    ends: list[t.Any] = []
    app.teardown_request(lambda error: ends.append(type(error)))
    played = Played(part(b""))
    with pytest.raises(TypeError, match="not JSON serializable"):
        await played.play(app)
    assert played.body == b"1\n"
    assert ends == [TypeError]
    await app._budgets.close()


@pytest.mark.parametrize("path", ["/", "/sync"])
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_the_source_is_closed_when_the_client_leaves(path: str, kind: str) -> None:
    log: list[str] = []

    def values() -> Iterator[t.Any]:
        try:
            while True:
                yield request.path
        finally:
            log.append(g.own)

    async def async_values() -> AsyncIterator[t.Any]:
        try:
            yield request.path
            await anyio.sleep_forever()
        finally:
            log.append(g.own)

    def respond() -> Response:
        g.own = "closed"
        return NDJSONResponse(values() if kind == "sync" else async_values())

    app = app_with(respond)
    app.teardown_request(lambda error: log.append("torn down"))
    played = Played(part(b""))
    played.leave_after(2)
    await played.play(app, path)
    assert log == ["closed", "torn down"]
    await app._budgets.close()


async def test_a_source_is_closed_that_never_began() -> None:
    log: list[str] = []

    class Source:
        def __aiter__(self) -> t.Any:
            raise AssertionError("it is not asked for")

        async def aclose(self) -> None:
            log.append("closed")

    app = app_with(lambda: NDJSONResponse(Source()))
    async with app.async_client() as client:
        assert (await client.head("/")).content == b""
    assert log == ["closed"]


@pytest.mark.parametrize("kind", [0, 1], ids=["async", "sync"])
def test_under_wsgi(kind: int) -> None:
    app = app_with(lambda: NDJSONResponse(of_both_kinds(1, "é")[kind], 201, {"X-Own": "1"}))
    response = app.test_client().get("/sync")
    assert (response.status_code, response.text) == (201, '1\n"\\u00e9"\n')
    assert response.headers["X-Own"] == "1"


def test_headers_that_are_given_stand() -> None:
    given = {"X-Accel-Buffering": "yes", "Content-Type": "application/jsonl"}
    with Flask("lines").app_context():
        response = NDJSONResponse([], headers=given)
    assert dict(response.headers) == given


async def test_compression_flushes_each_line() -> None:
    app = app_with(lambda: NDJSONResponse(of_both_kinds(*range(3))[0]))
    app.asgi_app = GZipMiddleware(app.asgi_app)  # type: ignore[method-assign]
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    lines: list[bytes] = []
    played = Played(part(b""))
    played.on_send = lambda message: lines.append(inflate.decompress(message.get("body", b"")))
    await played.play(app, headers=[(b"accept-encoding", b"gzip")])
    assert played.headers[b"content-encoding"] == b"gzip"
    assert [line for line in lines if line] == [b"0\n", b"1\n", b"2\n"]


@pytest.mark.parametrize("items", ["text", b"x", {"a": 1}, 5, None, len], ids=repr)
def test_what_is_no_iterable_of_values_is_refused(items: t.Any) -> None:
    with Flask("lines").app_context(), pytest.raises(TypeError, match="NDJSONResponse needs"):
        NDJSONResponse(items)
