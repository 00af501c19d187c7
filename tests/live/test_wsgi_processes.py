"""Our app under WSGI servers that run as processes: threads, greenlets, forks and signals."""

from __future__ import annotations

import hashlib
import socket
import typing as t
from collections.abc import Iterator
from http.client import HTTPResponse

import pytest

from .load import Client, load
from .wire import BYTES, request
from .wsgi_app import BIG, PIECE
from .wsgi_processes import COMMANDS, ONE_BY_ONE, WITHOUT_WRITE, ServerProcess, running

#: Bytes that a server may need more for a download of 48 MiB than it had before.
MEMORY = 24 << 20


@pytest.fixture(scope="module", params=COMMANDS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    with running(request.param, tmp_path_factory.mktemp("wsgi")) as found:
        yield found


@pytest.fixture(autouse=True)
def nothing_is_left_open(server: ServerProcess) -> Iterator[None]:
    """Fail the test after which a request was not torn down, or not in its own thread."""
    yield
    server.until(lambda: _ended(server.report()))
    assert server.report()["failures"] == []


def _ended(report: dict[str, t.Any]) -> bool:
    return bool(report["began"] == report["ended"] and report["opened"] == report["closed"])


def test_views(server: ServerProcess) -> None:
    for name in ("sync", "async", "thread"):
        assert server.get(f"/{name}").text == name


def test_streams(server: ServerProcess) -> None:
    assert server.get("/generator").text == "0;1;2;"
    assert server.get("/rows").text == "1;2;"
    assert server.get("/file").body == bytes(range(256)) * 4000


def test_a_response_that_a_view_sends(server: ServerProcess) -> None:
    if server.name in WITHOUT_WRITE:
        pytest.skip("this server's start_response() returns nothing to write with")
    answer = server.get("/block")
    assert (answer.text, answer.header("content-type")) == ("0;1;2;", "text/csv; charset=utf-8")


def test_starlette_response_with_a_background_task(server: ServerProcess) -> None:
    (server.folder / "later").unlink(missing_ok=True)
    assert server.get("/starlette").text == "0;1;2;"
    server.until((server.folder / "later").exists)


@pytest.mark.parametrize("path", ["/upload", "/upload-async", "/upload-stream"])
@pytest.mark.parametrize("size", [1, 100_000, 3_000_000])
def test_upload(server: ServerProcess, path: str, size: int) -> None:
    body = bytes(range(251)) * (size // 251 + 1)
    answer = server.post(path, BYTES, body=body)
    assert answer.text == hashlib.sha256(body).hexdigest()


def test_chunked_upload(server: ServerProcess) -> None:
    if server.name == "wsgiref":
        pytest.skip("the standard library's server does not know chunked requests")
    body = b"x" * 100_000
    pieces = [b"%x\r\n%s\r\n" % (1000, body[:1000])] * 100
    for path in ("/upload", "/upload-async", "/upload-stream"):
        raw = request("POST", path, BYTES, "Transfer-Encoding: chunked")
        answer = server.ask(raw + b"".join(pieces) + b"0\r\n\r\n", "POST")
        assert answer.text == hashlib.sha256(body).hexdigest()


def test_slow_reader_of_a_big_download(server: ServerProcess) -> None:
    before = server.report()["peak"]
    with socket.create_connection(server.address, timeout=30) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        connection.sendall(request("GET", "/big"))
        response = HTTPResponse(connection, method="GET")
        response.begin()
        for number in range(BIG // PIECE):
            assert response.read(PIECE) == bytes([number % 256]) * PIECE
        assert response.read() == b""
        response.close()
    assert server.report()["peak"] - before < MEMORY


def test_clients_that_leave(server: ServerProcess) -> None:
    paths = ["/endless"] if server.name in WITHOUT_WRITE else ["/endless", "/block-endless"]
    for path in paths * 3:
        with server.connect() as connection:
            connection.send(request("GET", path))
            assert len(connection.receive(50_000)) == 50_000


def test_fifty_requests_at_once_share_one_loop(server: ServerProcess) -> None:
    async def work(number: int, client: Client) -> None:
        reply = await client.ask(request("GET", "/async", "Connection: close"))
        assert (reply.status, reply.body) == (200, b"async")

    load(server.address, 50, work)
    assert server.report()["loops"] == 1


def test_others_are_served_while_an_async_view_waits(server: ServerProcess) -> None:
    if server.name in ONE_BY_ONE:
        pytest.skip("this worker has one request at a time")
    _forget(server)
    with server.connect() as connection:
        connection.send(request("GET", "/wait", "Connection: close"))
        server.until((server.folder / "waiting").exists)
        for name in ("sync", "async"):
            assert server.get(f"/{name}").text == name
        (server.folder / "go").touch()
        assert connection.answer().text == "waited"


def _forget(server: ServerProcess) -> None:
    for name in ("go", "waiting"):
        (server.folder / name).unlink(missing_ok=True)
