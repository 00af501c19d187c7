from __future__ import annotations

import ssl
import sys
from pathlib import Path

import pytest

from asyncflask.cli.listener import ServerError
from asyncflask.cli.tls import prepared

CERT, KEY = (str(Path(__file__).with_name(name)) for name in ("localhost.pem", "localhost.key.pem"))


def test_files_are_checked_before_the_server_starts(tmp_path: Path) -> None:
    with prepared((CERT, KEY)) as ready:
        assert ready == (CERT, KEY)
    for cert, key in [(CERT, CERT), (KEY, KEY), (str(tmp_path / "missing"), None)]:
        with pytest.raises(ServerError, match="cannot be used"), prepared((cert, key)):
            pass


def test_one_file_with_both(tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text(Path(KEY).read_text() + Path(CERT).read_text())
    with prepared(str(both)) as ready:
        assert ready == (str(both), None)


def test_a_context_and_none_are_taken_as_they_are() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with prepared(context) as ready:
        assert ready is context
    with prepared(None) as ready:
        assert ready is None


def test_adhoc_files_last_as_long_as_the_server() -> None:
    pytest.importorskip("cryptography")
    with prepared("adhoc") as ready:
        assert isinstance(ready, tuple)
        cert, key = ready
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    assert not Path(cert).exists()


def test_adhoc_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ServerError, match="pip install cryptography"), prepared("adhoc"):
        pass
