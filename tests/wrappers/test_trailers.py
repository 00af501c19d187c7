"""Headers behind a body: when they are sent, and which."""

from __future__ import annotations

import hashlib
import typing as t
from collections.abc import AsyncIterator, Iterator

import pytest

from asyncflask import Flask, Response, streaming_response
from asyncflask.wrappers.trailers import wire_trailers

from ..played import Played, part

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)

OFFERED = ["http.response.trailers"]
ASKED = [(b"te", b"trailers")]


def add_views(app: Flask, trailers: t.Any) -> None:
    """Add a view for each kind of body, with the same trailers."""

    def of(body: t.Any) -> Response:
        response = Response(body)
        response.trailers = trailers
        return response

    async def chunks() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    def sync_chunks() -> Iterator[str]:
        yield from "ab"

    @app.get("/async")
    async def on_loop() -> Response:
        return of(chunks())

    @app.get("/sync")
    def in_thread() -> Response:
        return of(sync_chunks())

    @app.get("/whole")
    async def whole() -> Response:
        return of("ab")

    @app.get("/whole-sync")
    def whole_in_thread() -> Response:
        return of("ab")

    @app.get("/block")
    async def block() -> t.Any:
        async with streaming_response(trailers=trailers) as out:
            await out.send("ab")
        return out


PATHS = ["/async", "/sync", "/whole", "/whole-sync", "/block"]


@pytest.fixture
def app() -> Flask:
    return Flask("trailers")


@pytest.mark.parametrize("path", PATHS)
async def test_they_follow_the_body(app: Flask, path: str) -> None:
    add_views(app, {"X-Sum": "1", "X-Count": "2"})
    played = await Played(part(b"")).play(app, path, headers=ASKED, extensions=OFFERED)
    assert played.body == b"ab"
    assert played.sent[0]["trailers"] is True
    assert played.headers[b"trailer"] == b"x-sum, x-count"
    assert not played.sent[-2].get("more_body", False)
    assert played.sent[-1] == {
        "type": "http.response.trailers",
        "headers": [(b"x-sum", b"1"), (b"x-count", b"2")],
        "more_trailers": False,
    }
    await app._budgets.close()


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("path", PATHS)
async def test_a_function_is_called_at_the_end_of_the_body(
    app: Flask, path: str, kind: str
) -> None:
    begun: list[int] = []

    def trailers() -> dict[str, str]:
        begun.append(len(played.body))
        return {"X-Sum": hashlib.sha256(played.body).hexdigest()}

    async def async_trailers() -> dict[str, str]:
        return trailers()

    add_views(app, trailers if kind == "sync" else async_trailers)
    played = Played(part(b""))
    await played.play(app, path, headers=ASKED, extensions=OFFERED)
    assert begun == [2]
    assert b"trailer" not in played.headers
    expected = hashlib.sha256(b"ab").hexdigest().encode()
    assert played.sent[-1]["headers"] == [(b"x-sum", expected)]
    await app._budgets.close()


@pytest.mark.parametrize(
    ("offered", "headers"),
    [([], ASKED), (OFFERED, []), (OFFERED, [(b"te", b"gzip")])],
    ids=["not offered", "not asked for", "other codings"],
)
@pytest.mark.parametrize("path", PATHS)
async def test_else_they_are_dropped(
    app: Flask, path: str, offered: list[str], headers: t.Any
) -> None:
    add_views(app, lambda: pytest.fail("was called"))
    played = await Played(part(b"")).play(app, path, headers=headers, extensions=offered)
    assert played.body == b"ab"
    assert "trailers" not in played.sent[0]
    assert "trailers" not in played.kinds
    await app._budgets.close()


async def test_te_may_name_more(app: Flask) -> None:
    add_views(app, {"X-Sum": "1"})
    te = [(b"te", b"gzip;q=0.5, Trailers")]
    played = await Played(part(b"")).play(app, "/async", headers=te, extensions=OFFERED)
    assert played.kinds[-1] == "trailers"


async def test_a_header_of_one_s_own_stands(app: Flask) -> None:
    @app.get("/")
    async def view() -> Response:
        response = Response("x", headers={"Trailer": "X-Other"})
        response.trailers = {"X-Sum": "1"}
        return response

    played = await Played(part(b"")).play(app, headers=ASKED, extensions=OFFERED)
    names = [value for name, value in played.sent[0]["headers"] if name == b"trailer"]
    assert names == [b"X-Other"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_head_has_none(app: Flask, path: str) -> None:
    add_views(app, {"X-Sum": "1"})
    played = await Played(part(b"")).play(app, path, "HEAD", headers=ASKED, extensions=OFFERED)
    assert (played.body, "trailers" in played.kinds) == (b"", False)
    await app._budgets.close()


async def test_a_client_that_has_left_gets_none(app: Flask) -> None:
    @app.get("/")
    async def view() -> Response:
        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b"x"

        response = Response(endless())
        response.trailers = {"X-Sum": "1"}
        return response

    played = Played(part(b""))
    played.leave_after(3)
    await played.play(app, headers=ASKED, extensions=OFFERED)
    assert "trailers" not in played.kinds


def test_under_wsgi_they_are_dropped(app: Flask) -> None:
    add_views(app, lambda: pytest.fail("was called"))
    for path in PATHS:
        assert app.test_client().get(path, headers={"TE": "trailers"}).data == b"ab"


@pytest.mark.parametrize("value", ["1\r\nX-Evil: 1", "1\n", "\x00"])
async def test_one_trailer_is_one_header(app: Flask, value: str) -> None:
    app.testing = True
    add_views(app, lambda: {"X-Sum": value})
    played = Played(part(b""))
    with pytest.raises(ValueError, match="cannot be sent"):
        await played.play(app, "/async", headers=ASKED, extensions=OFFERED)
    assert "trailers" not in played.kinds


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Set-Cookie", "Host"])
def test_what_a_client_must_know_before_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a trailer"):
        wire_trailers({name: "1"})


def test_pairs_do_as_well_as_a_mapping() -> None:
    assert wire_trailers([("A", "1"), ("A", "2")]) == [(b"a", b"1"), (b"a", b"2")]
