from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from asyncflask.cli.listener import Listener, ServerError, listen


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")


@pytest.fixture
def listener() -> Iterator[Listener]:
    with closing(listen("127.0.0.1", 0)) as made:
        yield made


def port_of(listener: Listener) -> int:
    return int(listener.sock.getsockname()[1])


def test_a_free_port(listener: Listener) -> None:
    assert listener.url("http") == f"http://127.0.0.1:{port_of(listener)}"
    assert not listener.is_public
    socket.create_connection(("127.0.0.1", port_of(listener))).close()


def test_a_port_that_is_taken(listener: Listener) -> None:
    with pytest.raises(ServerError, match=r"another program does so already.*--port 0"):
        listen("127.0.0.1", port_of(listener))


def test_a_port_is_free_again_at_once(listener: Listener) -> None:
    port = port_of(listener)
    with socket.create_connection(("127.0.0.1", port)):
        listener.sock.accept()[0].close()
    listener.close()
    listen("127.0.0.1", port).close()


@pytest.mark.parametrize("host", ["0.0.0.0", ""])
def test_all_addresses(host: str) -> None:
    with closing(listen(host, 0)) as listener:
        assert listener.is_public
        assert listener.url("https") == f"https://127.0.0.1:{port_of(listener)}"


def test_localhost_is_ipv4_where_there_is_both() -> None:
    with closing(listen("localhost", 0)) as listener:
        assert listener.sock.family == socket.AF_INET
        assert listener.url("http") == f"http://localhost:{port_of(listener)}"


@needs_ipv6
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_ipv6(host: str) -> None:
    with closing(listen(host, 0)) as listener:
        assert listener.url("http") == f"http://[::1]:{port_of(listener)}"


@needs_ipv6
def test_all_ipv6_addresses() -> None:
    with closing(listen("::", 0)) as listener:
        assert listener.is_public
        assert listener.url("http") == f"http://[::1]:{port_of(listener)}"


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("127.0.0.1", 65536, "no port 65536"),
        ("127.0.0.1", -1, "no port -1"),
        ("not a host", 0, "not known here"),
        ("a" * 70, 0, "not known here"),
        ("203.0.113.1", 0, "does not have that address"),
    ],
)
def test_what_cannot_be_listened_on(host: str, port: int, message: str) -> None:
    with pytest.raises(ServerError, match=message):
        listen(host, port)


def test_a_unix_socket_and_its_file(tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    with closing(listen(f"unix://{path}", 0)) as listener:
        assert listener.url("http") == f"unix://{path}"
        with pytest.raises(ServerError, match="another program"):
            listen(f"unix://{path}", 0)
        assert path.exists()
    assert not path.exists()


def test_what_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    listen(f"unix://{path}", 0).close()


def test_an_ordinary_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(ServerError):
        listen(f"unix://{path}", 0)
    assert path.read_text() == "mine"


def test_a_unix_socket_where_there_is_no_directory(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="No such file"):
        listen(f"unix://{tmp_path}/missing/server.sock", 0)
