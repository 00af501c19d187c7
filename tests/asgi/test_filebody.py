"""Files that the server sends itself, by their path."""

from __future__ import annotations

import io
import os
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncflask import Flask, Response, send_file, send_from_directory
from asyncflask.asgi.filebody import BY_PATH

from ..played import Played, part

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)

CONTENT = b"content" * 100_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file.bin").write_bytes(CONTENT)
    (tmp_path / "small.txt").write_bytes(b"small")
    (tmp_path / "empty").write_bytes(b"")
    return tmp_path


@pytest.fixture
def app(folder: Path) -> Flask:
    app = Flask("files", static_folder=folder, static_url_path="/static")

    @app.get("/async/<name>")
    async def on_loop(name: str) -> Response:
        return send_from_directory(folder, name)

    @app.get("/sync/<name>")
    def in_thread(name: str) -> Response:
        return send_from_directory(folder, name)

    return app


async def play(app: Flask, path: str, *headers: tuple[bytes, bytes], method: str = "GET") -> Played:
    played = await Played(part(b"")).play(app, path, method, headers, [BY_PATH])
    await app._budgets.close()
    return played


@pytest.mark.parametrize("name", ["file.bin", "small.txt", "empty"])
@pytest.mark.parametrize("way", ["async", "sync", "static"])
async def test_a_whole_file_goes_by_its_path(app: Flask, folder: Path, way: str, name: str) -> None:
    played = await play(app, f"/{way}/{name}")
    assert played.status == 200
    assert played.sent[1:] == [{"type": BY_PATH, "path": str(folder / name)}]
    size = (folder / name).stat().st_size
    assert played.headers[b"content-length"] == b"%d" % size
    assert os.path.isabs(played.sent[1]["path"])


@pytest.mark.parametrize("way", ["async", "sync", "static"])
async def test_it_is_sent_as_ever_where_that_is_not_offered(app: Flask, way: str) -> None:
    played = await Played(part(b"")).play(app, f"/{way}/file.bin")
    assert played.body == CONTENT
    await app._budgets.close()


@pytest.mark.parametrize("way", ["async", "sync", "static"])
async def test_a_range_is_sent_piece_by_piece(app: Flask, way: str) -> None:
    played = await play(app, f"/{way}/file.bin", (b"range", b"bytes=3-9"))
    assert (played.status, played.body) == (206, CONTENT[3:10])
    assert "pathsend" not in played.kinds


@pytest.mark.parametrize("way", ["async", "sync", "static"])
async def test_a_conditional_answer_is_as_ever(app: Flask, way: str) -> None:
    tag = (await play(app, f"/{way}/file.bin")).headers[b"etag"]
    played = await play(app, f"/{way}/file.bin", (b"if-none-match", tag))
    assert (played.status, played.body, played.kinds) == (304, b"", ["start", "body"])


@pytest.mark.parametrize("way", ["async", "sync", "static"])
async def test_a_head_names_no_file(app: Flask, way: str) -> None:
    played = await play(app, f"/{way}/file.bin", method="HEAD")
    assert (played.status, played.kinds) == (200, ["start", "body"])
    assert played.headers[b"content-length"] == b"%d" % len(CONTENT)


def read(response: Response) -> Response:
    response.direct_passthrough = False
    response.set_data(response.get_data()[:10])
    return response


def wrap(response: Response) -> Response:
    def upper(source: t.Iterable[bytes]) -> Iterator[bytes]:
        for chunk in source:
            yield chunk.upper()
        t.cast("t.Any", source).close()

    response.direct_passthrough = False
    response.response = upper(t.cast("t.Iterable[bytes]", response.response))
    return response


@pytest.mark.parametrize(("change", "body"), [(read, CONTENT[:10]), (wrap, CONTENT.upper())])
@pytest.mark.parametrize("way", ["async", "sync"])
async def test_what_a_hook_has_changed_is_sent_as_it_left_it(
    app: Flask, way: str, change: t.Any, body: bytes
) -> None:
    app.after_request(change)
    played = await play(app, f"/{way}/file.bin")
    assert "pathsend" not in played.kinds
    assert played.body == body


async def test_what_a_hook_has_read_of_it_is_not_sent_again(app: Flask) -> None:
    @app.after_request
    def skip(response: Response) -> Response:
        t.cast("t.Any", response.response).file.read(3)
        del response.headers["Content-Length"]
        return response

    assert (await play(app, "/sync/file.bin")).body == CONTENT[3:]


@pytest.mark.parametrize("way", ["async", "sync"])
async def test_another_file_in_its_place_is_not_sent(app: Flask, folder: Path, way: str) -> None:
    """As at a deployment: the headers are those of the old one."""

    @app.after_request
    def deploy(response: Response) -> Response:
        (folder / "new").write_bytes(b"n" * len(CONTENT))
        os.replace(folder / "new", folder / "file.bin")
        return response

    played = await play(app, f"/{way}/file.bin")
    assert played.body == CONTENT


@pytest.mark.parametrize("change", ["gone", "longer"])
async def test_a_file_that_is_not_what_it_was_is_not_sent_by_path(
    app: Flask, folder: Path, change: str
) -> None:
    @app.after_request
    def alter(response: Response) -> Response:
        if change == "gone":
            os.unlink(folder / "file.bin")
        else:
            with open(folder / "file.bin", "ab") as file:
                file.write(b"more")
        return response

    played = await play(app, "/sync/file.bin")
    assert "pathsend" not in played.kinds
    assert played.body[: len(CONTENT)] == CONTENT


async def test_what_has_no_path_is_sent_as_ever(app: Flask, folder: Path) -> None:
    @app.get("/memory")
    async def memory() -> Response:
        return send_file(io.BytesIO(b"mem"), "a/b")

    @app.get("/descriptor")
    async def descriptor() -> Response:
        number = os.open(folder / "small.txt", os.O_RDONLY)
        return send_file(os.fdopen(number, "rb"), "a/b")

    assert (await play(app, "/memory")).body == b"mem"
    assert (await play(app, "/descriptor")).body == b"small"


async def test_an_open_file_goes_by_its_path_too(app: Flask, folder: Path) -> None:
    @app.get("/open")
    async def opened() -> Response:
        return send_file(open(folder / "small.txt", "rb"), "a/b")  # noqa: ASYNC230

    played = await play(app, "/open")
    assert played.sent[1]["path"] == str(folder / "small.txt")
