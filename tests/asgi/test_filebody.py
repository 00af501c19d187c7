"""Files that are sent: by the server itself, by their path, or piece by piece."""

from __future__ import annotations

import io
import os
import typing as t
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from asyncflask import Flask, Response, send_file, send_from_directory
from asyncflask.asgi import cached
from asyncflask.asgi.cached import CachedFile
from asyncflask.asgi.filebody import BY_PATH, PIECE_BYTES, SHORT_BYTES, FileBody

from ..played import Message, Played, part

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


# In memory, or not


def take_all(self: CachedFile, room: t.Any, at: int) -> int:
    """Stand for a system that has all of the file in memory."""
    return os.preadv(self._file.fileno(), (room,), at)


def take_first(self: CachedFile, room: t.Any, at: int) -> int | None:
    """Stand for one that has given most of it up meanwhile."""
    return take_all(self, room, at) if len(room) == 1 else None


@pytest.fixture(params=["in memory", "given up", "unknown", "real"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    takes = {"in memory": take_all, "given up": take_first}
    if request.param in takes:
        monkeypatch.setattr(CachedFile, "_take", takes[request.param])
    elif request.param == "unknown":
        monkeypatch.setattr(cached, "_NO_WAIT", None)
    return t.cast("str", request.param)


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is called in the threads for files, as it happens."""
    names: list[str] = []
    call = FileBody._call

    async def noted(self: FileBody, func: t.Any) -> t.Any:
        names.append(getattr(func, "func", func).__name__)
        return await call(self, func)

    monkeypatch.setattr(FileBody, "_call", noted)
    return names


def note_files(app: Flask) -> list[t.Any]:
    """Return the files of the app's responses, as they come."""
    files: list[t.Any] = []

    @app.after_request
    def note(response: Response) -> Response:
        files.append(t.cast("t.Any", response.response).file)
        return response

    return files


SIZES = [SHORT_BYTES, SHORT_BYTES + 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1]


def numbered(size: int) -> bytes:
    return b"".join(b"%015d\n" % number for number in range(size // 16 + 1))[:size]


@pytest.mark.parametrize("way", ["async", "static"])
@pytest.mark.parametrize("size", [*SIZES, 4 * PIECE_BYTES, 5 * PIECE_BYTES - 7])
async def test_a_file_is_sent_whole_wherever_it_lies(
    app: Flask, folder: Path, way: str, size: int, memory: str, in_threads: list[str]
) -> None:
    (folder / "numbered").write_bytes(numbered(size))
    played = await Played(part(b"")).play(app, f"/{way}/numbered")
    assert (played.body, played.sent[-1].get("more_body", False)) == (numbered(size), False)
    assert max(len(message.get("body", b"")) for message in played.sent) <= PIECE_BYTES
    if memory == "in memory":
        assert not in_threads
    await app._budgets.close()


@pytest.mark.parametrize("way", ["async", "sync"])
@pytest.mark.parametrize("first", [0, 100_000])
@pytest.mark.parametrize("size", [1, *SIZES, 2 * PIECE_BYTES])
async def test_a_range_is_sent_whole_wherever_it_lies(
    app: Flask, folder: Path, way: str, first: int, size: int, memory: str, in_threads: list[str]
) -> None:
    content = numbered(3 * PIECE_BYTES)
    (folder / "numbered").write_bytes(content)
    asked = (b"range", b"bytes=%d-%d" % (first, first + size - 1))
    played = await Played(part(b"")).play(app, f"/{way}/numbered", headers=[asked])
    assert (played.status, played.body) == (206, content[first : first + size])
    assert played.headers[b"content-length"] == b"%d" % size
    if memory == "in memory":
        assert not in_threads
    await app._budgets.close()


async def test_the_rest_of_a_file_is_sent_as_a_range(app: Flask, folder: Path, memory: str) -> None:
    played = await Played(part(b"")).play(
        app, "/static/file.bin", headers=[(b"range", b"bytes=99999-")]
    )
    assert (played.status, played.body) == (206, CONTENT[99_999:])
    await app._budgets.close()


@pytest.mark.parametrize("size", [0, 100, 3 * PIECE_BYTES, 4 * PIECE_BYTES + 5])
async def test_a_file_that_changes_while_it_is_sent_is_sent_as_it_is_by_then(
    app: Flask, folder: Path, size: int, memory: str
) -> None:
    """As from the threads: whoever counts sees that it is not what the headers say."""
    path, content = folder / "numbered", numbered(3 * PIECE_BYTES)
    path.write_bytes(content)
    played = Played(part(b""))

    def change(message: Message) -> None:
        if len(played.sent) == 2:
            with path.open("r+b") as file:
                file.write(numbered(size))
                file.truncate(size)

    played.on_send = change
    await played.play(app, "/static/numbered")
    assert played.body == content[:PIECE_BYTES] + numbered(size)[PIECE_BYTES:]
    await app._budgets.close()


async def test_a_file_is_closed_when_its_client_leaves(
    app: Flask, folder: Path, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "numbered").write_bytes(numbered(9 * PIECE_BYTES))
    opened = note_files(app)
    played = Played(part(b""))

    async def send(message: Message) -> None:
        await Played.send(played, message)
        if len(played.sent) == 3:
            played.gone.set()
            await anyio.sleep_forever()  # a server that waits for the client to read

    monkeypatch.setattr(played, "send", send)
    await played.play(app, "/static/numbered")
    assert (len(played.sent), opened[0].closed) == (3, True)
    await app._budgets.close()


async def test_a_client_that_has_left_gets_no_huge_file(
    app: Flask, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though a server waits for nobody then, and all of the file is in memory."""
    monkeypatch.setattr(CachedFile, "_take", take_all)
    with (folder / "huge").open("wb") as file:
        file.truncate(1 << 31)
    played = Played(part(b""))
    played.leave_after(2)
    await played.play(app, "/static/huge")
    assert sum(len(message.get("body", b"")) for message in played.sent) < 1 << 28
    await app._budgets.close()


async def test_a_file_that_was_closed_is_no_other_file(
    app: Flask, folder: Path, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number is soon that of whatever is opened next."""
    (folder / "numbered").write_bytes(numbered(3 * PIECE_BYTES))
    opened = note_files(app)
    played = Played(part(b""))

    def swap(message: Message) -> None:
        if len(played.sent) == 2:
            opened[0].close()
            opened.append((folder / "file.bin").open("rb"))

    played.on_send = swap
    with pytest.raises(ValueError, match="closed file"):
        await played.play(app, "/static/numbered")
    opened[1].close()
    assert played.body == numbered(PIECE_BYTES)
    await app._budgets.close()


async def test_what_a_hook_has_read_of_a_long_file_is_not_sent_again(
    app: Flask, memory: str
) -> None:
    @app.after_request
    def skip(response: Response) -> Response:
        t.cast("t.Any", response.response).file.read(3)
        return response

    played = await Played(part(b"")).play(app, "/static/file.bin")
    assert played.body == CONTENT[3:]
    await app._budgets.close()


async def test_what_a_hook_has_read_of_a_range_is_not_sent_again(app: Flask, memory: str) -> None:
    @app.after_request
    def skip(response: Response) -> Response:
        wrapper = t.cast("t.Any", response.response)
        wrapper.iterable.buffer_size = 100_000
        next(wrapper)
        return response

    asked = (b"range", b"bytes=7-600000")
    played = await Played(part(b"")).play(app, "/static/file.bin", headers=[asked])
    assert played.body == CONTENT[100_007:600_001]
    await app._budgets.close()
